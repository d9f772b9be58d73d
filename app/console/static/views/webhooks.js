// @ts-check
/** Webhooks: where events are sent, whether they arrive, and how to set that up. */
import * as api from "../api.js";
import { fill, h } from "../dom.js";
import { instant } from "../format.js";
import { addressOf, go } from "../location.js";
import { t } from "../messages.js";
import { problemNotice } from "../notice.js";
import { RowPanel } from "../panel.js";
import { Table } from "../table.js";
import { View } from "../view.js";
import { eventTypes, PATH, stateOf } from "../webhook.js";
import { askForNewWebhook } from "./webhook_form.js";
import { WebhookPanel } from "./webhook_panel.js";

/** @typedef {import("../webhook.js").Webhook} Webhook */

const PLACE = "webhooks";
// More than an organization can have.
const LIMIT = 100;

export default class WebhooksView extends View {
  problem = h("div");
  none = h("p", { class: "faint", role: "status" });
  table = new Table({
    label: t("nav.webhooks"),
    columns: [
      { name: "name", title: t("webhooks.url"), isHeading: true, cell: nameCell },
      { name: "events", title: t("webhooks.event_types"), cell: eventTypes },
      { name: "state", title: t("webhooks.state"), cell: stateOf },
      { name: "delivered", title: t("webhooks.last_delivered_at"), cell: ({ last_delivered_at: at }) => (at ? h("time", { datetime: at }, instant(at)) : t("never")) },
    ],
    keyOf: (/** @type {Webhook} */ { id }) => id,
    onOpen: ({ id }) => go(PLACE, { webhook: id }),
  });
  panel = new RowPanel(this.table, {
    make: (id, setTitle) =>
      new WebhookPanel(id, { setTitle, onChange: (webhook) => this.table.update(webhook), onRemoved: () => this.#removed(id) }),
    onClose: () => go(PLACE),
  });

  static ahead() {
    api.ahead(PATH, { query: { limit: LIMIT } });
  }

  connectedCallback() {
    const create = () =>
      askForNewWebhook((webhook) => {
        this.#list([webhook, ...this.table.items]);
        go(PLACE, { webhook: webhook.id });
      });
    fill(
      this,
      h("div", { class: "heading" }, h("h1", {}, t("nav.webhooks")), h("button", { type: "button", class: "primary", onclick: create }, t("webhooks.new"))),
      this.problem,
      this.table.element,
      this.none,
    );
    this.table.element.classList.add("webhooks");
    this.#load();
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    this.panel.close();
  }

  /** @param {import("../location.js").Place} place */
  show({ params }) {
    this.panel.show(params.get("webhook"));
  }

  async #load() {
    this.table.busy(true);
    try {
      const { items } = await api.get(PATH, { query: { limit: LIMIT }, signal: this.leaving });
      this.#list(items);
      fill(this.problem);
    } catch (error) {
      if (api.isAborted(error)) return;
      fill(this.problem, problemNotice(error, h("button", { type: "button", onclick: () => this.#load() }, t("try_again"))));
    } finally {
      this.table.busy(false);
    }
  }

  /** @param {Webhook[]} webhooks */
  #list(webhooks) {
    this.table.show(webhooks);
    this.table.element.hidden = webhooks.length === 0;
    fill(this.none, webhooks.length === 0 && t("webhooks.none"));
  }

  /** @param {string} id */
  #removed(id) {
    this.#list(this.table.items.filter((each) => each.id !== id));
    go(PLACE);
  }
}

/** @param {Webhook} webhook */
function nameCell({ id, url, description }) {
  return [
    h("a", { href: addressOf(PLACE, { webhook: id }), dataset: { key: `open-${id}` } }, h("bdi", {}, url)),
    description && h("p", { class: "faint" }, h("bdi", {}, description)),
  ];
}

customElements.define("webhooks-view", WebhooksView);

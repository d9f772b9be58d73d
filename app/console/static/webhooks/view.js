// @ts-check
/** Webhooks: where events are sent, and whether they arrive. */
import * as api from "../api/client.js";
import { isAborted } from "../api/problem.js";
import { formatInstant } from "../language/format.js";
import { addressOf, go } from "../shell/location.js";
import { View } from "../shell/view.js";
import { fill, h } from "../ui/dom.js";
import { problemNotice, tryAgainButton } from "../ui/notice.js";
import { RowPanel } from "../ui/panel.js";
import { Table } from "../ui/table.js";
import { openNewWebhookDialog } from "./form.js";
import { t } from "./messages.js";
import { WebhookPanel } from "./panel.js";
import { eventTypesLabel, PATH, stateLabel } from "./webhook.js";

/** @typedef {import("./webhook.js").Webhook} Webhook */

const PLACE = "webhooks";
// More than an organization can have.
const LIMIT = 100;

export default class WebhooksView extends View {
  problem = h("div");
  empty = h("p", { class: "faint", role: "status" });
  /** @type {Table<Webhook>} */
  table = new Table({
    label: t("nav.webhooks"),
    columns: [
      { name: "name", title: t("url"), isHeading: true, cell: nameCell },
      { name: "events", title: t("event_types"), cell: eventTypesLabel },
      { name: "state", title: t("state"), cell: stateLabel },
      {
        name: "delivered",
        title: t("last_delivered_at"),
        cell: ({ last_delivered_at: moment }) => (moment ? h("time", { datetime: moment }, formatInstant(moment)) : t("never")),
      },
    ],
    keyOf: ({ id }) => id,
    onOpen: ({ id }) => go(PLACE, { webhook: id }),
  });
  panel = new RowPanel(this.table, {
    create: (id, setTitle) =>
      new WebhookPanel(id, { setTitle, onChange: (webhook) => this.table.update(webhook), onRemoved: () => this.#remove(id) }),
    onClose: () => go(PLACE),
  });

  static prefetch() {
    api.prefetch(PATH, { query: { limit: LIMIT } });
  }

  connectedCallback() {
    const create = () =>
      openNewWebhookDialog((webhook) => {
        this.#list([webhook, ...this.table.items]);
        go(PLACE, { webhook: webhook.id });
      });
    fill(
      this,
      h("div", { class: "heading" }, h("h1", {}, t("nav.webhooks")), h("button", { type: "button", class: "primary", onclick: create }, t("new"))),
      this.problem,
      this.table.element,
      this.empty,
    );
    this.table.element.classList.add("webhooks");
    this.#load();
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    this.panel.close();
  }

  /** @param {import("../shell/location.js").Place} place */
  show({ params }) {
    this.panel.show(params.get("webhook"));
  }

  async #load() {
    this.table.setBusy(true);
    try {
      const { items } = await api.get(PATH, { query: { limit: LIMIT }, signal: this.leaving });
      this.#list(items);
      fill(this.problem);
    } catch (error) {
      if (isAborted(error)) return;
      fill(this.problem, problemNotice(error, tryAgainButton(() => this.#load())));
    } finally {
      this.table.setBusy(false);
    }
  }

  /** @param {Webhook[]} webhooks */
  #list(webhooks) {
    this.table.show(webhooks);
    this.table.element.hidden = webhooks.length === 0;
    fill(this.empty, webhooks.length === 0 && t("empty"));
  }

  /** @param {string} id */
  #remove(id) {
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

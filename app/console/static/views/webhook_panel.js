// @ts-check
/** One webhook in the side panel: what it is, what can be done with it, and what was sent to it, newest first. */
import * as api from "../api.js";
import { confirmDialog } from "../dialog.js";
import { fill, h, keepFocus } from "../dom.js";
import { instant } from "../format.js";
import { t } from "../messages.js";
import { problemNotice } from "../notice.js";
import { showSecret } from "../secret_dialog.js";
import { toast, toastProblem } from "../toast.js";
import { deliveryState, eventTypes, PATH, stateOf } from "../webhook.js";
import { askToEdit } from "./webhook_form.js";

/** @typedef {import("../webhook.js").Webhook} Webhook */
/** @typedef {import("../webhook.js").Delivery} Delivery */

const AT_ONCE = 20;

export class WebhookPanel extends HTMLElement {
  #leaving = new AbortController();
  #path;

  problem = h("div");
  controls = h("div", { class: "actions" });
  details = h("dl", { class: "facts" });
  sent = h("ol", { class: "events" });
  more = h("div", { class: "actions" });

  /**
   * @param {string} id
   * @param {object} options
   * @param {(...title: import("../dom.js").Child[]) => void} options.setTitle
   * @param {(webhook: Webhook) => void} options.onChange
   * @param {() => void} options.onRemoved
   */
  constructor(id, { setTitle, onChange, onRemoved }) {
    super();
    this.#path = `${PATH}/${encodeURIComponent(id)}`;
    this.setTitle = setTitle;
    this.onChange = onChange;
    this.onRemoved = onRemoved;
  }

  disconnectedCallback() {
    this.#leaving.abort();
  }

  /** Fill it, once it is on the page. */
  async start() {
    const reload = h("button", { type: "button", class: "quiet", onclick: () => this.#do(() => this.#reload()) }, t("webhooks.reload"));
    const heading = h("div", { class: "heading" }, h("h3", {}, t("webhooks.deliveries")), reload);
    fill(this, this.problem, this.controls, this.details, h("section", {}, heading, this.sent, this.more));
    try {
      await this.#reload();
    } catch (error) {
      if (api.isAborted(error)) return;
      this.setTitle(t("nav.webhooks"));
      fill(this, problemNotice(error));
    }
  }

  async #reload() {
    const [webhook] = await Promise.all([api.get(this.#path, { signal: this.#leaving.signal }), this.#load(null)]);
    this.#changed(webhook);
  }

  /** @param {Webhook} webhook */
  #draw(webhook) {
    this.setTitle(h("bdi", {}, webhook.url));
    const { description, last_delivered_at, created_at } = webhook;
    fill(
      this.details,
      ...Object.entries({
        state: stateOf(webhook),
        description: description && h("bdi", {}, description),
        event_types: eventTypes(webhook),
        last_delivered_at: last_delivered_at ? instant(last_delivered_at) : t("never"),
        created_at: instant(created_at),
      }).map(([name, value]) => value && h("div", {}, h("dt", {}, t(`webhooks.${name}`)), h("dd", {}, value))),
    );
    const action = (/** @type {string} */ name, /** @type {() => void} */ run) =>
      h("button", { type: "button", onclick: run, dataset: { key: name } }, t(`webhooks.${name}`));
    const toggle = webhook.enabled ? "disable" : "enable";
    keepFocus(this.controls, () =>
      fill(
        this.controls,
        action("test", () => this.#do(() => this.#test())),
        action("edit", () => askToEdit(webhook, (saved) => this.#changed(saved))),
        h("button", { type: "button", onclick: () => this.#do(() => this.#toggle(webhook)), dataset: { key: "toggle" } }, t(`webhooks.${toggle}`)),
        action("rotate", () => this.#askToRotate()),
        action("remove", () => this.#askToRemove()),
      ),
    );
  }

  /** @param {Webhook} webhook */
  #changed(webhook) {
    this.#draw(webhook);
    this.onChange(webhook);
  }

  /** What goes wrong is said. @param {() => Promise<void>} run */
  async #do(run) {
    try {
      await run();
    } catch (error) {
      if (!api.isAborted(error)) toastProblem(error);
    }
  }

  async #test() {
    const { body } = await api.post(`${this.#path}/test`, { signal: this.#leaving.signal });
    const isError = body.state !== "delivered";
    toast(isError ? `${t("webhooks.test.failed")} ${body.error}` : t("webhooks.test.delivered"), { isError });
    await this.#reload();
  }

  /** @param {Webhook} webhook */
  async #toggle({ enabled }) {
    const { body } = await api.patch(this.#path, { body: { enabled: !enabled } });
    this.#changed(body);
    toast(t(enabled ? "webhooks.disable.done" : "webhooks.enable.done"));
  }

  #askToRotate() {
    const question = { title: t("webhooks.rotate.title"), text: t("webhooks.rotate.effect"), submit: t("webhooks.rotate") };
    confirmDialog(question, () =>
      this.#do(async () => {
        const { body } = await api.post(`${this.#path}/rotate-secret`);
        showSecret(t("webhooks.rotate.done"), body.secret, t("webhooks.secret.warning"));
      }),
    );
  }

  #askToRemove() {
    const question = { title: t("webhooks.remove.title"), text: t("webhooks.remove.effect"), submit: t("webhooks.remove") };
    confirmDialog(question, () =>
      this.#do(async () => {
        await api.remove(this.#path);
        toast(t("webhooks.remove.done"));
        this.onRemoved();
      }),
    );
  }

  /** @param {string | null} cursor null = from the newest on */
  async #load(cursor) {
    const query = { limit: AT_ONCE, cursor };
    const { items, next_cursor } = await api.get(`${this.#path}/deliveries`, { query, signal: this.#leaving.signal });
    const shown = items.map((/** @type {Delivery} */ delivery) => this.#item(delivery));
    if (cursor !== null) this.sent.append(...shown);
    else fill(this.sent, ...shown, items.length === 0 && h("li", { class: "faint" }, t("webhooks.deliveries.none")));
    const showMore = () => this.#do(() => this.#load(next_cursor));
    fill(this.more, next_cursor !== null && h("button", { type: "button", onclick: showMore }, t("history.more")));
    if (cursor !== null) shown[0]?.focus(); // the button that had the focus has gone on, or away
  }

  /** @param {Delivery} delivery @returns {HTMLElement} */
  #item(delivery) {
    const { id, event_type, event_id, state, attempts, error, created_at, next_attempt_at } = delivery;
    const retry = () =>
      this.#do(async () => {
        const { body } = await api.post(`${this.#path}/deliveries/${id}/retry`);
        const again = this.#item(body);
        item.replaceWith(again);
        again.focus();
        toast(t("webhooks.retry.done"));
      });
    const item = h(
      "li",
      { tabindex: "-1" },
      h("strong", {}, t(`event.${event_type}`)),
      h("p", {}, deliveryState(delivery)),
      h("p", { class: "faint" }, h("time", { datetime: created_at }, instant(created_at)), attempts > 1 && ` · ${t("delivery.attempts", { count: attempts })}`),
      error && h("p", { lang: "en" }, error),
      state === "pending" && attempts > 0 && next_attempt_at && h("p", { class: "faint" }, t("delivery.next_attempt_at", { moment: instant(next_attempt_at) })),
      event_id !== null && state !== "delivered" && attempts > 0 && h("button", { type: "button", class: "quiet", onclick: retry }, t("webhooks.retry")),
    );
    return item;
  }
}

customElements.define("webhook-panel", WebhookPanel);

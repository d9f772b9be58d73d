// @ts-check
/** What was sent to a webhook, newest first. */
import { get, post } from "../api/client.js";
import { formatInstant } from "../language/format.js";
import { fill, h } from "../ui/dom.js";
import { toast } from "../ui/toast.js";
import { t } from "./messages.js";
import { deliveryLabel } from "./webhook.js";

/** @typedef {import("./webhook.js").Delivery} Delivery */
/** Runs the function and shows its problem. @typedef {(run: () => Promise<any>) => void} Run */

const DELIVERIES_PER_PAGE = 20;

export class DeliveryList {
  #path;
  #signal;
  #run;
  #items = h("ol", { class: "events" });
  #more = h("div", { class: "actions" });
  element;

  /** @param {string} path of the webhook @param {{signal: AbortSignal, run: Run, onRefresh: () => Promise<void>}} options */
  constructor(path, { signal, run, onRefresh }) {
    this.#path = `${path}/deliveries`;
    this.#signal = signal;
    this.#run = run;
    const refresh = h("button", { type: "button", class: "quiet", onclick: () => run(onRefresh) }, t("deliveries.refresh"));
    this.element = h("section", {}, h("div", { class: "heading" }, h("h3", {}, t("deliveries")), refresh), this.#items, this.#more);
  }

  /** Load and show one page. Throws like `get`. @param {string | null} [cursor] null = the newest */
  async load(cursor = null) {
    const { items, next_cursor } = await get(this.#path, { query: { limit: DELIVERIES_PER_PAGE, cursor }, signal: this.#signal });
    const shown = items.map((/** @type {Delivery} */ delivery) => this.#item(delivery));
    if (cursor !== null) this.#items.append(...shown);
    else fill(this.#items, ...shown, items.length === 0 && h("li", { class: "faint" }, t("deliveries.none")));
    const showMore = () => this.#run(() => this.load(next_cursor));
    fill(this.#more, next_cursor !== null && h("button", { type: "button", onclick: showMore }, t("show_older")));
    if (cursor !== null) shown[0]?.focus(); // the button that had the focus is gone
  }

  /** @param {Delivery} delivery @returns {HTMLElement} */
  #item(delivery) {
    const { id, event_type, event_id, state, attempts, error, created_at, next_attempt_at } = delivery;
    const retry = async () => {
      const { body } = await post(`${this.#path}/${id}/retry`);
      const again = this.#item(body);
      item.replaceWith(again);
      again.focus();
      toast(t("delivery.retry.done"));
    };
    const time = h("time", { datetime: created_at }, formatInstant(created_at));
    const isWaiting = state === "pending" && attempts > 0 && next_attempt_at !== null;
    const canRetry = event_id !== null && state !== "delivered" && attempts > 0;
    const item = h(
      "li",
      { tabindex: "-1" },
      h("strong", {}, t(`event.${event_type}`)),
      h("p", {}, deliveryLabel(delivery)),
      h("p", { class: "faint" }, time, attempts > 1 && ` · ${t("delivery.attempts", { count: attempts })}`),
      error && h("p", { lang: "en" }, error),
      isWaiting && h("p", { class: "faint" }, t("delivery.next_attempt_at", { moment: formatInstant(next_attempt_at) })),
      canRetry && h("button", { type: "button", class: "quiet", onclick: () => this.#run(retry) }, t("delivery.retry")),
    );
    return item;
  }
}

// @ts-check
/** What a webhook and its deliveries are, and how their states look. */
import { h } from "./dom.js";
import { icon } from "./icons.js";
import { t } from "./messages.js";

/**
 * A webhook as the API answers, without its secret.
 * @typedef {{id: string, url: string, description: string | null, event_types: string[], enabled: boolean,
 *   disabled_reason: "failing" | "gone" | null, last_delivered_at: string | null, created_at: string}} Webhook
 */
/**
 * @typedef {{id: string, event_type: string, state: "pending" | "delivered" | "failed", attempts: number,
 *   error: string | null, created_at: string, next_attempt_at: string | null, event_id: string | null}} Delivery
 */

export const PATH = "/webhooks";

/** Whether anything is sent, and why not. @param {Webhook} webhook */
export function stateOf({ enabled, disabled_reason }) {
  if (enabled) return state("active", "active", t("webhooks.enabled"));
  if (disabled_reason === null) return state("deactivated", "deactivated", t("webhooks.disabled"));
  return state("expired", "warning", t(`webhooks.${disabled_reason}`));
}

/** @param {Delivery} delivery */
export function deliveryState({ state: name, error }) {
  if (name === "delivered") return state("active", "active", t("delivery.delivered"));
  if (name === "failed") return state("expired", "warning", t("delivery.failed"));
  if (error !== null) return state("expired", "warning", t("delivery.failing"));
  return state("deactivated", "expired", t("delivery.pending"));
}

/** @param {string} look @param {Parameters<typeof icon>[0]} image @param {string} text */
function state(look, image, text) {
  return h("span", { class: `status ${look}` }, icon(image), text);
}

/** What it is told of. @param {Webhook} webhook */
export function eventTypes({ event_types }) {
  if (event_types.length === 0) return t("webhooks.all");
  return h("ul", { class: "tags" }, ...event_types.map((type) => h("li", {}, t(`event.${type}`))));
}

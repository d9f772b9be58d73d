// @ts-check
/** A webhook and its deliveries: their members, and how their states look. */
import { h } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { t } from "./messages.js";

/** The events that a webhook can receive, in the order in which they are shown. */
export const EVENT_TYPES = /** @type {const} */ ([
  "learner.created",
  "learner.updated",
  "learner.activated",
  "learner.deactivated",
  "learner.accessed",
  "learner.expired",
  "learner.restored",
]);

/** Why the service has disabled a webhook. */
export const DISABLED_REASONS = /** @type {const} */ (["failing", "gone"]);

export const DELIVERY_STATES = /** @type {const} */ (["pending", "delivered", "failed"]);

/** The event type of a test. */
export const TEST = "webhook.test";

/** @typedef {typeof EVENT_TYPES[number]} EventType */

/**
 * A webhook as the API returns it, without its secret.
 * @typedef {{id: string, url: string, description: string | null, event_types: EventType[], enabled: boolean,
 *   disabled_reason: typeof DISABLED_REASONS[number] | null, last_delivered_at: string | null, created_at: string}} Webhook
 */
/**
 * A delivery as the API returns it.
 * @typedef {{id: string, event_type: EventType | typeof TEST, state: typeof DELIVERY_STATES[number], attempts: number,
 *   error: string | null, created_at: string, next_attempt_at: string | null, event_id: string | null}} Delivery
 */

/** Where the API has the webhooks. */
export const PATH = "/webhooks";

/** Show whether the webhook is enabled, and if not, why. @param {Webhook} webhook */
export function stateLabel({ enabled, disabled_reason }) {
  if (enabled) return label("active", "active", t("state.enabled"));
  if (disabled_reason === null) return label("deactivated", "deactivated", t("state.disabled"));
  return label("expired", "warning", t(`state.${disabled_reason}`));
}

/** @param {Delivery} delivery */
export function deliveryLabel({ state, error }) {
  if (state === "delivered") return label("active", "active", t("delivery.delivered"));
  if (state === "failed") return label("expired", "warning", t("delivery.failed"));
  if (error !== null) return label("expired", "warning", t("delivery.failing"));
  return label("deactivated", "expired", t("delivery.pending"));
}

/** @param {string} look @param {import("../ui/icons.js").IconName} name @param {string} text */
function label(look, name, text) {
  return h("span", { class: `status ${look}` }, icon(name), text);
}

/** Show the events that the webhook receives. @param {Webhook} webhook */
export function eventTypesLabel({ event_types }) {
  if (event_types.length === 0) return t("all");
  return h("ul", { class: "tags" }, ...event_types.map((type) => h("li", {}, t(`event.${type}`))));
}

// @ts-check
/** A learner on the page: its members, its name, its status. */
import { h } from "./dom.js";
import { icon } from "./icons.js";
import { t } from "./messages.js";

/** @typedef {"active" | "activated" | "deactivated" | "expired"} Status */

/**
 * A learner as the API answers.
 * @typedef {{id: string, username: string, email: string | null, first_name: string | null, last_name: string | null,
 *   external_id: string | null, status: Status, can_log_in: boolean, restores_to: Exclude<Status, "expired"> | null,
 *   expires_on: string | null, deactivated_at: string | null, first_accessed_at: string | null,
 *   last_accessed_at: string | null, created_at: string, updated_at: string, version: number}} Learner
 */

/** In the order in which they are shown. @type {Status[]} */
export const STATUSES = ["active", "activated", "deactivated", "expired"];

/** First and last name, or the username of those who have neither. @param {Learner} learner */
export function nameOf({ first_name, last_name, username }) {
  return [first_name, last_name].filter(Boolean).join(" ") || username;
}

/** Icon and word. @param {Status} status */
export function statusLabel(status) {
  return h("span", { class: `status ${status}` }, icon(status), h("span", {}, t(`status.${status}`)));
}

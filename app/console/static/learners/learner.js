// @ts-check
/** A learner: its members, its name, its status. */
import { h } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { t } from "./messages.js";

/** The statuses, in the order in which they are shown. */
export const STATUSES = /** @type {const} */ (["active", "activated", "deactivated", "expired"]);

/** What can be done with learners. */
export const ACTIONS = /** @type {const} */ (["activate", "deactivate"]);

/** @typedef {typeof STATUSES[number]} Status */
/** @typedef {typeof ACTIONS[number]} Action */

/**
 * A learner as the API returns it.
 * @typedef {{id: string, username: string, email: string | null, first_name: string | null, last_name: string | null,
 *   external_id: string | null, status: Status, can_log_in: boolean, restores_to: Exclude<Status, "expired"> | null,
 *   expires_on: string | null, deactivated_at: string | null, first_accessed_at: string | null,
 *   last_accessed_at: string | null, created_at: string, updated_at: string, version: number}} Learner
 */

/** Return first and last name, or the username when both are missing. @param {Learner} learner */
export function nameOf({ first_name, last_name, username }) {
  return [first_name, last_name].filter(Boolean).join(" ") || username;
}

/** Create the icon and the name of a status. @param {Status} status */
export function statusLabel(status) {
  return h("span", { class: `status ${status}` }, icon(status), h("span", {}, t(`status.${status}`)));
}

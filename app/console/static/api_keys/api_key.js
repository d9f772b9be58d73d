// @ts-check
/** An API key: its members, and whether it still works. */
import { formatInstant } from "../language/format.js";
import { whoAmI } from "../shell/session.js";
import { h } from "../ui/dom.js";
import { t } from "./messages.js";

/**
 * A key as the API returns it, without its secret.
 * @typedef {{id: string, name: string, prefix: string, scopes: string[], created_at: string, expires_at: string | null,
 *   last_used_at: string | null, revoked_at: string | null}} ApiKey
 */

/** Where the API has the keys. */
export const PATH = "/api-keys";

/** Whether the user is signed in with this key. @param {ApiKey} key */
export function isOwn({ id }) {
  return whoAmI().actor.id === id;
}

/** @param {ApiKey} key */
export function hasExpired({ expires_at }) {
  return expires_at !== null && Date.parse(expires_at) <= Date.now();
}

/** @param {ApiKey} key */
export function isValid(key) {
  return key.revoked_at === null && !hasExpired(key);
}

/** @param {string | null} moment */
export function timeOrNever(moment) {
  return moment === null ? h("span", { class: "faint" }, t("never")) : h("time", { datetime: moment }, formatInstant(moment));
}

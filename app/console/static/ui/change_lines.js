// @ts-check
/** What changes about a learner: each fact with its value before and after. */
import { formatDate, formatInstant } from "../language/format.js";
import { has, t } from "../language/translate.js";
import { h } from "./dom.js";

/** @typedef {Record<string, [before: any, after: any]>} Changes */

/** Show one line for each fact that changes. @param {Changes} changes */
export function changeLines(changes) {
  return Object.entries(changes).map(([name, [before, after]]) => changeLine(name, before, after));
}

/** @param {string} name @param {any} before @param {any} after */
function changeLine(name, before, after) {
  const key = `learner.${name}`;
  const values = [h("del", {}, valueOf(name, before)), " → ", h("ins", {}, valueOf(name, after))];
  return h("p", { class: "change" }, `${has(key) ? t(key) : name}: `, ...values);
}

/** @param {string} name @param {any} value */
function valueOf(name, value) {
  if (value === null || value === undefined) return t(name === "expires_on" ? "never" : "none");
  return h("bdi", {}, textOf(name, String(value)));
}

/** @param {string} name @param {string} value */
function textOf(name, value) {
  const status = `status.${value}`;
  if (name === "status" && has(status)) return t(status);
  if (name === "expires_on") return formatDate(value);
  return name.endsWith("_at") ? formatInstant(value) : value;
}

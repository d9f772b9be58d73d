// @ts-check
/** What was asked of an operation: the file and its options, or the selection and the new expiration date. */
import { formatDate } from "../language/format.js";
import { h } from "../ui/dom.js";
import { has, t } from "./messages.js";

/** @typedef {import("./operation.js").Operation} Operation */

/** Say in short what tells this operation from others of its kind; "" if nothing does. @param {Operation} operation */
export function briefOf({ request }) {
  const { file_name, selection, expires_on } = request;
  const filter = filterText(selection?.filter ?? {});
  const date = expires_on !== undefined && `${t("request.expires_on")}: ${dateText(expires_on)}`;
  return [file_name, date, filter].filter(Boolean).join(" · ");
}

/** Return the facts of the request, each with its name. @param {Operation} operation @returns {[string, import("../ui/dom.js").Child][]} */
export function requestFacts({ request }) {
  const { file_name, options = {}, selection = {}, expires_on } = request;
  /** @type {[string, import("../ui/dom.js").Child][]} */
  const facts = [];
  if (file_name) facts.push([t("request.file"), h("bdi", {}, file_name)]);
  const chosen = Object.entries(options).map(([name, value]) => `${name}: ${[value].flat().join(", ")}`);
  if (chosen.length > 0) facts.push([t("request.options"), h("span", { lang: "en" }, chosen.join(" · "))]);
  const selected = selectionText(selection);
  if (selected) facts.push([t("request.selection"), h("bdi", {}, selected)]);
  if (expires_on !== undefined) facts.push([t("request.expires_on"), dateText(expires_on)]);
  return facts;
}

/** @param {Record<string, any>} selection */
function selectionText({ filter, ...counts }) {
  const parts = Object.entries(counts).map(([name, count]) => {
    const key = `request.${name}`;
    return has(key) ? t(key, { count }) : `${name}: ${count}`;
  });
  if (filter) parts.unshift(filterText(filter) || t("request.everyone"));
  return parts.join(" · ");
}

/** @param {Record<string, any>} filter */
function filterText(filter) {
  return Object.entries(filter)
    .map(([name, value]) => {
      const key = `request.filter.${name}`;
      const values = [value].flat().map((each) => valueText(String(each)));
      return `${has(key) ? t(key) : name}: ${values.join(", ")}`;
    })
    .join(" · ");
}

/** @param {string} value of a filter; statuses have names */
function valueText(value) {
  const key = `status.${value}`;
  return has(key) ? t(key) : value;
}

/** @param {string | null} day null = never */
function dateText(day) {
  return day === null ? t("never") : formatDate(day);
}

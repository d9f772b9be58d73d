// @ts-check
/** The columns of the list. */
import { formatDate, formatDay } from "../language/format.js";
import { h } from "../ui/dom.js";
import { t } from "./messages.js";
import { statusControl } from "./status_control.js";

/** @typedef {import("./learner.js").Learner} Learner */
/** @typedef {import("../ui/table.js").Column<Learner>} Column */

/** @param {(learner: Learner) => HTMLElement} link creates the link that opens a learner @returns {Column[]} */
export function listColumns(link) {
  return [
    { name: "status", title: t("learner.status"), cell: statusControl },
    { name: "name", title: t("learner.name"), sort: "last_name", isHeading: true, cell: link },
    { name: "username", title: t("learner.username"), sort: "username", cell: ({ username }) => h("bdi", {}, username) },
    { name: "email", title: t("learner.email"), cell: ({ email }) => (email ? h("bdi", {}, email) : dash()) },
    {
      name: "expires",
      title: t("learner.expires_on"),
      sort: "expires_on",
      cell: ({ expires_on: day }) => timeOrNever(day, formatDate),
    },
    { name: "accessed", title: t("learner.last_accessed_at"), cell: ({ last_accessed_at: moment }) => timeOrNever(moment, formatDay) },
  ];
}

/** @param {string | null} moment @param {(moment: string) => string} format */
function timeOrNever(moment, format) {
  return moment ? h("time", { datetime: moment }, format(moment)) : h("span", { class: "faint" }, t("never"));
}

/** Show that there is no value. Screen readers find an empty cell. */
function dash() {
  return h("span", { class: "faint", "aria-hidden": "true" }, "–");
}

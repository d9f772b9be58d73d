// @ts-check
/** Notices within a view: what went wrong, in the words of the API, and what there is to know. */
import { Problem } from "./api.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";

/**
 * A problem, told at once. Errors other than problems are bugs and thrown on.
 * @param {unknown} error
 * @param {...import("./dom.js").Child} actions such as a button that tries again
 */
export function problemNotice(error, ...actions) {
  if (!(error instanceof Problem)) throw error;
  return h(
    "div",
    { class: "notice error", role: "alert" },
    icon("warning"),
    h("div", { lang: error.lang }, h("strong", {}, error.title), h("p", {}, error.detail)),
    actions.length > 0 && h("div", { class: "actions" }, ...actions),
  );
}

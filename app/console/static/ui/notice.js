// @ts-check
/** Notices within a view: a problem and what the user can do about it. */
import { Problem } from "../api/problem.js";
import { t } from "../language/translate.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";

/**
 * Create the notice of a problem, which screen readers read at once. Other errors are bugs and thrown on.
 * @param {unknown} error
 * @param {...import("./dom.js").Child} actions such as `tryAgainButton`
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

/** @param {() => void} run */
export function tryAgainButton(run) {
  return h("button", { type: "button", onclick: run }, t("try_again"));
}

// @ts-check
/** Short messages at the edge of the page. Screen readers read them, and they may have a button such as Undo. */
import { Problem } from "../api/problem.js";
import { t } from "../language/translate.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";

// Long enough to read the message and to reach its button.
const SHOWN_MILLISECONDS = 12_000;
const MOST_AT_ONCE = 3;

/** @typedef {{label: string, run: () => void | Promise<void>}} Action */

/**
 * Show a message for a while. It stays as long as the pointer or the focus is on it.
 * @param {string} text
 * @param {{action?: Action, isError?: boolean, lang?: string}} [options]
 */
export function toast(text, { action, isError = false, lang } = {}) {
  const element = h(
    "div",
    { class: `toast${isError ? " error" : ""}` },
    isError && icon("warning"),
    h("p", { lang }, text),
    action && h("button", { type: "button", class: "link", onclick: () => close(action) }, action.label),
    h("button", { type: "button", class: "bare", "aria-label": t("close"), onclick: () => close() }, icon("close")),
  );
  let timer = 0;
  const wait = () => {
    timer = setTimeout(() => close(), SHOWN_MILLISECONDS);
  };
  const stay = () => clearTimeout(timer);
  for (const name of ["pointerenter", "focusin"]) element.addEventListener(name, stay);
  for (const name of ["pointerleave", "focusout"]) element.addEventListener(name, wait);

  /** @param {Action} [chosen] */
  function close(chosen) {
    stay();
    // A focus inside must not be lost.
    if (element.contains(document.activeElement)) document.getElementById("main")?.focus({ preventScroll: true });
    element.remove();
    chosen?.run();
  }

  const place = toastRegion();
  while (place.children.length >= MOST_AT_ONCE) place.firstElementChild?.remove();
  place.append(element);
  wait();
}

/** Show a problem. Other errors are bugs and thrown on. @param {unknown} error */
export function toastProblem(error) {
  if (!(error instanceof Problem)) throw error;
  toast(`${error.title}. ${error.detail}`, { isError: true, lang: error.lang });
}

/** Find or create the live region. Screen readers only read what is added to one that exists already. */
export function toastRegion() {
  const found = document.getElementById("toasts");
  if (found !== null) return found;
  const element = h("section", { id: "toasts", "aria-live": "polite", "aria-label": t("notifications") });
  document.body.append(element);
  return element;
}

// @ts-check
/** Short messages at the edge of the page, read out by screen readers, with room for an Undo. */
import { Problem } from "./api.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";
import { t } from "./messages.js";

// Long enough to read it and to reach the button. Nothing is lost with it: what it undoes can be done by hand too.
const SHOWN_MILLISECONDS = 12_000;
const AT_ONCE = 3;

/** @typedef {{label: string, run: () => void | Promise<void>}} Action */

/**
 * Say it, and let it go after a while; as long as the pointer or the focus is on it, it stays.
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
    // Where it had the focus, that must not be lost with it.
    if (element.contains(document.activeElement)) document.getElementById("main")?.focus({ preventScroll: true });
    element.remove();
    chosen?.run();
  }

  const place = region();
  while (place.children.length >= AT_ONCE) place.firstElementChild?.remove();
  place.append(element);
  wait();
}

/** Say what went wrong, in the API's own words. Errors other than problems are bugs and thrown on. @param {unknown} error */
export function toastProblem(error) {
  if (!(error instanceof Problem)) throw error;
  toast(`${error.title}. ${error.detail}`, { isError: true, lang: error.lang });
}

/** The live region: there before its first message, else that one would not be read out. */
export function region() {
  const found = document.getElementById("toasts");
  if (found !== null) return found;
  const element = h("section", { id: "toasts", "aria-live": "polite", "aria-label": t("toasts") });
  document.body.append(element);
  return element;
}

// @ts-check
/** Dialogs: the browser's own, which keep the focus, close on Escape, and give the focus back. */
import { h, newId } from "./dom.js";
import { icon } from "./icons.js";
import { t } from "./messages.js";

/**
 * Ask something. What is behind it waits until it is closed.
 * @param {object} options
 * @param {string} options.title
 * @param {import("./dom.js").Child[]} options.content
 * @param {"narrow" | "wide"} [options.width]
 * @param {() => boolean} [options.mayClose] whether Escape and the cross close it now
 * @param {() => HTMLElement | null} [options.returnTo] who gets the focus where the element that had it has gone
 * @returns {{element: HTMLDialogElement, close: () => void, closed: Promise<void>}}
 */
export function openDialog({ title, content, width = "narrow", mayClose = () => true, returnTo = () => null }) {
  const titleId = newId("dialog-title");
  /** @type {HTMLDialogElement} */
  const element = h(
    "dialog",
    { class: width, "aria-labelledby": titleId },
    h(
      "header",
      {},
      h("h2", { id: titleId, tabindex: "-1" }, title),
      h("button", { type: "button", class: "bare", "aria-label": t("close"), onclick: leave }, icon("close")),
    ),
    h("div", { class: "dialog-body" }, ...content),
  );

  function leave() {
    if (mayClose()) element.close();
  }

  const closed = new Promise((/** @type {(value: void) => void} */ resolve) => {
    element.addEventListener("close", () => {
      element.remove();
      moved.abort();
      if (document.activeElement === document.body) returnTo()?.focus();
      resolve();
    });
  });
  element.addEventListener("cancel", (event) => {
    if (!mayClose()) event.preventDefault();
  });
  // A link in it, or Back, has led away from what it is about.
  const moved = new AbortController();
  window.addEventListener("popstate", leave, { signal: moved.signal });
  document.body.append(element);
  element.showModal();
  focusFirst(element);
  return { element, close: () => element.close(), closed };
}

/**
 * Ask whether to do what cannot be undone.
 * @param {{title: string, text: string, submit: string}} question `submit`: what the button that does it says
 * @param {() => void} run
 */
export function confirmDialog({ title, text, submit }, run) {
  const confirmed = () => {
    dialog.close();
    run();
  };
  const actions = [
    h("button", { type: "button", onclick: () => dialog.close() }, t("cancel")),
    h("button", { type: "button", class: "primary", onclick: confirmed }, submit),
  ];
  const dialog = openDialog({ title, content: [h("p", {}, text), h("div", { class: "actions" }, ...actions)] });
}

/** What is to be filled in, else the title, so that it is read from its beginning. @param {HTMLElement} element */
function focusFirst(element) {
  const first = element.querySelector(".dialog-body :is(input, select, textarea):not([disabled])");
  const target = first ?? element.querySelector("h2");
  if (target instanceof HTMLElement) target.focus();
}

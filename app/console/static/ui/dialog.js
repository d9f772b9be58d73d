// @ts-check
/** Dialogs: the browser's own, which hold the focus, close on Escape, and give the focus back. */
import { t } from "../language/translate.js";
import { h, newId } from "./dom.js";
import { icon } from "./icons.js";

/**
 * Open a modal dialog.
 * @param {object} options
 * @param {string} options.title
 * @param {import("./dom.js").Child[]} options.content
 * @param {() => boolean} [options.mayClose] whether Escape and the cross close it now
 * @param {() => HTMLElement | null} [options.returnTo] gets the focus when the element that had it is gone
 * @returns {{element: HTMLDialogElement, setTitle: (title: string) => void, close: () => void, closed: Promise<void>}}
 */
export function openDialog({ title, content, mayClose = () => true, returnTo = () => null }) {
  const heading = h("h2", { id: newId("dialog-title"), tabindex: "-1" }, title);
  const element = h(
    "dialog",
    { "aria-labelledby": heading.id },
    h("header", {}, heading, h("button", { type: "button", class: "bare", "aria-label": t("close"), onclick: leave }, icon("close"))),
    h("div", { class: "dialog-body" }, ...content),
  );
  const moves = new AbortController();

  function leave() {
    if (mayClose()) element.close();
  }

  const closed = new Promise((/** @type {(value: void) => void} */ resolve) => {
    element.addEventListener("close", () => {
      element.remove();
      moves.abort();
      if (document.activeElement === document.body) returnTo()?.focus();
      resolve();
    });
  });
  element.addEventListener("cancel", (event) => {
    if (!mayClose()) event.preventDefault();
  });
  // Back, or a link in the dialog, leads away from what it is about.
  window.addEventListener("popstate", leave, { signal: moves.signal });
  document.body.append(element);
  element.showModal();
  focusFirst(element);
  return {
    element,
    setTitle: (text) => {
      heading.textContent = text;
    },
    close: () => element.close(),
    closed,
  };
}

/**
 * Ask for confirmation.
 * @param {{title: string, text: string, submit: string}} question `submit` is the label of the button that runs it
 * @param {() => void} run
 */
export function confirmDialog({ title, text, submit }, run) {
  const confirm = () => {
    dialog.close();
    run();
  };
  const actions = [
    h("button", { type: "button", onclick: () => dialog.close() }, t("cancel")),
    h("button", { type: "button", class: "primary", onclick: confirm }, submit),
  ];
  const dialog = openDialog({ title, content: [h("p", {}, text), h("div", { class: "actions" }, ...actions)] });
}

/** Focus the first field, else the title, so that it is read from its beginning. @param {HTMLElement} element */
function focusFirst(element) {
  const first = element.querySelector(".dialog-body :is(input, select, textarea):not([disabled])");
  const target = first ?? element.querySelector("h2");
  if (target instanceof HTMLElement) target.focus();
}

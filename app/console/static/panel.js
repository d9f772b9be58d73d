// @ts-check
/** The side panel: beside the view on wide screens; on narrow ones it covers everything else. */
import { fill, h, newId } from "./dom.js";
import { icon } from "./icons.js";
import { t } from "./messages.js";

// The same width as in console.css.
const COVERS = window.matchMedia("(max-width: 64rem)");

/**
 * Open the panel with this content. There is one at most: the caller closes its own first.
 * @param {object} options
 * @param {HTMLElement} options.content
 * @param {() => void} options.onClose what the cross and Escape do; it is to call `close`
 * @returns {{setTitle: (...title: import("./dom.js").Child[]) => void, close: () => void}}
 */
export function openPanel({ content, onClose }) {
  const titleId = newId("panel-title");
  const title = h("h2", { id: titleId, tabindex: "-1" }, t("loading"));
  const element = h(
    "aside",
    { class: "panel", "aria-labelledby": titleId, onkeydown: leave },
    h(
      "header",
      {},
      title,
      h("button", { type: "button", class: "bare", "aria-label": t("close"), onclick: onClose }, icon("close")),
    ),
    h("div", { class: "panel-body" }, content),
  );

  /** @param {KeyboardEvent} event */
  function leave(event) {
    if (event.key === "Escape") onClose();
  }

  function cover() {
    for (const each of document.querySelectorAll(".shell > :not(.frame), .frame > :not(.panel)")) {
      if (each instanceof HTMLElement) each.inert = COVERS.matches;
    }
  }

  function uncover() {
    COVERS.removeEventListener("change", cover);
    for (const each of document.querySelectorAll("[inert]")) each.removeAttribute("inert");
  }

  document.querySelector(".frame")?.append(element);
  cover();
  COVERS.addEventListener("change", cover);
  title.focus();
  return {
    setTitle: (...children) => fill(title, ...children),
    close() {
      uncover();
      element.remove();
    },
  };
}

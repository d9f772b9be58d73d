// @ts-check
/** The side panel: beside the view on wide screens; on narrow screens it covers everything else. */
import { t } from "../language/translate.js";
import { fill, h, newId } from "./dom.js";
import { icon } from "./icons.js";

// The same width as in console.css.
const COVERS = window.matchMedia("(max-width: 64rem)");

/** @typedef {(...title: import("./dom.js").Child[]) => void} SetTitle */

/**
 * The panel of a view with a table. It shows the row that the address names, and gives the focus back to that row.
 * @template {HTMLElement & {start?: () => void}} Content
 */
export class RowPanel {
  #table;
  #create;
  #leave;
  /** @type {{id: string, content: Content, close: () => void} | null} */
  #shown = null;

  /**
   * @param {import("./table.js").Table<any>} table whose rows have a link with `data-key="open-<id>"`
   * @param {object} options
   * @param {(id: string, setTitle: SetTitle) => Content} options.create the content; its `start`, if any, is called
   *   when it is on the page
   * @param {() => void} options.onClose goes to the address without the panel
   */
  constructor(table, { create, onClose }) {
    this.#table = table;
    this.#create = create;
    this.#leave = onClose;
  }

  /** The id of the row that is shown; null = none. */
  get id() {
    return this.#shown?.id ?? null;
  }

  get content() {
    return this.#shown?.content ?? null;
  }

  /** @param {string | null} id null = none */
  show(id) {
    if (id === this.id) return;
    const closed = this.#shown;
    this.close();
    this.#table.mark(id);
    if (id !== null) {
      const content = this.#create(id, (...title) => panel.setTitle(...title));
      const panel = openPanel({ content, onClose: this.#leave });
      this.#shown = { id, content, close: panel.close };
      content.start?.();
    } else if (closed !== null) {
      const link = this.#table.element.querySelector(`[data-key="open-${CSS.escape(closed.id)}"]`) ?? document.getElementById("main");
      if (link instanceof HTMLElement) link.focus();
    }
  }

  close() {
    this.#shown?.close();
    this.#shown = null;
  }
}

/**
 * Open the panel with this content. The caller closes its previous one first.
 * @param {object} options
 * @param {HTMLElement} options.content
 * @param {() => void} options.onClose called by the cross and Escape; it has to call `close`
 * @returns {{setTitle: SetTitle, close: () => void}}
 */
function openPanel({ content, onClose }) {
  const title = h("h2", { id: newId("panel-title"), tabindex: "-1" }, t("loading"));
  const element = h(
    "aside",
    { class: "panel", "aria-labelledby": title.id, onkeydown: leave },
    h("header", {}, title, h("button", { type: "button", class: "bare", "aria-label": t("close"), onclick: onClose }, icon("close"))),
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

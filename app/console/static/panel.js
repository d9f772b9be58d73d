// @ts-check
/** The side panel: beside the view on wide screens; on narrow ones it covers everything else. */
import { fill, h, newId } from "./dom.js";
import { icon } from "./icons.js";
import { t } from "./messages.js";

// The same width as in console.css.
const COVERS = window.matchMedia("(max-width: 64rem)");

/**
 * The panel of a view with a table: it shows the row that the address names, and gives the focus back to it.
 * @template {HTMLElement & {start?: () => void}} C
 */
export class RowPanel {
  #table;
  #make;
  #leave;
  /** @type {{id: string, content: C, close: () => void} | null} */
  #shown = null;

  /**
   * @param {import("./table.js").Table<any>} table whose rows hold a link with `data-key="open-<id>"`
   * @param {object} options
   * @param {(id: string, setTitle: (...title: import("./dom.js").Child[]) => void) => C} options.make
   *   what is in it; its `start`, where it has one, is called once it is on the page
   * @param {() => void} options.onClose goes to the place without it
   */
  constructor(table, { make, onClose }) {
    this.#table = table;
    this.#make = make;
    this.#leave = onClose;
  }

  /** The id of what is shown; null = nothing. */
  get id() {
    return this.#shown?.id ?? null;
  }

  get content() {
    return this.#shown?.content ?? null;
  }

  /** @param {string | null} id null = nothing */
  show(id) {
    if (id === this.id) return;
    const closed = this.#shown;
    this.close();
    this.#table.mark(id);
    if (id !== null) {
      const content = this.#make(id, (...title) => panel.setTitle(...title));
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
 * Open the panel with this content. There is one at most: the caller closes its own first.
 * @param {object} options
 * @param {HTMLElement} options.content
 * @param {() => void} options.onClose what the cross and Escape do; it is to call `close`
 * @returns {{setTitle: (...title: import("./dom.js").Child[]) => void, close: () => void}}
 */
function openPanel({ content, onClose }) {
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

// @ts-check
/** A table with sorting. On narrow screens it becomes a list of cards. */
import { t } from "../language/translate.js";
import { fill, h, keepFocus } from "./dom.js";
import { icon } from "./icons.js";

/** @typedef {import("./dom.js").Child} Child */

/**
 * @template T
 * @typedef {object} Column
 * @property {string} name its class is `column-name`
 * @property {Child} title text, or an element such as a check box with its own label
 * @property {(item: T) => Child | Child[]} cell
 * @property {string} [sort] what the API sorts by; with `-` before it, descending
 * @property {boolean} [isHeading] whether it names the row
 */

/** @template T */
export class Table {
  /** @type {Column<T>[]} */ #columns;
  /** @type {(item: T) => string} */ #keyOf;
  /** @type {(item: T) => void} */ #open;
  /** @type {Map<string, {item: T, row: HTMLElement}>} */ #rows = new Map();
  #sort = "";
  /** @type {string | null} */ #marked = null;

  /**
   * @param {object} options
   * @param {string} options.label for screen readers
   * @param {Column<T>[]} options.columns
   * @param {(item: T) => string} options.keyOf
   * @param {(sort: string) => void} [options.onSort]
   * @param {(item: T) => void} [options.onOpen] called by a click on a row beside its controls; one of these has to do the same
   */
  constructor({ label, columns, keyOf, onSort = () => {}, onOpen = () => {} }) {
    this.#columns = columns;
    this.#keyOf = keyOf;
    this.#open = onOpen;
    this.onSort = onSort;
    this.head = h("thead", { role: "rowgroup" });
    this.body = h("tbody", { role: "rowgroup" });
    // The elements have these roles anyway, but the style of narrow screens removes them.
    const table = h("table", { role: "table", "aria-label": label }, this.head, this.body);
    /** To be put on the page. */
    this.element = h("div", { class: "table" }, table);
    this.sortBy("");
  }

  /** The items that are shown, in order. */
  get items() {
    return [...this.#rows.values()].map(({ item }) => item);
  }

  /** Show these items and no others. @param {T[]} items */
  show(items) {
    this.#rows = new Map(items.map((item) => [this.#keyOf(item), { item, row: this.#row(item) }]));
    keepFocus(this.body, () => fill(this.body, ...[...this.#rows.values()].map(({ row }) => row)));
  }

  /** Redraw this item if it is shown. @param {T} item */
  update(item) {
    const shown = this.#rows.get(this.#keyOf(item));
    if (shown === undefined) return;
    const row = this.#row(item);
    keepFocus(shown.row.parentElement ?? this.body, () => shown.row.replaceWith(row));
    this.#rows.set(this.#keyOf(item), { item, row });
  }

  /** Redraw the head with this column as the sorted one. @param {string} sort */
  sortBy(sort) {
    this.#sort = sort;
    const cells = this.#columns.map((column) => this.#heading(column));
    keepFocus(this.head, () => fill(this.head, h("tr", { role: "row" }, ...cells)));
  }

  /** Mark the row with this key as open; null = none. @param {string | null} key */
  mark(key) {
    this.#marked = key;
    for (const [each, { row }] of this.#rows) row.classList.toggle("marked", each === key);
  }

  /** Say whether the rows are about to be replaced. @param {boolean} isBusy */
  setBusy(isBusy) {
    this.element.setAttribute("aria-busy", String(isBusy));
  }

  /** @param {Column<T>} column */
  #heading({ name, title, sort }) {
    const attributes = { role: "columnheader", scope: "col", class: `column-${name}` };
    if (sort === undefined) return h("th", attributes, title);
    const direction = { [sort]: "ascending", [`-${sort}`]: "descending" }[this.#sort];
    const next = direction === "ascending" ? `-${sort}` : sort;
    const image = icon(direction === "ascending" ? "up" : direction === "descending" ? "down" : "both");
    return h(
      "th",
      { ...attributes, "aria-sort": direction },
      h(
        "button",
        { type: "button", class: "sort", title: t("sort"), onclick: () => this.onSort(next), dataset: { key: `sort-${sort}` } },
        title,
        image,
      ),
    );
  }

  /** @param {T} item */
  #row(item) {
    const key = this.#keyOf(item);
    const cells = this.#columns.map(({ name, title, cell, isHeading }) =>
      h(
        isHeading ? "th" : "td",
        {
          role: isHeading ? "rowheader" : "cell",
          scope: isHeading && "row",
          class: `column-${name}`,
          // The style of narrow screens shows this before the value.
          dataset: typeof title === "string" ? { label: title } : {},
        },
        ...[cell(item)].flat(),
      ),
    );
    return h(
      "tr",
      { role: "row", class: key === this.#marked && "marked", onclick: (/** @type {MouseEvent} */ event) => this.#click(event, key) },
      ...cells,
    );
  }

  /** @param {MouseEvent} event @param {string} key */
  #click(event, key) {
    const isControl = event.target instanceof Element && event.target.closest("a, button, input, label, select");
    const isSelecting = window.getSelection()?.type === "Range";
    const shown = this.#rows.get(key);
    if (!isControl && !isSelecting && shown !== undefined) this.#open(shown.item);
  }
}

// @ts-check
/** The line below the list: which rows are shown, how many per page, and the way to other pages. */
import { formatNumber } from "../language/format.js";
import { fill, h } from "../ui/dom.js";
import { field } from "../ui/form.js";
import { icon } from "../ui/icons.js";
import { t } from "./messages.js";

const PAGE_SIZES = [25, 50, 100, 250];

export class Pager {
  #summary = h("p", { class: "summary", role: "status" });
  #size;
  #previous;
  #next;

  /** @param {{onSize: (size: string) => void, onPrevious: () => void, onNext: () => void}} options */
  constructor({ onSize, onPrevious, onNext }) {
    const options = PAGE_SIZES.map((size) => h("option", { value: String(size) }, formatNumber(size)));
    this.#size = h("select", { onchange: () => onSize(this.#size.value) }, ...options);
    this.#previous = h("button", { type: "button", onclick: onPrevious }, icon("left"), t("list.previous"));
    this.#next = h("button", { type: "button", onclick: onNext }, t("list.next"), icon("right"));
    this.element = h(
      "div",
      { class: "pager" },
      this.#summary,
      field({ name: "limit", label: t("list.size"), control: this.#size }),
      h("div", { class: "actions" }, this.#previous, this.#next),
    );
  }

  /** @param {string} size */
  setSize(size) {
    this.#size.value = size;
  }

  /** @param {boolean} hasPrevious @param {boolean} hasNext */
  setPages(hasPrevious, hasNext) {
    // `disabled` would take the focus from the user who has just clicked.
    this.#previous.setAttribute("aria-disabled", String(!hasPrevious));
    this.#next.setAttribute("aria-disabled", String(!hasNext));
  }

  /**
   * @param {number} shown how many rows are shown
   * @param {number | null} total how many match; null = not known yet
   * @param {number | null} first the number of the first row; null = not known
   */
  setSummary(shown, total, first) {
    const text = summaryText(shown, total, first);
    // Screen readers read every change.
    if (this.#summary.textContent !== text) fill(this.#summary, text);
  }
}

/** @param {number} shown @param {number | null} total @param {number | null} first */
function summaryText(shown, total, first) {
  if (shown === 0) return t("list.none");
  if (total === null) return t("list.shown", { count: shown });
  if (first === null) return t("list.page", { shown, count: total });
  return t("list.range", { first, last: first + shown - 1, count: total });
}

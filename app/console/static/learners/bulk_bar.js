// @ts-check
/** Selecting learners in the list, on this page and on all pages, and choosing an action for them. */
import { fill, h } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { nameOf } from "./learner.js";
import { t } from "./messages.js";
import { Selection } from "./selection.js";

/** @typedef {import("./learner.js").Learner} Learner */
/** @typedef {import("../operations/operation.js").Action} Action */

/** The status whose icon each action has. */
const LOOKS = /** @type {const} */ ({ activate: "active", deactivate: "deactivated", "set-expiration": "expired" });

const BULK_ACTIONS = /** @type {Action[]} */ (Object.keys(LOOKS));

export class BulkBar {
  selection = new Selection();
  #view;
  /** The id where a range begins. @type {string | null} */
  #anchor = null;
  #status = h("p", { role: "status" });
  #page = h("input", { type: "checkbox", disabled: true, "aria-label": t("selection.page"), dataset: { key: "pick-page" }, onchange: () => this.#pickPage() });
  #all = h("button", { type: "button", class: "link", hidden: true, onclick: () => this.#selectAll() });
  #clear = h("button", { type: "button", class: "link", hidden: true, onclick: () => this.#unselect() }, t("selection.clear"));
  #menu = h("div", { id: "bulk-actions", class: "menu", popover: true }, ...BULK_ACTIONS.map((action) => this.#actionButton(action)));
  #choose = h("button", { type: "button", disabled: true, popovertarget: "bulk-actions" }, t("bulk.choose"), icon("down"));
  element = h("div", { class: "tools" }, this.#choose, this.#menu, this.#status, this.#all, this.#clear);

  /** @param {import("./view.js").default} view */
  constructor(view) {
    this.#view = view;
    this.selection.addEventListener("change", () => this.draw());
  }

  /** The column of check boxes. @returns {import("./list_columns.js").Column} */
  get column() {
    return { name: "pick", title: h("label", {}, this.#page), cell: (learner) => this.#cell(learner) };
  }

  /** How many are selected; 0 while it is not known how many match. */
  get #count() {
    return this.selection.count(this.#view.total ?? 0);
  }

  /** Show the selection in the rows of this page. */
  draw() {
    const { selection } = this;
    const boxes = findBoxes(this.#view.table.body);
    for (const box of boxes) box.checked = selection.has(box.value);
    const picked = boxes.filter(({ checked }) => checked).length;
    this.#page.checked = picked > 0 && picked === boxes.length;
    this.#page.indeterminate = picked > 0 && picked < boxes.length;
    this.#page.disabled = boxes.length === 0;
    const [count, total] = [this.#count, this.#view.total ?? 0];
    const without = total - count;
    const kind = count === 0 ? "none" : !selection.isAll ? "some" : without === 0 ? "all" : "but";
    const text = t(`selection.${kind}`, { count, without });
    if (this.#status.textContent !== text) fill(this.#status, text);
    this.#all.hidden = !this.#page.checked || selection.isAll || total <= count;
    fill(this.#all, t("selection.select_all", { count: total }));
    this.#clear.hidden = count === 0;
    this.#choose.disabled = count === 0;
    this.element.classList.toggle("sticky", count > 0);
  }

  /** @param {Action} action */
  #actionButton(action) {
    const look = LOOKS[action];
    return h("button", { type: "button", onclick: () => this.#act(action) }, h("span", { class: `status ${look}` }, icon(look)), t(`action.${action}`));
  }

  /** @param {Learner} learner */
  #cell(learner) {
    const { id } = learner;
    const box = h("input", {
      type: "checkbox",
      name: "pick",
      value: id,
      checked: this.selection.has(id),
      "aria-label": t("selection.one", { name: nameOf(learner) }),
      dataset: { key: `pick-${id}` },
      onclick: (/** @type {MouseEvent} */ event) => this.#pick(id, box.checked, event.shiftKey),
      onkeydown: moveByArrow,
    });
    return h("label", {}, box);
  }

  /** @param {string} id @param {boolean} isSelected @param {boolean} isRange whether it includes all rows since the last pick */
  #pick(id, isSelected, isRange) {
    const ids = this.#view.table.items.map((learner) => learner.id);
    const [from, to] = [isRange && this.#anchor ? ids.indexOf(this.#anchor) : -1, ids.indexOf(id)];
    this.#anchor = id;
    this.selection.set(from < 0 ? [id] : ids.slice(Math.min(from, to), Math.max(from, to) + 1), isSelected);
  }

  #pickPage() {
    this.selection.set(this.#view.table.items.map(({ id }) => id), this.#page.checked);
  }

  #selectAll() {
    this.selection.selectAll(this.#view.filter);
    this.#choose.focus(); // the clicked button is gone
  }

  #unselect() {
    this.selection.clear();
    this.#page.focus();
  }

  /** @param {Action} action */
  async #act(action) {
    this.#menu.hidePopover();
    const { openBulkDialog } = await import("./bulk_dialog.js");
    openBulkDialog(action, this.selection.toJSON(), this.#count, {
      onChange: () => this.#view.reload(),
      onDone: () => this.selection.clear(),
      returnTo: () => (this.#choose.disabled ? this.#page : this.#choose),
      leaving: this.#view.leaving,
    });
  }
}

/** @param {Element} container @returns {HTMLInputElement[]} */
function findBoxes(container) {
  return [...container.querySelectorAll("input")].filter(({ name }) => name === "pick");
}

/** Move from box to box with the arrow keys. @param {KeyboardEvent} event */
function moveByArrow(event) {
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  const row = event.target instanceof Element ? event.target.closest("tr") : null;
  const next = event.key === "ArrowDown" ? row?.nextElementSibling : row?.previousElementSibling;
  if (next) findBoxes(next)[0]?.focus();
  event.preventDefault();
}

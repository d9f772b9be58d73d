// @ts-check
/** Selecting learners in their list, on this page and beyond it, and choosing what is done with them. */
import { fill, h } from "./dom.js";
import { icon } from "./icons.js";
import { nameOf } from "./learner.js";
import { t } from "./messages.js";
import { Selection } from "./selection.js";

/** @typedef {import("./learner.js").Learner} Learner */
/** @typedef {"activate" | "deactivate"} Action */

/** How it looks afterwards. */
const ICONS = /** @type {const} */ ({ activate: "active", deactivate: "deactivated" });

export class BulkBar {
  selection = new Selection();
  /** Where a range begins. @type {string | null} */
  #anchor = null;
  #said = h("p", { role: "status" });
  #page = h("input", { type: "checkbox", disabled: true, "aria-label": t("selection.page"), dataset: { key: "pick-page" }, onchange: () => this.#pickPage() });
  #all = h("button", { type: "button", class: "link", hidden: true, onclick: () => this.#selectAll() });
  #clear = h("button", { type: "button", class: "link", hidden: true, onclick: () => this.#unselect() }, t("selection.clear"));
  #actions = h(
    "div",
    { id: "bulk-actions", class: "menu", popover: true },
    .../** @type {Action[]} */ (["activate", "deactivate"]).map((action) =>
      h("button", { type: "button", onclick: () => this.#act(action) }, h("span", { class: `status ${ICONS[action]}` }, icon(ICONS[action])), t(`learner.${action}`)),
    ),
  );
  #choose = h("button", { type: "button", disabled: true, popovertarget: "bulk-actions" }, t("bulk.choose"), icon("down"));
  element = h("div", { class: "tools" }, this.#choose, this.#actions, this.#said, this.#all, this.#clear);

  /** @param {import("./views/learners.js").default} view */
  constructor(view) {
    this.view = view;
    this.selection.addEventListener("change", () => this.draw());
  }

  /** The check boxes. @returns {import("./table.js").Column<Learner>} */
  get column() {
    return { name: "pick", title: h("label", {}, this.#page), cell: (learner) => this.#cell(learner) };
  }

  /** How many are selected; none as long as it is not known how many match. */
  get #count() {
    return this.selection.count(this.view.total ?? 0);
  }

  /** Show what is selected, of what is listed now. */
  draw() {
    const { selection, view } = this;
    const boxes = [...view.table.body.querySelectorAll("[name=pick]")];
    for (const box of boxes) box.checked = selection.has(box.value);
    const picked = boxes.filter(({ checked }) => checked).length;
    this.#page.checked = picked > 0 && picked === boxes.length;
    this.#page.indeterminate = picked > 0 && picked < boxes.length;
    this.#page.disabled = boxes.length === 0;
    const [count, total] = [this.#count, view.total ?? 0];
    const without = total - count;
    const kind = count === 0 ? "none" : !selection.isAll ? "some" : without === 0 ? "all" : "but";
    const text = t(`selection.${kind}`, { count, without });
    if (this.#said.textContent !== text) fill(this.#said, text);
    this.#all.hidden = !this.#page.checked || selection.isAll || total <= count;
    fill(this.#all, t("selection.select_all", { count: total }));
    this.#clear.hidden = count === 0;
    this.#choose.disabled = count === 0;
    this.element.classList.toggle("sticky", count > 0);
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
      onkeydown: step,
    });
    return h("label", {}, box);
  }

  /** @param {string} id @param {boolean} isSelected @param {boolean} isRange whether all from the last one on are meant */
  #pick(id, isSelected, isRange) {
    const ids = this.view.table.items.map((learner) => learner.id);
    const [from, to] = [isRange && this.#anchor ? ids.indexOf(this.#anchor) : -1, ids.indexOf(id)];
    this.#anchor = id;
    this.selection.set(from < 0 ? [id] : ids.slice(Math.min(from, to), Math.max(from, to) + 1), isSelected);
  }

  #pickPage() {
    this.selection.set(this.view.table.items.map(({ id }) => id), this.#page.checked);
  }

  #selectAll() {
    this.selection.selectAll(this.view.filter);
    this.#choose.focus(); // what was clicked has gone
  }

  #unselect() {
    this.selection.clear();
    this.#page.focus();
  }

  /** @param {Action} action */
  async #act(action) {
    this.#actions.hidePopover();
    const { openBulkDialog } = await import("./bulk_dialog.js");
    openBulkDialog(action, this.selection.toJSON(), this.#count, {
      onChange: () => this.view.reload(),
      onDone: () => this.selection.clear(),
      returnTo: () => (this.#choose.disabled ? this.#page : this.#choose),
      leaving: this.view.leaving,
    });
  }
}

/** From box to box with the arrow keys. @param {KeyboardEvent} event */
function step(event) {
  const direction = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
  if (direction === undefined || !(event.target instanceof Element)) return;
  const row = Reflect.get(event.target.closest("tr") ?? {}, direction);
  row?.querySelector("[name=pick]").focus();
  event.preventDefault();
}

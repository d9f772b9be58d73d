// @ts-check
/** The selected learners: some by their ids, or all that match a filter except some. A million take no more room than ten. */

/** Dispatches `change` at every change. */
export class Selection extends EventTarget {
  /** The selected ids; with a filter, the excepted ones. @type {Set<string>} */
  #ids = new Set();
  /** @type {import("./list_query.js").Filter | null} */
  #filter = null;

  /** Whether all that match are selected, except some. */
  get isAll() {
    return this.#filter !== null;
  }

  /** @param {string} id of a learner that matches the filter */
  has(id) {
    return this.#ids.has(id) !== this.isAll;
  }

  /** Count the selected learners. @param {number} matching how many match the filter */
  count(matching) {
    return this.isAll ? Math.max(0, matching - this.#ids.size) : this.#ids.size;
  }

  /** Select or unselect these. @param {string[]} ids @param {boolean} isSelected */
  set(ids, isSelected) {
    for (const id of ids) {
      if (isSelected === this.isAll) this.#ids.delete(id);
      else this.#ids.add(id);
    }
    this.#notify();
  }

  /** Select all that match, on all pages. @param {import("./list_query.js").Filter} filter */
  selectAll(filter) {
    this.#filter = filter;
    this.#ids.clear();
    this.#notify();
  }

  clear() {
    this.#filter = null;
    this.#ids.clear();
    this.#notify();
  }

  /** Return the selection as the API takes it. */
  toJSON() {
    const ids = [...this.#ids];
    return this.#filter === null ? { ids } : { filter: this.#filter, except_ids: ids };
  }

  #notify() {
    this.dispatchEvent(new Event("change"));
  }
}

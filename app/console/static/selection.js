// @ts-check
/** Who is selected: some by their ids, or all that match a filter but for some. As small with a million as with ten. */

/** Tells of every change with the event `change`. */
export class Selection extends EventTarget {
  /** Who is selected; with a filter, who is not. @type {Set<string>} */
  #ids = new Set();
  /** @type {Record<string, any> | null} */
  #filter = null;

  /** Whether it is all that match, but for some. */
  get isAll() {
    return this.#filter !== null;
  }

  /** @param {string} id of a learner whom the filter matches */
  has(id) {
    return this.#ids.has(id) !== this.isAll;
  }

  /** How many, where so many match. @param {number} matching */
  count(matching) {
    return this.isAll ? Math.max(0, matching - this.#ids.size) : this.#ids.size;
  }

  /** Select these, or unselect them. @param {string[]} ids @param {boolean} isSelected */
  set(ids, isSelected) {
    for (const id of ids) {
      if (isSelected === this.isAll) this.#ids.delete(id);
      else this.#ids.add(id);
    }
    this.#tell();
  }

  /** Select all that match it, seen or not. @param {Record<string, any>} filter */
  selectAll(filter) {
    this.#filter = filter;
    this.#ids.clear();
    this.#tell();
  }

  clear() {
    this.#filter = null;
    this.#ids.clear();
    this.#tell();
  }

  /** As the API takes it. */
  toJSON() {
    const ids = [...this.#ids];
    return this.#filter === null ? { ids } : { filter: this.#filter, except_ids: ids };
  }

  #tell() {
    this.dispatchEvent(new Event("change"));
  }
}

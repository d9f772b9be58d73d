// @ts-check
/** User Management: the list of learners. Its filter, order and page are in the address. */
import * as api from "../api/client.js";
import { download } from "../api/download.js";
import { isAborted, isProblem } from "../api/problem.js";
import { today } from "../language/format.js";
import { addressOf, go, here } from "../shell/location.js";
import { may } from "../shell/session.js";
import { View } from "../shell/view.js";
import { confirmDialog } from "../ui/dialog.js";
import { fill, h } from "../ui/dom.js";
import { problemNotice, tryAgainButton } from "../ui/notice.js";
import { RowPanel } from "../ui/panel.js";
import { Table } from "../ui/table.js";
import { toast, toastProblem } from "../ui/toast.js";
import { BulkBar } from "./bulk_bar.js";
import { onLearnerChange } from "./changes.js";
import { nameOf } from "./learner.js";
import { listColumns } from "./list_columns.js";
import { changeParams, filterOf, PATH, queryOf, settingOf } from "./list_query.js";
import { t } from "./messages.js";
import { Pager } from "./pager.js";
import { LearnerPanel } from "./panel.js";
import { searchField } from "./search_field.js";
import { StatusChips } from "./status_chips.js";

/** @typedef {import("./learner.js").Learner} Learner */
/** @typedef {import("../shell/location.js").Place} Place */

export default class LearnersView extends View {
  #params = new URLSearchParams();
  /** The cursors of the pages before this one; that of the first page is "". @type {string[]} */
  #before = [];
  /** @type {string | null} */
  #nextCursor = null;
  /** The query of the list that is shown or loading. A move that asks for the same loads nothing. */
  #listed = "";
  /** The search whose counts are shown or loading. */
  #counted = "";
  /** @type {import("./status_chips.js").Counts | null} */
  #counts = null;
  #loading = new AbortController();
  #counting = new AbortController();
  /** Selecting many learners, and acting on them. */
  #bulk = may("learners:bulk") ? new BulkBar(this) : null;

  problem = h("div");
  chips = new StatusChips((status) => this.#change({ status }));
  search = searchField((q, isNew) => {
    // One search is one step back, however many keys it took.
    if (!this.leaving.aborted) this.#change({ q }, { replace: !isNew });
  });
  pager = new Pager({ onSize: (limit) => this.#change({ limit }), onPrevious: () => this.#goBack(), onNext: () => this.#goOn() });
  /** @type {Table<Learner>} */
  table = new Table({
    label: t("nav.learners"),
    columns: [...(this.#bulk ? [this.#bulk.column] : []), ...listColumns((learner) => this.#link(learner))],
    keyOf: ({ id }) => id,
    onSort: (sort) => this.#change({ sort }),
    onOpen: (learner) => this.#open(learner),
  });
  /** @type {RowPanel<LearnerPanel>} */
  panel = new RowPanel(this.table, {
    create: (id, setTitle) => new LearnerPanel(id, this.table.items.find((learner) => learner.id === id) ?? null, setTitle),
    onClose: () => this.#open(null),
  });

  /** @param {Place} place */
  static prefetch({ params }) {
    api.prefetch("/learners", { query: queryOf(params) });
  }

  connectedCallback() {
    const exportButton = h("button", { type: "button", onclick: () => this.#export() }, t("list.export"));
    fill(
      this,
      h("div", { class: "heading" }, h("h1", {}, t("nav.learners")), h("div", { class: "actions" }, exportButton)),
      h("search", { class: "filters" }, this.search.element, this.chips.element),
      this.#bulk?.element ?? h("div"),
      this.problem,
      this.table.element,
      this.pager.element,
    );
    onLearnerChange((learner) => this.#showChange(learner), this.leaving);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    this.#loading.abort();
    this.#counting.abort();
    this.panel.close();
  }

  /** Which learners are listed, on all pages. */
  get filter() {
    return filterOf(this.#params);
  }

  /** How many are listed, on all pages; null = not known yet. */
  get total() {
    const counts = this.#counts;
    if (counts === null) return null;
    const { status } = this.filter;
    return status === undefined ? counts.total : status.reduce((sum, each) => sum + counts[each], 0);
  }

  /** Load everything again that is shown. */
  reload() {
    this.#load();
    this.#count();
    this.panel.content?.reload();
  }

  /** @param {Place} place */
  show({ params, state }) {
    const filter = JSON.stringify(this.filter);
    this.#params = params;
    if (JSON.stringify(this.filter) !== filter) this.#bulk?.selection.clear();
    this.#before = state?.before ?? [];
    const q = params.get("q") ?? "";
    this.search.show(q);
    this.pager.setSize(settingOf(params, "limit"));
    this.table.sortBy(settingOf(params, "sort"));
    this.#drawChips();
    if (JSON.stringify(queryOf(params)) !== this.#listed) this.#load();
    else this.#drawPager();
    if (this.#counts === null || q !== this.#counted) this.#count();
    this.panel.show(params.get("learner"));
  }

  async #load() {
    const query = queryOf(this.#params);
    this.#listed = JSON.stringify(query);
    this.#loading.abort();
    this.#loading = new AbortController();
    this.table.setBusy(true);
    try {
      const page = await api.get("/learners", { query, signal: this.#loading.signal });
      this.#nextCursor = page.next_cursor;
      this.table.show(page.items);
      this.table.setBusy(false);
      fill(this.problem);
      this.#drawPager();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Count apart from the list: counting a million takes longer than showing fifty. */
  async #count() {
    const { q } = this.filter;
    this.#counted = q ?? "";
    this.#counting.abort();
    this.#counting = new AbortController();
    try {
      this.#counts = await api.get("/learners/status-counts", { query: { q }, signal: this.#counting.signal });
      this.#drawChips();
      this.#drawPager();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Export all learners that match, on all pages, in the columns of an import. */
  async #export() {
    try {
      toast(t("list.exporting"));
      await download("/learners", `learners-${today()}.csv`, { query: this.filter });
    } catch (error) {
      toastProblem(error);
    }
  }

  /** @param {unknown} error */
  #fail(error) {
    if (isAborted(error)) return;
    this.table.setBusy(false);
    this.#listed = "";
    // A cursor of another list stays wrong: go to the first page instead.
    const tryAgain = () => (isProblem(error, "invalid-cursor") ? this.#change({}) : this.reload());
    fill(this.problem, problemNotice(error, tryAgainButton(tryAgain)));
  }

  /**
   * Go to the first page with these settings changed.
   * @param {Parameters<typeof changeParams>[1]} changes
   * @param {{replace?: boolean}} [options]
   */
  #change(changes, options) {
    go(PATH, changeParams(this.#params, changes), options);
  }

  /** @param {string} cursor "" = the first page @param {string[]} before */
  #turn(cursor, before) {
    const params = new URLSearchParams(this.#params);
    params.delete("learner");
    if (cursor) params.set("cursor", cursor);
    else params.delete("cursor");
    go(PATH, params, { state: { before } });
    this.table.element.scrollIntoView({ block: "nearest" });
  }

  #goOn() {
    if (this.#nextCursor !== null) this.#turn(this.#nextCursor, [...this.#before, this.#params.get("cursor") ?? ""]);
  }

  /** Go to the previous page, or to the first one when a bookmark does not tell which page came before. */
  #goBack() {
    if (this.#params.has("cursor")) this.#turn(this.#before.at(-1) ?? "", this.#before.slice(0, -1));
  }

  /** @param {Learner | null} learner null = none */
  #paramsWith(learner) {
    const params = new URLSearchParams(this.#params);
    if (learner === null) params.delete("learner");
    else params.set("learner", learner.id);
    return params;
  }

  /** Open the learner in the panel. Unsaved changes there are not lost without asking. @param {Learner | null} learner */
  #open(learner) {
    const open = () => go(PATH, this.#paramsWith(learner), { state: here().state });
    const question = { title: t("unsaved.title"), text: t("unsaved.explain"), submit: t("unsaved.submit") };
    if (this.panel.content?.isChanged && this.panel.id !== learner?.id) confirmDialog(question, open);
    else open();
  }

  #drawChips() {
    this.chips.draw(this.filter.status ?? [], this.#counts);
  }

  #drawPager() {
    const hasPrevious = this.#params.has("cursor");
    this.pager.setPages(hasPrevious, this.#nextCursor !== null);
    const isPlaceKnown = !hasPrevious || this.#before.length > 0;
    const first = isPlaceKnown ? this.#before.length * Number(settingOf(this.#params, "limit")) + 1 : null;
    if (this.#listed) this.pager.setSummary(this.table.items.length, this.total, first);
    this.#bulk?.draw();
  }

  /** @param {Learner} learner */
  #link(learner) {
    const open = (/** @type {MouseEvent} */ event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return; // opens another tab or window
      event.preventDefault();
      this.#open(learner);
    };
    const href = addressOf(PATH, this.#paramsWith(learner));
    return h("a", { href, onclick: open, dataset: { key: `open-${learner.id}` } }, h("bdi", {}, nameOf(learner)));
  }

  /** @param {Learner} learner */
  #showChange(learner) {
    // The row stays even if it no longer matches the filter, so that the change can be seen and undone.
    this.table.update(learner);
    this.#count();
  }
}

customElements.define("learners-view", LearnersView);

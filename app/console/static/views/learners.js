// @ts-check
/** User Management: the list of learners, with its filters, its order and its pages, all of them in the address. */
import * as api from "../api.js";
import { BulkBar } from "../bulk_bar.js";
import { confirmDialog } from "../dialog.js";
import { debounce, fill, h, keepFocus } from "../dom.js";
import { field } from "../form.js";
import { date, dayOf, number, today } from "../format.js";
import { icon } from "../icons.js";
import { nameOf, STATUSES } from "../learner.js";
import { onLearnerChange } from "../learner_actions.js";
import { addressOf, go, here } from "../location.js";
import { t } from "../messages.js";
import { problemNotice } from "../notice.js";
import { RowPanel } from "../panel.js";
import { may } from "../session.js";
import { statusControl } from "../status_control.js";
import { Table } from "../table.js";
import { toast, toastProblem } from "../toast.js";
import { View } from "../view.js";
import { LearnerPanel } from "./learner_panel.js";

/** @typedef {import("../learner.js").Learner} Learner */
/** @typedef {import("../learner.js").Status} Status */

const PATH = "learners";
const PAGE_SIZES = [25, 50, 100, 250];
const DEFAULTS = { sort: "last_name", limit: "50" };
const TYPING_MILLISECONDS = 200;

export default class LearnersView extends View {
  #params = new URLSearchParams();
  /** The cursors of the pages before this one, the first page's being "". @type {string[]} */
  #before = [];
  /** @type {string | null} */
  #nextCursor = null;
  /** What is shown: an address that asks for the same is no reason to load. */
  #listed = "";
  #counted = "";
  /** @type {Record<Status | "total", number> | null} */
  #counts = null;
  #loading = new AbortController();
  #counting = new AbortController();
  /** Whether the next key begins a search; only then is there something to go back to. */
  #isNewSearch = true;
  /** Selecting, and what is done with who is selected. */
  #bulk = may("learners:bulk") ? new BulkBar(this) : null;

  problem = h("div");
  /** Where bulk actions put their controls. */
  tools = this.#bulk?.element ?? h("div");
  /** At the right of the heading: what is done with the whole list, such as an export. */
  actions = h("div", { class: "actions" }, h("button", { type: "button", onclick: () => this.#export() }, t("learners.export")));
  chips = h("div", { class: "chips", role: "group", "aria-label": t("learners.statuses") });
  summary = h("p", { class: "summary", role: "status" });
  search = this.#searchField();
  size = this.#sizeField();
  previous = h("button", { type: "button", onclick: () => this.#goBack() }, icon("left"), t("page.previous"));
  next = h("button", { type: "button", onclick: () => this.#goOn() }, t("page.next"), icon("right"));
  table = new Table({
    label: t("nav.learners"),
    columns: this.#columns(),
    keyOf: (/** @type {Learner} */ { id }) => id,
    onSort: (sort) => this.#change({ sort }),
    onOpen: (learner) => this.#open(learner),
  });
  panel = new RowPanel(this.table, {
    make: (id, setTitle) => new LearnerPanel(id, this.table.items.find((learner) => learner.id === id) ?? null, setTitle),
    onClose: () => this.#open(null),
  });

  /** @param {import("../location.js").Place} place */
  static ahead({ params }) {
    api.ahead("/learners", { query: queryOf(params) });
  }

  connectedCallback() {
    fill(
      this,
      h("div", { class: "heading" }, h("h1", {}, t("nav.learners")), this.actions),
      h("search", { class: "filters" }, this.search, this.chips),
      this.tools,
      this.problem,
      this.table.element,
      h("div", { class: "pager" }, this.summary, this.size, h("div", { class: "actions" }, this.previous, this.next)),
    );
    onLearnerChange((learner) => this.#learnerChanged(learner), this.leaving);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    this.#loading.abort();
    this.#counting.abort();
    this.panel.close();
  }

  /** Who is listed, whatever the page: what the API takes as the filter of lists, counts, exports and selections. */
  get filter() {
    return filterOf(this.#params);
  }

  /** How many are listed on all pages together; null = not known yet. */
  get total() {
    const counts = this.#counts;
    if (counts === null) return null;
    const { status } = this.filter;
    return status === undefined ? counts.total : status.reduce((sum, each) => sum + counts[/** @type {Status} */ (each)], 0);
  }

  /** Ask again for all that is shown. */
  reload() {
    this.#load();
    this.#count();
    this.panel.content?.reload();
  }

  /** @param {import("../location.js").Place} place */
  show({ params, state }) {
    const listed = JSON.stringify(this.filter);
    this.#params = params;
    if (JSON.stringify(this.filter) !== listed) this.#bulk?.selection.clear();
    this.#before = state?.before ?? [];
    const [input, select] = [this.search.querySelector("input"), this.size.querySelector("select")];
    const q = params.get("q") ?? "";
    if (input.value.trim() !== q) input.value = q; // else it is what has just been typed, spaces and all
    select.value = this.#setting("limit");
    this.table.sortBy(this.#setting("sort"));
    this.#drawChips();
    if (JSON.stringify(this.#query()) !== this.#listed) this.#load();
    else this.#drawPager();
    if (this.#counts === null || q !== this.#counted) this.#count();
    this.panel.show(params.get("learner"));
  }

  // What is asked

  /** @param {"sort" | "limit"} name */
  #setting(name) {
    return settingOf(this.#params, name);
  }

  #query() {
    return queryOf(this.#params);
  }

  async #load() {
    const query = this.#query();
    this.#listed = JSON.stringify(query);
    this.#loading.abort();
    this.#loading = new AbortController();
    this.table.busy(true);
    try {
      const page = await api.get("/learners", { query, signal: this.#loading.signal });
      this.#nextCursor = page.next_cursor;
      this.table.show(page.items);
      this.table.busy(false);
      fill(this.problem);
      this.#drawPager();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Apart from the list: counting a million takes longer than showing fifty of them. */
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

  /** All that match, on whatever page, in the columns of an import. */
  async #export() {
    try {
      toast(t("learners.exporting"));
      await api.download("/learners", `learners-${today()}.csv`, { query: this.filter });
    } catch (error) {
      toastProblem(error);
    }
  }

  /** @param {unknown} error */
  #fail(error) {
    if (api.isAborted(error)) return;
    this.table.busy(false);
    this.#listed = "";
    const again = () => {
      const isWrongPage = error instanceof api.Problem && error.code === "invalid-cursor";
      if (isWrongPage) this.#change({});
      else this.reload();
    };
    const button = h("button", { type: "button", onclick: again }, t("try_again"));
    fill(this.problem, problemNotice(error, button));
  }

  // Where it leads

  /**
   * Go to the first page of the list with these settings changed; "" or none = as it is without it.
   * @param {Record<string, string | string[]>} changes
   * @param {{replace?: boolean}} [options]
   */
  #change(changes, options) {
    const params = new URLSearchParams(this.#params);
    for (const name of ["cursor", "learner", ...Object.keys(changes)]) params.delete(name);
    for (const [name, value] of Object.entries(changes).flatMap(([name, value]) => [value].flat().map((each) => [name, each]))) {
      if (value && value !== Reflect.get(DEFAULTS, name)) params.append(name, value);
    }
    go(PATH, params, options);
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

  /** Where the address was opened from a bookmark it is not known what came before: then it is the first page. */
  #goBack() {
    if (this.#params.has("cursor")) this.#turn(this.#before.at(-1) ?? "", this.#before.slice(0, -1));
  }

  /** @param {Learner | null} learner null = nobody */
  #placeOf(learner) {
    const params = new URLSearchParams(this.#params);
    if (learner === null) params.delete("learner");
    else params.set("learner", learner.id);
    return params;
  }

  /** @param {Learner | null} learner */
  #open(learner) {
    const open = () => go(PATH, this.#placeOf(learner), { state: here().state });
    if (this.panel.content?.isChanged && this.panel.id !== learner?.id) confirmDialog({ title: t("unsaved.title"), text: t("unsaved.explain"), submit: t("unsaved.submit") }, open);
    else open();
  }

  // What is drawn

  #searchField() {
    const search = debounce((/** @type {string} */ q) => {
      if (this.leaving.aborted) return;
      this.#change({ q }, { replace: !this.#isNewSearch });
      this.#isNewSearch = false;
    }, TYPING_MILLISECONDS);
    const control = h("input", {
      type: "search",
      autocomplete: "off",
      spellcheck: "false",
      maxlength: "255",
      placeholder: t("learners.search.hint"),
      oninput: () => search(control.value.trim()),
      onfocus: () => (this.#isNewSearch = true),
    });
    const element = field({ name: "q", label: t("learners.search"), control });
    element.classList.add("search");
    element.append(icon("search"));
    return element;
  }

  #sizeField() {
    const control = h(
      "select",
      { onchange: () => this.#change({ limit: control.value }) },
      ...PAGE_SIZES.map((size) => h("option", { value: String(size) }, number(size))),
    );
    return field({ name: "limit", label: t("page.size"), control });
  }

  #drawChips() {
    const chosen = this.filter.status ?? [];
    const all = this.#chip("all", t("learners.all"), chosen.length === 0, () => this.#change({ status: [] }));
    const each = STATUSES.map((status) => {
      const isChosen = chosen.includes(status);
      const toggled = isChosen ? chosen.filter((other) => other !== status) : [...chosen, status];
      return this.#chip(status, t(`status.${status}`), isChosen, () => this.#change({ status: toggled }));
    });
    keepFocus(this.chips, () => fill(this.chips, all, ...each));
  }

  /** @param {Status | "all"} name @param {string} label @param {boolean} isChosen @param {() => void} choose */
  #chip(name, label, isChosen, choose) {
    const count = this.#counts?.[name === "all" ? "total" : name];
    return h(
      "button",
      { type: "button", class: "chip", "aria-pressed": String(isChosen), onclick: choose, dataset: { key: `chip-${name}` } },
      name !== "all" && h("span", { class: `status ${name}` }, icon(name)),
      label,
      count !== undefined && h("span", { class: "count" }, number(count)),
    );
  }

  #drawPager() {
    const shown = this.table.items.length ?? 0;
    const [hasPrevious, hasNext] = [this.#params.has("cursor"), this.#nextCursor !== null];
    // Not `disabled`, which would take the focus from who has just clicked on it.
    this.previous.setAttribute("aria-disabled", String(!hasPrevious));
    this.next.setAttribute("aria-disabled", String(!hasNext));
    const first = this.#before.length * Number(this.#setting("limit")) + 1;
    const isPlaceKnown = !hasPrevious || this.#before.length > 0;
    const values = { first, last: first + shown - 1, shown, count: this.total ?? 0 };
    const [all, some] = [this.total !== null, shown > 0];
    const sentence = !some
      ? t("learners.none")
      : !all
        ? t("learners.shown", { ...values, count: shown })
        : isPlaceKnown
          ? t("learners.range", values)
          : t("learners.page", values);
    if (this.#listed && this.summary.textContent !== sentence) fill(this.summary, sentence);
    this.#bulk?.draw();
  }

  /** @returns {import("../table.js").Column<Learner>[]} */
  #columns() {
    return [
      ...(this.#bulk === null ? [] : [this.#bulk.column]),
      { name: "status", title: t("learner.status"), cell: statusControl },
      { name: "name", title: t("learner.name"), sort: "last_name", isHeading: true, cell: (learner) => this.#link(learner) },
      { name: "username", title: t("learner.username"), sort: "username", cell: ({ username }) => h("bdi", {}, username) },
      { name: "email", title: t("learner.email"), cell: ({ email }) => (email ? h("bdi", {}, email) : nothing()) },
      {
        name: "expires",
        title: t("learner.expires_on"),
        sort: "expires_on",
        cell: ({ expires_on }) => (expires_on ? h("time", { datetime: expires_on }, date(expires_on)) : h("span", { class: "faint" }, t("never"))),
      },
      {
        name: "accessed",
        title: t("learner.last_accessed_at"),
        cell: ({ last_accessed_at }) =>
          last_accessed_at ? h("time", { datetime: last_accessed_at }, dayOf(last_accessed_at)) : h("span", { class: "faint" }, t("never")),
      },
    ];
  }

  /** @param {Learner} learner */
  #link(learner) {
    const open = (/** @type {MouseEvent} */ event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return; // another tab or window
      event.preventDefault();
      this.#open(learner);
    };
    const href = addressOf(PATH, this.#placeOf(learner));
    return h("a", { href, onclick: open, dataset: { key: `open-${learner.id}` } }, h("bdi", {}, nameOf(learner)));
  }

  /** @param {Learner} learner */
  #learnerChanged(learner) {
    // It stays where it is though the filter may no longer hold, so that what was done can be seen and undone.
    this.table.update(learner);
    this.#count();
  }
}

/** @param {URLSearchParams} params */
function filterOf(params) {
  /** @type {{status?: string[], q?: string}} */
  const filter = {};
  const [statuses, q] = [params.getAll("status"), params.get("q")];
  if (statuses.length > 0) filter.status = statuses;
  if (q) filter.q = q;
  return filter;
}

/** @param {URLSearchParams} params @param {"sort" | "limit"} name */
function settingOf(params, name) {
  return params.get(name) ?? DEFAULTS[name];
}

/** @param {URLSearchParams} params */
function queryOf(params) {
  return { ...filterOf(params), sort: settingOf(params, "sort"), limit: settingOf(params, "limit"), cursor: params.get("cursor") };
}

/** What stands where there is nothing to show; for screen readers the cell is simply empty. */
function nothing() {
  return h("span", { class: "faint", "aria-hidden": "true" }, "–");
}

customElements.define("learners-view", LearnersView);

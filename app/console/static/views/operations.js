// @ts-check
/** Operations: everything that was done with many learners, newest first; what runs is shown as it gets on. */
import * as api from "../api.js";
import { fill, h, keepFocus } from "../dom.js";
import { field } from "../form.js";
import { instant } from "../format.js";
import { icon } from "../icons.js";
import { addressOf, go } from "../location.js";
import { t } from "../messages.js";
import { problemNotice } from "../notice.js";
import { followOperation, hasEnded, OperationReport, summaryOf } from "../operation_progress.js";
import { downloadButton, kindOf, rejectedButton, revertButton, warningsOf } from "../operations.js";
import { RowPanel } from "../panel.js";
import { Table } from "../table.js";
import { View } from "../view.js";

/** @typedef {import("../operation_progress.js").Operation} Operation */

const PATH = "operations";
const KINDS = ["csv-import", "bulk-action", "revert"];
const STATES = ["pending", "running", "succeeded", "refused", "failed", "cancelled"];
/** The class and the icon of those that have ended. @type {Record<string, ["active" | "expired" | "deactivated", "active" | "warning" | "deactivated"]>} */
const LOOKS = {
  succeeded: ["active", "active"],
  refused: ["expired", "warning"],
  failed: ["expired", "warning"],
  cancelled: ["deactivated", "deactivated"],
};
const OUTCOMES = ["created", "changed", "deactivated", "unchanged", "kept", "refused", "invalid", "not_found"];

export default class OperationsView extends View {
  #params = new URLSearchParams();
  #listed = "";
  #loading = new AbortController();

  problem = h("div");
  dryRuns = h("input", { type: "checkbox", onchange: () => this.#go({ dry_runs: this.dryRuns.checked ? "shown" : "", operation: "" }) });
  filters = [this.#filter("kind", KINDS), this.#filter("state", STATES), h("label", { class: "check" }, this.dryRuns, t("operation.dry_runs"))];
  summary = h("p", { class: "summary", role: "status" });
  more = h("div");
  table = new Table({
    label: t("nav.operations"),
    columns: [
      { name: "name", title: t("operation.kind"), isHeading: true, cell: (/** @type {Operation} */ operation) => this.#link(operation) },
      { name: "outcome", title: t("operation.outcome"), cell: outcomeOf },
      { name: "actor", title: t("operation.created_by"), cell: ({ created_by }) => h("bdi", {}, created_by.name) },
      { name: "created", title: t("operation.created_at"), cell: ({ created_at }) => h("time", { datetime: created_at }, instant(created_at)) },
    ],
    keyOf: ({ id }) => id,
    onOpen: ({ id }) => this.#go({ operation: id }),
  });
  panel = new RowPanel(this.table, {
    make: (id, setTitle) => {
      const content = h("div");
      this.#fillPanel(id, content, setTitle);
      return content;
    },
    onClose: () => this.#go({ operation: "" }),
  });

  connectedCallback() {
    fill(
      this,
      h("h1", {}, t("nav.operations")),
      h("div", { class: "filters" }, ...this.filters),
      this.problem,
      this.table.element,
      h("div", { class: "pager" }, this.summary, this.more),
    );
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    this.#loading.abort();
    this.panel.close();
  }

  /** @param {import("../location.js").Place} place */
  show({ params }) {
    this.#params = params;
    for (const select of this.querySelectorAll("select")) select.value = params.get(select.name) ?? "";
    this.dryRuns.checked = params.has("dry_runs");
    if (JSON.stringify(this.#query()) !== this.#listed) this.#load();
    this.panel.show(params.get("operation"));
  }

  /** @param {"kind" | "state"} name @param {string[]} values */
  #filter(name, values) {
    const options = values.map((value) => h("option", { value }, name === "kind" ? t(`kind.${value}`) : t(`state.${value}`)));
    const control = h("select", { onchange: () => this.#go({ [name]: control.value, operation: "" }) }, h("option", { value: "" }, t("learners.all")), ...options);
    return field({ name, label: t(`operation.${name}`), control });
  }

  /** The place with these changes; "" takes one out. @param {Record<string, string>} changes */
  #placeWith(changes) {
    const params = Object.entries({ ...Object.fromEntries(this.#params), ...changes });
    return Object.fromEntries(params.filter(([, value]) => value));
  }

  /** @param {Record<string, string>} changes */
  #go(changes) {
    go(PATH, this.#placeWith(changes));
  }

  #query() {
    const { kind, state, dry_runs } = Object.fromEntries(this.#params);
    return { kind, state, dry_run: dry_runs ? null : false };
  }

  /** From the newest on. */
  async #load() {
    this.#listed = JSON.stringify(this.#query());
    this.#loading.abort();
    this.#loading = new AbortController();
    this.table.busy(true);
    if (await this.#take(null)) this.#follow();
    this.table.busy(false);
  }

  /** Whether it came. @param {string | null} cursor null = from the newest on */
  async #take(cursor) {
    const { signal } = this.#loading;
    try {
      const { items, next_cursor } = await api.get("/operations", { query: { ...this.#query(), cursor }, signal });
      this.table.show(cursor === null ? items : [...this.table.items, ...items]);
      fill(this.problem);
      fill(this.summary, this.table.items.length === 0 && t("operations.none"));
      const more = () => h("button", { type: "button", dataset: { key: "more" }, onclick: () => this.#take(next_cursor) }, t("history.more"));
      keepFocus(this.more, () => fill(this.more, next_cursor !== null && more()));
      return true;
    } catch (error) {
      return this.#fail(error);
    }
  }

  /** Those of one organization run one after the other, so there is one to follow: the oldest that has not ended. */
  async #follow() {
    const next = this.table.items.findLast((operation) => !hasEnded(operation));
    if (next === undefined) return;
    try {
      await followOperation(next, { signal: this.#loading.signal, onChange: (operation) => this.table.update(operation) });
      await this.#load();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** @param {unknown} error */
  #fail(error) {
    if (api.isAborted(error)) return false;
    this.#listed = "";
    fill(this.problem, problemNotice(error, h("button", { type: "button", onclick: () => this.#load() }, t("try_again"))));
    return false;
  }

  /** @param {Operation} operation */
  #link({ id, dry_run, reason, ...operation }) {
    return [
      h("a", { href: addressOf(PATH, this.#placeWith({ operation: id })), dataset: { key: `open-${id}` } }, kindOf(operation)),
      dry_run && h("span", { class: "faint" }, ` · ${t("operation.dry_run")}`),
      reason && h("p", { class: "faint" }, h("bdi", {}, reason)),
    ];
  }

  /** @param {string} id @param {HTMLElement} content @param {(...title: import("../dom.js").Child[]) => void} setTitle */
  async #fillPanel(id, content, setTitle) {
    const facts = h("dl", { class: "facts" });
    const rest = h("div", { class: "rest" });
    const reload = () => {
      this.#load();
      if (content.isConnected) this.#fillPanel(id, content, setTitle);
    };
    const onEnd = (/** @type {Operation} */ operation) => {
      this.table.update(operation);
      fill(facts, ...factsOf(operation));
      const all = operation.progress.done > 0 && downloadButton(operation, t("operation.download.all"));
      fill(rest, warningsOf(operation), h("div", { class: "actions" }, all, rejectedButton(operation), revertButton(operation, reload)));
    };
    try {
      const operation = await api.get(`/operations/${encodeURIComponent(id)}`, { signal: this.leaving });
      setTitle(kindOf(operation), operation.dry_run && ` · ${t("operation.dry_run")}`);
      fill(facts, ...factsOf(operation));
      fill(content, facts, new OperationReport(operation, { mayRevert: false, listed: OUTCOMES, onEnd }), rest);
    } catch (error) {
      if (!api.isAborted(error)) fill(content, problemNotice(error));
    }
  }
}

/** @param {Operation} operation */
function outcomeOf(operation) {
  const { done, total } = operation.progress;
  const [look, name] = LOOKS[operation.state] ?? [];
  return [
    name && h("span", { class: `status ${look}` }, icon(name)),
    h("div", {}, summaryOf(operation), !hasEnded(operation) && h("progress", { max: total || 1, value: done, "aria-label": t("operation.progress") })),
  ];
}

/** @param {Operation} operation */
function factsOf({ reason, created_by, created_at, finished_at, reverts, reverted_by }) {
  return Object.entries({
    created_by: h("bdi", {}, created_by.name),
    created_at: instant(created_at),
    finished_at: finished_at && instant(finished_at),
    reason: reason && h("bdi", {}, reason),
    reverts: reverts && linkTo(reverts),
    reverted_by: reverted_by && linkTo(reverted_by),
  }).map(([name, value]) => value && h("div", {}, h("dt", {}, t(`operation.${name}`)), h("dd", {}, value)));
}

/** @param {string} operation its id */
function linkTo(operation) {
  return h("a", { href: addressOf(PATH, { operation }) }, t("operation.show"));
}

customElements.define("operations-view", OperationsView);

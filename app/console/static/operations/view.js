// @ts-check
/** Operations: the work on many learners, newest first. Running ones show their progress. */
import { get } from "../api/client.js";
import { isAborted } from "../api/problem.js";
import { formatInstant } from "../language/format.js";
import { addressOf, go } from "../shell/location.js";
import { View } from "../shell/view.js";
import { fill, h, keepFocus } from "../ui/dom.js";
import { field } from "../ui/form.js";
import { icon } from "../ui/icons.js";
import { problemNotice, tryAgainButton } from "../ui/notice.js";
import { RowPanel } from "../ui/panel.js";
import { Table } from "../ui/table.js";
import { followOperation } from "./follow.js";
import { t } from "./messages.js";
import { hasEnded, KINDS, STATES, titleOf } from "./operation.js";
import { OperationPanel } from "./panel.js";
import { briefOf } from "./request.js";
import { summaryOf } from "./summary.js";

/** @typedef {import("./operation.js").Operation} Operation */

const PATH = "operations";
/** The class and the icon of each final state. */
const LOOKS = /** @type {const} */ ({
  succeeded: ["active", "active"],
  refused: ["expired", "warning"],
  failed: ["expired", "warning"],
  cancelled: ["deactivated", "deactivated"],
});

export default class OperationsView extends View {
  #params = new URLSearchParams();
  /** The query of the list that is shown or loading. */
  #listed = "";
  #loading = new AbortController();

  problem = h("div");
  kind = this.#filter("kind", KINDS.map((kind) => ({ value: kind, label: t(`kind.${kind}`) })));
  state = this.#filter("state", STATES.map((state) => ({ value: state, label: t(`state.${state}`) })));
  dryRuns = h("input", { type: "checkbox", onchange: () => this.#go({ dry_runs: this.dryRuns.checked ? "shown" : "", operation: "" }) });
  summary = h("p", { class: "summary", role: "status" });
  more = h("div");
  /** @type {Table<Operation>} */
  table = new Table({
    label: t("nav.operations"),
    columns: [
      { name: "name", title: t("operation.kind"), isHeading: true, cell: (operation) => this.#nameCell(operation) },
      { name: "outcome", title: t("operation.result"), cell: resultCell },
      { name: "actor", title: t("operation.created_by"), cell: ({ created_by }) => h("bdi", {}, created_by.name) },
      {
        name: "created",
        title: t("operation.created_at"),
        cell: ({ created_at }) => h("time", { datetime: created_at }, formatInstant(created_at)),
      },
    ],
    keyOf: ({ id }) => id,
    onOpen: ({ id }) => this.#go({ operation: id }),
  });
  panel = new RowPanel(this.table, {
    create: (id, setTitle) =>
      new OperationPanel(id, { setTitle, onEnd: (operation) => this.table.update(operation), onRevert: () => this.#load() }),
    onClose: () => this.#go({ operation: "" }),
  });

  connectedCallback() {
    fill(
      this,
      h("h1", {}, t("nav.operations")),
      h("div", { class: "filters" }, this.kind, this.state, h("label", { class: "check" }, this.dryRuns, t("operation.dry_runs"))),
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

  /** @param {import("../shell/location.js").Place} place */
  show({ params }) {
    this.#params = params;
    for (const select of this.querySelectorAll("select")) select.value = params.get(select.name) ?? "";
    this.dryRuns.checked = params.has("dry_runs");
    if (JSON.stringify(this.#query()) !== this.#listed) this.#load();
    this.panel.show(params.get("operation"));
  }

  /** @param {"kind" | "state"} name @param {{value: string, label: string}[]} options */
  #filter(name, options) {
    const control = h(
      "select",
      { onchange: () => this.#go({ [name]: control.value, operation: "" }) },
      h("option", { value: "" }, t("all")),
      ...options.map(({ value, label }) => h("option", { value }, label)),
    );
    return field({ name, label: t(`operation.${name}`), control });
  }

  /** Return the address's parameters with these changed; "" removes one. @param {Record<string, string>} changes */
  #paramsWith(changes) {
    const params = Object.entries({ ...Object.fromEntries(this.#params), ...changes });
    return Object.fromEntries(params.filter(([, value]) => value));
  }

  /** @param {Record<string, string>} changes */
  #go(changes) {
    go(PATH, this.#paramsWith(changes));
  }

  #query() {
    const { kind, state, dry_runs } = Object.fromEntries(this.#params);
    return { kind, state, dry_run: dry_runs ? null : false };
  }

  /** Load the newest operations. */
  async #load() {
    this.#listed = JSON.stringify(this.#query());
    this.#loading.abort();
    this.#loading = new AbortController();
    this.table.setBusy(true);
    if (await this.#loadPage(null)) this.#follow();
    this.table.setBusy(false);
  }

  /** Load and show one page. Returns whether that worked. @param {string | null} cursor null = the newest */
  async #loadPage(cursor) {
    const { signal } = this.#loading;
    try {
      const { items, next_cursor } = await get("/operations", { query: { ...this.#query(), cursor }, signal });
      this.table.show(cursor === null ? items : [...this.table.items, ...items]);
      fill(this.problem);
      fill(this.summary, this.table.items.length === 0 && t("operation.none"));
      const showMore = () => this.#loadPage(next_cursor);
      const button = h("button", { type: "button", dataset: { key: "more" }, onclick: showMore }, t("show_older"));
      keepFocus(this.more, () => fill(this.more, next_cursor !== null && button));
      return true;
    } catch (error) {
      return this.#fail(error);
    }
  }

  /** Follow the oldest operation that has not ended. Those of an organization run one after the other. */
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
    if (isAborted(error)) return false;
    this.#listed = "";
    fill(this.problem, problemNotice(error, tryAgainButton(() => this.#load())));
    return false;
  }

  /** @param {Operation} operation */
  #nameCell(operation) {
    const { id, dry_run, reason } = operation;
    const brief = briefOf(operation);
    return [
      h("a", { href: addressOf(PATH, this.#paramsWith({ operation: id })), dataset: { key: `open-${id}` } }, titleOf(operation)),
      dry_run && h("span", { class: "faint" }, ` · ${t("operation.dry_run")}`),
      brief && h("p", { class: "faint" }, h("bdi", {}, brief)),
      reason && h("p", { class: "faint" }, h("bdi", {}, reason)),
    ];
  }
}

/** @param {Operation} operation */
function resultCell(operation) {
  const { state, progress } = operation;
  const bar = () => h("progress", { max: progress.total || 1, value: progress.done, "aria-label": t("operation.progress") });
  const text = h("div", {}, summaryOf(operation), !hasEnded(operation) && bar());
  if (state === "pending" || state === "running") return text;
  const [look, name] = LOOKS[state];
  return [h("span", { class: `status ${look}` }, icon(name)), text];
}

customElements.define("operations-view", OperationsView);

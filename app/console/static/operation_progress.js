// @ts-check
/**
 * How an operation gets on and what became of it, wherever one is shown.
 *
 * - `new OperationReport(operation, { onEnd })`: an element that follows the operation while it is on the page: its
 *   state (a live region), a progress bar with Cancel, then the counts, who was refused and why in the API's words, and
 *   Revert, which is followed in the same way. `onEnd` is told of it when it has ended, and of its revert.
 * - `followOperation(operation, { signal, onChange })`: the same without an element; resolves when it has ended.
 * - `summaryOf(operation)`: one sentence, such as for a toast. `hasEnded(operation)`, `isRevertible(operation)`.
 */
import * as api from "./api.js";
import { fill, h } from "./dom.js";
import { addressOf } from "./location.js";
import { has, t } from "./messages.js";
import { problemNotice } from "./notice.js";
import { may } from "./session.js";

/**
 * An operation as the API answers.
 * @typedef {{id: string, kind: "bulk-action" | "csv-import" | "revert", dry_run: boolean, action: string | null,
 *   state: "pending" | "running" | "succeeded" | "refused" | "failed" | "cancelled", reason: string | null,
 *   progress: {done: number, total: number}, counts: Record<string, number>, deactivated: number, warnings: {code: string, detail: string}[],
 *   problem: Record<string, any> | null, reverts: string | null, reverted_by: string | null,
 *   created_by: {kind: string, id: string, name: string}, created_at: string, started_at: string | null,
 *   finished_at: string | null}} Operation
 */

const LOOK_AGAIN_MILLISECONDS = 2_000;
const LISTED = ["refused", "invalid", "not_found", "kept"];

/** @param {Operation} operation */
export function hasEnded({ finished_at }) {
  return finished_at !== null;
}

/** How it is, and how many became what. @param {Operation} operation */
export function summaryOf(operation) {
  const state = t(`state.${operation.state}`);
  const counts = outcomesOf(operation).map(([outcome, count]) => countText(operation, outcome, count));
  const left = operation.progress.total - operation.progress.done;
  if (hasEnded(operation) && left > 0) counts.push(t("outcome.left", { count: left }));
  if (!hasEnded(operation) || counts.length === 0) return state;
  const isRehearsed = operation.dry_run && operation.state === "succeeded";
  return `${isRehearsed ? "" : `${state}: `}${counts.join(", ")}`;
}

/**
 * Follow it until it has ended, however often the connection breaks. Throws Problem, or the signal's AbortError.
 * @param {Operation} operation
 * @param {{signal?: AbortSignal, onChange?: (operation: Operation) => void}} [options]
 * @returns {Promise<Operation>} as it ended
 */
export async function followOperation(operation, { signal, onChange = () => {} } = {}) {
  let now = operation;
  while (!hasEnded(now)) {
    try {
      for await (const { data } of api.events(`/operations/${now.id}/progress`, { signal })) onChange((now = data));
    } catch (error) {
      const isPassing = error instanceof api.Problem && (error.status === 0 || error.status === 429 || error.status >= 500);
      if (!isPassing) throw error;
    }
    if (hasEnded(now)) break;
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MILLISECONDS));
    signal?.throwIfAborted();
  }
  return now;
}

export class OperationReport extends HTMLElement {
  #leaving = new AbortController();
  /** The same for each attempt at reverting it. */
  #revertKey = api.newIdempotencyKey();

  /**
   * @param {Operation} operation
   * @param {object} [options]
   * @param {(operation: Operation) => void} [options.onEnd]
   * @param {string[]} [options.listed] the outcomes whose learners or rows can be seen; the first of them is seen at once
   * @param {boolean} [options.mayRevert] whether to offer it here
   */
  constructor(operation, { onEnd = () => {}, listed = LISTED, mayRevert = true } = {}) {
    super();
    /** As it was last seen. */
    this.operation = operation;
    this.onEnd = onEnd;
    this.listed = listed;
    this.mayRevert = mayRevert;
    /** What takes it back, once that was asked for. @type {OperationReport | null} */
    this.revert = null;
    this.state = h("p", { class: "state", role: "status", tabindex: "-1" });
    this.problem = h("div");
    this.body = h("div");
  }

  async connectedCallback() {
    this.#leaving = new AbortController();
    fill(this, this.state, this.problem, this.body);
    try {
      if (!hasEnded(this.operation)) {
        this.#drawProgress();
        this.operation = await followOperation(this.operation, {
          signal: this.#leaving.signal,
          onChange: (operation) => this.#progressed(operation),
        });
      }
      this.#drawEnd();
      this.onEnd(this.operation);
    } catch (error) {
      this.#fail(error);
    }
  }

  disconnectedCallback() {
    this.#leaving.abort();
  }

  /** @param {unknown} error */
  #fail(error) {
    if (!api.isAborted(error)) fill(this.problem, problemNotice(error));
  }

  #drawProgress() {
    this.bar = h("progress", { "aria-label": t("operation.progress") });
    this.figure = h("span", { class: "faint" });
    const cancel = may("learners:bulk") && h("button", { type: "button", onclick: () => this.#cancel() }, t("operation.cancel"));
    fill(this.body, this.bar, h("div", { class: "heading" }, this.figure, cancel));
    this.#progressed(this.operation);
  }

  /** @param {Operation} operation */
  #progressed(operation) {
    this.operation = operation;
    const { done, total } = operation.progress;
    this.#say(t(`state.${operation.state}`));
    if (total > 0) {
      this.bar.max = total;
      this.bar.value = done;
    }
    fill(this.figure, t("operation.done", { done, count: total }));
  }

  /** Only what is new is said: a live region would repeat what it says already. @param {string} text */
  #say(text) {
    if (this.state.textContent !== text) fill(this.state, text);
  }

  async #cancel() {
    try {
      await api.post(`/operations/${this.operation.id}/cancel`);
    } catch (error) {
      this.#fail(error);
    }
  }

  #drawEnd() {
    const { operation } = this;
    const hadFocus = this.body.contains(document.activeElement);
    const listed = outcomesOf(operation).filter(([outcome]) => this.listed.includes(outcome));
    this.#say(summaryOf(operation));
    fill(this.problem, operation.problem && problemNotice(new api.Problem(operation.problem)));
    fill(
      this.body,
      ...listed.map(([outcome, count], index) => this.#outcomes(outcome, count, index === 0)),
      this.mayRevert && isRevertible(operation) && this.#revertButton(),
    );
    if (hadFocus) this.state.focus();
  }

  #revertButton() {
    const revert = async () => {
      try {
        const options = { idempotencyKey: this.#revertKey, prefer: "wait=1" };
        const { body } = await api.post(`/operations/${this.operation.id}/revert`, options);
        this.revert = new OperationReport(body, { onEnd: this.onEnd, mayRevert: false });
        actions.replaceWith(h("h3", {}, t("revert")), this.revert);
        this.revert.state.focus();
      } catch (error) {
        this.#fail(error);
      }
    };
    const actions = h("div", { class: "actions" }, h("button", { type: "button", onclick: revert }, t("revert")));
    return actions;
  }

  /** Who became that, and why; looked up when it is opened. @param {string} outcome @param {number} count @param {boolean} isOpen */
  #outcomes(outcome, count, isOpen) {
    const list = h("ul", { class: "outcomes" });
    const rest = h("div", { class: "actions" });
    const path = `/operations/${this.operation.id}/outcomes`;
    const wanted = outcome === "deactivated" ? { deactivated: true } : { outcome };
    const { signal } = this.#leaving;

    /** @param {() => Promise<any>} run */
    const told = async (run) => {
      try {
        await run();
      } catch (error) {
        this.#fail(error);
      }
    };
    /** @param {string} [cursor] */
    const more = async (cursor) => {
      const page = await api.get(path, { query: { ...wanted, cursor }, signal });
      const items = page.items.map((/** @type {any} */ each) => outcomeItem(each, this.operation));
      list.append(...items);
      if (cursor) items[0]?.focus();
      const next = page.next_cursor;
      fill(
        rest,
        next !== null && h("button", { type: "button", onclick: () => told(() => more(next)) }, t("operation.more")),
        h("button", { type: "button", onclick: () => told(() => api.download(path, `${outcome}.csv`, { query: wanted })) }, t("operation.download")),
      );
    };
    const open = () => list.childElementCount === 0 && told(() => more());
    return h("details", { open: isOpen, ontoggle: open }, h("summary", {}, countText(this.operation, outcome, count)), list, rest);
  }
}

/**
 * What there was at all; and beside those changed, how many of them lost access, where that is not said already.
 * @param {Operation} operation
 * @returns {[string, number][]}
 */
function outcomesOf({ kind, counts, deactivated }) {
  const told = Object.entries(counts).flatMap((/** @type {[string, number]} */ [outcome, count]) =>
    outcome === "changed" && kind !== "bulk-action" ? [[outcome, count], ["deactivated", deactivated]] : [[outcome, count]],
  );
  return /** @type {[string, number][]} */ (told).filter(([, count]) => count > 0);
}

/** Whether it can be undone, by whoever is signed in. @param {Operation} operation */
export function isRevertible(operation) {
  const { dry_run, state, counts, reverted_by } = operation;
  const hasChanged = (counts.changed ?? 0) + (counts.created ?? 0) > 0;
  const isApplied = hasEnded(operation) && !dry_run && state !== "refused";
  return isApplied && hasChanged && reverted_by === null && may("learners:bulk");
}

/** In a dry run, and where it was refused, it is what would have been. @param {Operation} operation @param {string} outcome @param {number} count */
function countText({ dry_run, state, action }, outcome, count) {
  if (outcome === "unchanged" && action !== null) return t(`outcome.already.${action}`, { count });
  const would = `outcome.would.${outcome}`;
  const isSupposed = dry_run || state === "refused";
  return t(isSupposed && has(would) ? would : `outcome.${outcome}`, { count });
}

/** @param {{line: number | null, learner_id: string | null, username: string | null, problem: {title: string, detail?: string} | null}} outcome @param {Operation} operation */
function outcomeItem({ line, learner_id, username, problem }, { kind }) {
  const name = h("bdi", {}, username ?? learner_id);
  return h(
    "li",
    { tabindex: "-1" },
    kind === "csv-import" && h("span", { class: "faint" }, line === null ? t("outcome.absent") : t("outcome.line", { line: String(line) }), " "),
    h("b", {}, learner_id && may("learners:read") ? h("a", { href: addressOf("learners", { learner: learner_id }) }, name) : name),
    problem && h("p", { lang: "en" }, problem.detail ?? problem.title),
  );
}

customElements.define("operation-report", OperationReport);

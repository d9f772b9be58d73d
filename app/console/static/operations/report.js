// @ts-check
/** An operation's progress and result, wherever one is shown. */
import { post } from "../api/client.js";
import { isAborted, Problem } from "../api/problem.js";
import { may } from "../shell/session.js";
import { fill, h } from "../ui/dom.js";
import { problemNotice } from "../ui/notice.js";
import { followOperation } from "./follow.js";
import { t } from "./messages.js";
import { hasEnded } from "./operation.js";
import { outcomeList } from "./outcome_list.js";
import { groupsOf, summaryOf } from "./summary.js";

/** @typedef {import("./operation.js").Operation} Operation */
/** @typedef {import("./summary.js").Group} Group */

/** @type {readonly Group[]} */
const LISTED = ["refused", "invalid", "not_found", "kept"];

/**
 * Follows the operation while it is on the page: its state (a live region), the progress with Stop, then the counts, and
 * the learners or rows of the listed outcomes.
 */
export class OperationReport extends HTMLElement {
  #leaving = new AbortController();
  #onEnd;
  #listed;
  #bar = h("progress", { "aria-label": t("operation.progress") });
  #figure = h("span", { class: "faint" });
  #problem = h("div");
  #body = h("div");
  state = h("p", { class: "state", role: "status", tabindex: "-1" });

  /**
   * @param {Operation} operation
   * @param {object} [options]
   * @param {(operation: Operation) => void} [options.onEnd] called when the operation has ended
   * @param {readonly Group[]} [options.listed] the outcomes to list; the first one is open
   */
  constructor(operation, { onEnd = () => {}, listed = LISTED } = {}) {
    super();
    /** The last known version. */
    this.operation = operation;
    this.#onEnd = onEnd;
    this.#listed = listed;
  }

  async connectedCallback() {
    this.#leaving = new AbortController();
    fill(this, this.state, this.#problem, this.#body);
    try {
      if (!hasEnded(this.operation)) {
        this.#drawProgress();
        this.operation = await followOperation(this.operation, {
          signal: this.#leaving.signal,
          onChange: (operation) => this.#showProgress(operation),
        });
      }
      this.#drawEnd();
      this.#onEnd(this.operation);
    } catch (error) {
      this.#fail(error);
    }
  }

  disconnectedCallback() {
    this.#leaving.abort();
  }

  /** @param {unknown} error */
  #fail(error) {
    if (!isAborted(error)) fill(this.#problem, problemNotice(error));
  }

  #drawProgress() {
    const stop = may("learners:bulk") && h("button", { type: "button", onclick: () => this.#stop() }, t("operation.stop"));
    fill(this.#body, this.#bar, h("div", { class: "heading" }, this.#figure, stop));
    this.#showProgress(this.operation);
  }

  /** @param {Operation} operation */
  #showProgress(operation) {
    this.operation = operation;
    const { done, total } = operation.progress;
    this.#showState(t(`state.${operation.state}`));
    if (total > 0) {
      this.#bar.max = total;
      this.#bar.value = done;
    }
    fill(this.#figure, t("operation.done", { done, count: total }));
  }

  /** Screen readers read every change, so an unchanged text stays. @param {string} text */
  #showState(text) {
    if (this.state.textContent !== text) fill(this.state, text);
  }

  async #stop() {
    try {
      await post(`/operations/${this.operation.id}/cancel`);
    } catch (error) {
      this.#fail(error);
    }
  }

  #drawEnd() {
    const { operation } = this;
    const hadFocus = this.#body.contains(document.activeElement);
    const rank = (/** @type {Group} */ group) => this.#listed.indexOf(group);
    const groups = groupsOf(operation).filter(([group]) => rank(group) >= 0);
    groups.sort(([one], [other]) => rank(one) - rank(other));
    const { signal } = this.#leaving;
    const onProblem = (/** @type {unknown} */ error) => this.#fail(error);
    this.#showState(summaryOf(operation));
    fill(this.#problem, operation.problem && problemNotice(new Problem(operation.problem)));
    fill(this.#body, ...groups.map(([group, count], index) => outcomeList(operation, group, count, { isOpen: index === 0, signal, onProblem })));
    if (hadFocus) this.state.focus();
  }
}

customElements.define("operation-report", OperationReport);

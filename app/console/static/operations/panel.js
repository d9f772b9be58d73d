// @ts-check
/** One operation in the side panel: its facts, its progress or result, and what can be done with it. */
import { get } from "../api/client.js";
import { isAborted } from "../api/problem.js";
import { formatInstant, formatNumber } from "../language/format.js";
import { addressOf } from "../shell/location.js";
import { fill, h } from "../ui/dom.js";
import { problemNotice } from "../ui/notice.js";
import { downloadAllButton, downloadRejectedButton } from "./downloads.js";
import { t } from "./messages.js";
import { CHANGES, titleOf } from "./operation.js";
import { OperationReport } from "./report.js";
import { requestFacts } from "./request.js";
import { revertButton } from "./revert.js";
import { warningsNotice } from "./warnings.js";

/** @typedef {import("./operation.js").Operation} Operation */

/** @type {readonly import("./summary.js").Group[]} */
const LISTED = ["created", "changed", ...CHANGES, "unchanged", "kept", "refused", "invalid", "not_found"];

export class OperationPanel extends HTMLElement {
  #leaving = new AbortController();
  #id;
  #setTitle;
  #onEnd;
  #onRevert;
  #facts = h("dl", { class: "facts" });
  #rest = h("div", { class: "rest" });

  /**
   * @param {string} id
   * @param {object} options
   * @param {import("../ui/panel.js").SetTitle} options.setTitle
   * @param {(operation: Operation) => void} options.onEnd called when the operation has ended
   * @param {() => void} options.onRevert called when a revert of it has ended
   */
  constructor(id, { setTitle, onEnd, onRevert }) {
    super();
    this.#id = id;
    this.#setTitle = setTitle;
    this.#onEnd = onEnd;
    this.#onRevert = onRevert;
  }

  disconnectedCallback() {
    this.#leaving.abort();
  }

  /** Load and show the operation. */
  async start() {
    try {
      const operation = await get(`/operations/${encodeURIComponent(this.#id)}`, { signal: this.#leaving.signal });
      this.#setTitle(titleOf(operation), operation.dry_run && ` · ${t("operation.dry_run")}`);
      fill(this.#facts, ...factsOf(operation));
      const report = new OperationReport(operation, { listed: LISTED, onEnd: (ended) => this.#showEnd(ended) });
      fill(this, this.#facts, report, this.#rest);
    } catch (error) {
      if (!isAborted(error)) fill(this, problemNotice(error));
    }
  }

  /** @param {Operation} operation */
  #showEnd(operation) {
    this.#onEnd(operation);
    fill(this.#facts, ...factsOf(operation));
    const reload = () => {
      this.#onRevert();
      if (this.isConnected) this.start();
    };
    const buttons = [downloadAllButton(operation), downloadRejectedButton(operation), revertButton(operation, { onEnd: reload })];
    fill(this.#rest, warningsNotice(operation), h("div", { class: "actions" }, ...buttons));
  }
}

/** @param {Operation} operation */
function factsOf(operation) {
  const { reason, created_by, created_at, finished_at, reverts, reverted_by, revertible } = operation;
  return [
    ...requestFacts(operation).map(([name, value]) => fact(name, value)),
    fact(t("operation.created_by"), h("bdi", {}, created_by.name)),
    fact(t("operation.created_at"), formatInstant(created_at)),
    finished_at && fact(t("operation.finished_at"), formatInstant(finished_at)),
    reason && fact(t("operation.reason"), h("bdi", {}, reason)),
    reverts && fact(t("operation.reverts"), operationLink(reverts)),
    reverted_by && fact(t("operation.reverted_by"), operationLink(reverted_by)),
    finished_at && revertible > 0 && fact(t("operation.revertible"), formatNumber(revertible)),
  ];
}

/** @param {string} name @param {import("../ui/dom.js").Child} value */
function fact(name, value) {
  return h("div", {}, h("dt", {}, name), h("dd", {}, value));
}

/** @param {string} operation its id */
function operationLink(operation) {
  return h("a", { href: addressOf("operations", { operation }) }, t("operation.view"));
}

customElements.define("operation-panel", OperationPanel);

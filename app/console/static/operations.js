// @ts-check
/** What is done with an operation that has ended, wherever one is shown: warnings, rejected rows, and the way back. */
import * as api from "./api.js";
import { openDialog } from "./dialog.js";
import { fill, h } from "./dom.js";
import { field, form } from "./form.js";
import { t } from "./messages.js";
import { problemNotice } from "./notice.js";
import { isRevertible, OperationReport } from "./operation_progress.js";
import { toastProblem } from "./toast.js";

/** @typedef {import("./operation_progress.js").Operation} Operation */

const REJECTED = ["refused", "invalid", "not_found"];

/** What it is. @param {Operation} operation */
export function kindOf({ kind, action }) {
  return t(`kind.${action ?? kind}`);
}

/** What there is to know, in the API's words. @param {Operation} operation */
export function warningsOf({ warnings }) {
  const items = warnings.map(({ detail }) => h("li", {}, detail));
  return items.length > 0 && h("div", { class: "notice" }, h("div", {}, h("strong", {}, t("warnings")), h("ul", { lang: "en" }, ...items)));
}

/** Save what became of its learners or rows; none named = all. @param {Operation} operation @param {string} label @param {string[]} [outcome] */
export function downloadButton({ id }, label, outcome = []) {
  const save = () => api.download(`/operations/${id}/outcomes`, "outcomes.csv", { query: { outcome } }).catch(toastProblem);
  return h("button", { type: "button", onclick: save }, label);
}

/** The rows that were not applied, to be mended and sent again. @param {Operation} operation */
export function rejectedButton(operation) {
  const count = REJECTED.reduce((sum, outcome) => sum + (operation.counts[outcome] ?? 0), 0);
  return count > 0 && downloadButton(operation, t("operation.rejected", { count }), REJECTED);
}

/**
 * Takes the operation back, having said first whom it would.
 * @param {Operation} operation
 * @param {(revert: Operation) => void} [onEnd]
 */
export function revertButton(operation, onEnd = () => {}) {
  if (!isRevertible(operation)) return false;
  return h("button", { type: "button", onclick: () => askToRevert(operation, onEnd) }, t("revert"));
}

/** @param {Operation} operation @param {(revert: Operation) => void} onEnd */
export async function askToRevert({ id }, onEnd) {
  const idempotencyKey = api.newIdempotencyKey();
  const place = h("div", { class: "rest" }, h("p", { role: "status" }, t("loading")));
  const dialog = openDialog({ title: t("revert.title"), content: [h("p", {}, t("revert.explain")), place] });
  const close = h("button", { type: "button", onclick: dialog.close }, t("close"));
  const path = `/operations/${id}/revert`;

  /** @param {Operation} checked */
  function ask(checked) {
    if (checked.state !== "succeeded" || !checked.counts.changed) return;
    const question = form(
      async (values) => {
        const { body } = await api.post(path, { body: { reason: values.get("reason") || null }, idempotencyKey, prefer: "respond-async" });
        const report = new OperationReport(body, { mayRevert: false, onEnd });
        fill(place, report, h("div", { class: "actions" }, close));
        report.state.focus();
      },
      field({ name: "reason", label: t("operation.reason"), attributes: { maxlength: "1000" } }),
      h("div", { class: "actions" }, h("button", { type: "button", onclick: dialog.close }, t("cancel")), h("button", { type: "submit", class: "primary" }, t("revert"))),
    );
    place.append(question);
  }

  try {
    const { body } = await api.post(path, { body: { dry_run: true }, prefer: "respond-async" });
    const report = new OperationReport(body, { mayRevert: false, onEnd: ask });
    fill(place, report);
  } catch (error) {
    fill(place, problemNotice(error));
  }
}

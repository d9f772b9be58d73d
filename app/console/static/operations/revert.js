// @ts-check
/** The one way to revert an operation: a preview, the reason, then the progress and result. */
import { newIdempotencyKey, post } from "../api/client.js";
import { formatDay } from "../language/format.js";
import { openDialog } from "../ui/dialog.js";
import { fill, h } from "../ui/dom.js";
import { field, form, submitButton } from "../ui/form.js";
import { problemNotice } from "../ui/notice.js";
import { t } from "./messages.js";
import { isRevertible, titleOf } from "./operation.js";
import { OperationReport } from "./report.js";

/** @typedef {import("./operation.js").Operation} Operation */

/** @type {readonly import("./summary.js").Group[]} */
const LISTED = ["kept", "changed"];

/**
 * @typedef {object} Options
 * @property {() => void} [onOpen] called before the dialog opens
 * @property {(revert: Operation) => void} [onEnd] called when the revert has ended
 * @property {() => HTMLElement | null} [returnTo] gets the focus afterwards when the button is gone
 */

/** Create the button that opens the dialog; undefined when the operation cannot be reverted. @param {Operation} operation @param {Options} [options] */
export function revertButton(operation, options) {
  const action = revertAction(operation, options);
  return action && h("button", { type: "button", onclick: action.run }, action.label);
}

/** Create the action that opens the dialog, such as for a toast; undefined when the operation cannot be reverted. @param {Operation} operation @param {Options} [options] */
export function revertAction(operation, options = {}) {
  return isRevertible(operation) ? { label: t("revert"), run: () => openRevertDialog(operation, options) } : undefined;
}

/** @param {Operation} operation @param {Options} options */
async function openRevertDialog(operation, { onOpen = () => {}, onEnd, returnTo }) {
  onOpen();
  const path = `/operations/${operation.id}/revert`;
  const idempotencyKey = newIdempotencyKey();
  const place = h("div", { class: "rest" }, h("p", { role: "status" }, t("loading")));
  const title = t("revert.title", { operation: titleOf(operation), date: formatDay(operation.created_at) });
  const dialog = openDialog({ title, content: [h("p", {}, t("revert.explain")), place], returnTo });
  const closeButton = (/** @type {string} */ label) => h("button", { type: "button", onclick: dialog.close }, label);

  /** @param {Operation} preview */
  function ask(preview) {
    if (preview.state !== "succeeded" || !(preview.counts.changed || preview.counts.kept)) return;
    const question = form(
      async (values) => {
        const body = { reason: values.get("reason") || null };
        const answer = await post(path, { body, idempotencyKey, prefer: "respond-async" });
        const report = new OperationReport(answer.body, { onEnd });
        fill(place, report, h("div", { class: "actions" }, closeButton(t("close"))));
        report.state.focus();
      },
      field({ name: "reason", label: t("operation.reason"), attributes: { maxlength: "1000" } }),
      h("div", { class: "actions" }, closeButton(t("cancel")), submitButton(t("revert"))),
    );
    place.append(question);
  }

  try {
    const { body } = await post(path, { body: { dry_run: true }, prefer: "respond-async" });
    fill(place, new OperationReport(body, { onEnd: ask, listed: LISTED }));
  } catch (error) {
    fill(place, problemNotice(error));
  }
}

// @ts-check
/** An action for many learners: the new date if it sets one, a preview, the reason, the progress and the result. */
import * as api from "../api/client.js";
import { isAborted, isProblem, Problem } from "../api/problem.js";
import { followOperation } from "../operations/follow.js";
import { hasEnded } from "../operations/operation.js";
import { OperationReport } from "../operations/report.js";
import { revertAction, revertButton } from "../operations/revert.js";
import { summaryOf } from "../operations/summary.js";
import { openDialog } from "../ui/dialog.js";
import { fill, h } from "../ui/dom.js";
import { field, form, submitButton } from "../ui/form.js";
import { problemNotice } from "../ui/notice.js";
import { toast } from "../ui/toast.js";
import { expirationField } from "./expiration_field.js";
import { t } from "./messages.js";

/** @typedef {import("../operations/operation.js").Operation} Operation */

const PATH = "/learners/bulk-actions";
// A new date can expire or restore accounts, so the changes are listed.
const LISTED = /** @type {const} */ ({ "set-expiration": ["refused", "not_found", "changed"], activate: undefined, deactivate: undefined });
// Seconds to wait for the result. What takes longer shows its progress.
const WAIT = "wait=1";

/**
 * @param {import("../operations/operation.js").Action} action
 * @param {ReturnType<import("./selection.js").Selection["toJSON"]>} selection
 * @param {number} seen how many the user saw selected
 * @param {object} options
 * @param {() => void} options.onChange called when learners may have changed
 * @param {() => void} options.onDone called when the action has been sent
 * @param {() => HTMLElement} options.returnTo gets the focus afterwards
 * @param {AbortSignal} options.leaving ends it
 */
export function openBulkDialog(action, selection, seen, { onChange, onDone, returnTo, leaving }) {
  const place = h("div", { class: "dialog-part" });
  const dialog = openDialog({ title: t(`bulk.${action}`, { count: seen }), content: [place], returnTo });
  const closeButton = () => h("button", { type: "button", onclick: dialog.close }, t("close"));
  /** What the action needs besides its selection. @type {{expires_on?: string | null}} */
  let members = {};
  /** The preview, then the action. @type {OperationReport | null} */
  let report = null;

  /** Ask for the new expiration date, then show the preview. */
  function askDate() {
    const expiration = expirationField({ label: t("expiration.new") });
    const cancel = h("button", { type: "button", onclick: dialog.close }, t("cancel"));
    const question = form(
      async () => {
        members = { expires_on: expiration.read() };
        preview(seen);
      },
      expiration.element,
      h("div", { class: "actions" }, cancel, submitButton(t("bulk.show_preview"))),
    );
    fill(place, question);
    expiration.element.querySelector("input")?.focus();
  }

  /** Show the preview. @param {number} expected */
  async function preview(expected) {
    dialog.setTitle(t(`bulk.${action}`, { count: expected }));
    fill(place, h("p", { role: "status" }, t("bulk.loading")));
    try {
      const body = { action, ...members, selection, expected_count: expected, dry_run: true };
      const answer = await api.post(PATH, { body, prefer: WAIT, signal: leaving });
      const onEnd = (/** @type {Operation} */ { state, counts }) => state === "succeeded" && ask(expected, counts.changed ?? 0);
      report = new OperationReport(answer.body, { onEnd, listed: LISTED[action] });
      fill(place, h("p", { class: "faint" }, t("bulk.preview")), report);
    } catch (error) {
      fail(error);
    }
  }

  /** Nothing has been changed: show why, and offer another preview. @param {unknown} error */
  function fail(error) {
    if (isAborted(error)) return;
    const matched = error instanceof Problem ? error.document.matched_count : undefined;
    const again = () => {
      onChange();
      preview(matched ?? seen);
    };
    const button = h("button", { type: "button", onclick: again }, t(matched === undefined ? "try_again" : "bulk.refresh"));
    fill(place, problemNotice(error, button));
    button.focus();
  }

  /** Ask for the reason and for confirmation. @param {number} expected @param {number} changed how many would be changed */
  function ask(expected, changed) {
    if (changed === 0) {
      const close = closeButton();
      place.append(h("p", {}, t("bulk.nothing")), h("div", { class: "actions" }, close));
      close.focus();
      return;
    }
    const reason = h("input", { autocomplete: "off" });
    const cancel = h("button", { type: "button", onclick: dialog.close }, t("cancel"));
    /** @type {{body: string, key: string} | null} */
    let attempt = null;
    const question = form(
      async () => {
        const body = { action, ...members, selection, expected_count: expected, reason: reason.value.trim() || null };
        // The same request has the same key: if its answer was lost, it is not applied twice.
        const text = JSON.stringify(body);
        if (attempt?.body !== text) attempt = { body: text, key: api.newIdempotencyKey() };
        try {
          run((await api.post(PATH, { body, prefer: WAIT, idempotencyKey: attempt.key })).body);
        } catch (error) {
          if (!isProblem(error, "selection-changed")) throw error;
          fail(error);
        }
      },
      field({ name: "reason", label: t("reason"), hint: t("bulk.reason.hint"), control: reason }),
      h("div", { class: "actions" }, cancel, submitButton(t(`bulk.${action}`, { count: changed }))),
    );
    place.append(question);
    reason.focus();
  }

  /** Show the action's progress and result. @param {Operation} operation */
  function run(operation) {
    const actions = h("div", { class: "actions" }, closeButton());
    const onEnd = (/** @type {Operation} */ ended) => {
      onChange();
      actions.prepend(revertButton(ended, { onOpen: dialog.close, onEnd: onChange, returnTo }) ?? "");
    };
    report = new OperationReport(operation, { onEnd, listed: LISTED[action] });
    onDone();
    fill(place, report, actions);
    report.state.focus();
  }

  /** Stop a preview that is no longer needed. An action goes on, and a toast tells its result. */
  async function finish() {
    if (report === null || hasEnded(report.operation)) return;
    const { operation } = report;
    if (operation.dry_run) {
      await api.post(`/operations/${operation.id}/cancel`);
      return;
    }
    const ended = await followOperation(operation, { signal: leaving });
    toast(summaryOf(ended), { action: revertAction(ended, { onEnd: onChange, returnTo }) });
    onChange();
  }

  dialog.closed.then(finish).catch((error) => {
    if (!(error instanceof Problem) && !isAborted(error)) throw error; // there is no place left to show a problem
  });
  if (action === "set-expiration") askDate();
  else preview(seen);
}

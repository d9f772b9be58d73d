// @ts-check
/** Activating or deactivating many: what would become of them, why, then how it gets on, and the way back. */
import * as api from "./api.js";
import { openDialog } from "./dialog.js";
import { fill, h } from "./dom.js";
import { field, form } from "./form.js";
import { t } from "./messages.js";
import { problemNotice } from "./notice.js";
import { followOperation, hasEnded, isRevertible, OperationReport, summaryOf } from "./operation_progress.js";
import { askToRevert } from "./operations.js";
import { toast } from "./toast.js";

/** @typedef {import("./operation_progress.js").Operation} Operation */

const PATH = "/learners/bulk-actions";
// So long an answer is waited for; what takes longer shows how far it is.
const WAIT = "wait=1";

/**
 * @param {"activate" | "deactivate"} action
 * @param {Record<string, any>} selection as the API takes it
 * @param {number} seen how many the person saw selected
 * @param {object} options
 * @param {() => void} options.onChange there may be something new to see
 * @param {() => void} options.onDone the action has been done
 * @param {() => HTMLElement} options.returnTo who gets the focus afterwards
 * @param {AbortSignal} options.leaving ends it
 */
export function openBulkDialog(action, selection, seen, { onChange, onDone, returnTo, leaving }) {
  const place = h("div", { class: "dialog-part" });
  const dialog = openDialog({ title: t(`bulk.${action}.title`, { count: seen }), content: [place], returnTo });
  /** What is being looked at now. @type {OperationReport | null} */
  let report = null;

  /** Ask what would become of them. @param {number} expected */
  async function rehearse(expected) {
    fill(dialog.element.querySelector("h2") ?? place, t(`bulk.${action}.title`, { count: expected }));
    fill(place, h("p", { role: "status" }, t("bulk.looking")));
    try {
      const body = { action, selection, expected_count: expected, dry_run: true };
      const answer = await api.post(PATH, { body, prefer: WAIT, signal: leaving });
      const onEnd = (/** @type {Operation} */ { state, counts }) => state === "succeeded" && ask(expected, counts.changed);
      report = new OperationReport(answer.body, { onEnd, mayRevert: false });
      fill(place, h("p", { class: "faint" }, t("bulk.preview")), report);
    } catch (error) {
      fail(error);
    }
  }

  /** Nothing has been done: say why, and offer to look again. @param {unknown} error */
  function fail(error) {
    if (api.isAborted(error)) return;
    const matched = error instanceof api.Problem ? error.document.matched_count : undefined;
    const again = () => {
      onChange();
      rehearse(matched ?? seen);
    };
    const button = h("button", { type: "button", onclick: again }, t(matched === undefined ? "try_again" : "bulk.look_again"));
    fill(place, problemNotice(error, button));
    button.focus();
  }

  /** @param {number} expected @param {number} changing how many would be changed */
  function ask(expected, changing) {
    const isUseless = changing === 0;
    const reason = field({ name: "reason", label: t("bulk.reason"), hint: t("bulk.reason.hint"), attributes: { autocomplete: "off" } });
    const cancel = h("button", { type: "button", onclick: dialog.close }, t(isUseless ? "close" : "cancel"));
    const submit = h("button", { type: "submit", class: "primary" }, t(`bulk.${action}.submit`, { count: changing }));
    /** @type {{body: string, key: string} | null} */
    let attempt = null;
    const asking = form(
      async (values) => {
        const body = { action, selection, expected_count: expected, reason: String(values.get("reason")).trim() || null };
        // The same request has the same key, so that one whose answer was lost is not done twice.
        const text = JSON.stringify(body);
        if (attempt?.body !== text) attempt = { body: text, key: api.newIdempotencyKey() };
        try {
          run((await api.post(PATH, { body, prefer: WAIT, idempotencyKey: attempt.key })).body);
        } catch (error) {
          if (!(error instanceof api.Problem) || error.code !== "selection-changed") throw error;
          fail(error);
        }
      },
      isUseless ? h("p", {}, t("bulk.nothing")) : reason,
      h("div", { class: "actions" }, cancel, !isUseless && submit),
    );
    place.append(asking);
    (isUseless ? cancel : reason.querySelector("input")).focus();
  }

  /** @param {Operation} operation */
  function run(operation) {
    report = new OperationReport(operation, { onEnd: onChange });
    onDone();
    fill(place, report, h("div", { class: "actions" }, h("button", { type: "button", onclick: dialog.close }, t("close"))));
    report.state.focus();
  }

  async function goOn() {
    for (let each = report; each !== null; each = each.revert) {
      const { operation } = each;
      if (hasEnded(operation)) continue;
      // Nobody wants to know any more what would be; what is done goes on, and is told of when it has ended.
      if (operation.dry_run) await api.post(`/operations/${operation.id}/cancel`);
      else {
        const ended = await followOperation(operation, { signal: leaving });
        const revert = { label: t("revert"), run: () => askToRevert(ended, onChange) };
        toast(summaryOf(ended), { action: isRevertible(ended) ? revert : undefined });
        onChange();
      }
    }
  }

  dialog.closed.then(goOn).catch((error) => {
    if (!(error instanceof api.Problem) && !api.isAborted(error)) throw error; // it is of no use here
  });
  rehearse(seen);
}

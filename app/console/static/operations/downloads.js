// @ts-check
/** Downloads of an operation's outcomes as CSV. */
import { download } from "../api/download.js";
import { h } from "../ui/dom.js";
import { toastProblem } from "../ui/toast.js";
import { t } from "./messages.js";
import { countRejected, REJECTED } from "./operation.js";

/** @typedef {import("./operation.js").Operation} Operation */

/** @param {Operation} operation @param {string} name of the file @param {Record<string, any>} query which outcomes */
export function downloadOutcomes({ id }, name, query) {
  return download(`/operations/${id}/outcomes`, name, { query });
}

/** Create the button for all outcomes. @param {Operation} operation */
export function downloadAllButton(operation) {
  return operation.progress.done > 0 && downloadButton(operation, t("outcome.download.all"), {});
}

/** Create the button for the rows that were not applied. They can be corrected and imported again. @param {Operation} operation */
export function downloadRejectedButton(operation) {
  const count = countRejected(operation);
  return count > 0 && downloadButton(operation, t("outcome.download.rejected", { count }), { outcome: REJECTED });
}

/** @param {Operation} operation @param {string} label @param {Record<string, any>} query */
function downloadButton(operation, label, query) {
  const save = () => downloadOutcomes(operation, "outcomes.csv", query).catch(toastProblem);
  return h("button", { type: "button", onclick: save }, label);
}

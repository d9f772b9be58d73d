// @ts-check
/** An operation in one sentence: its state, and how many learners or rows have each outcome. */
import { t, has } from "./messages.js";
import { hasEnded } from "./operation.js";

/** @typedef {import("./operation.js").Operation} Operation */
/** An outcome, or the part of the changed ones that lost access. @typedef {import("./operation.js").Outcome | "deactivated"} Group */

/** @param {Operation} operation */
export function summaryOf(operation) {
  const { state, dry_run, progress } = operation;
  const stateText = t(`state.${state}`);
  if (!hasEnded(operation) || state === "refused") return stateText;
  const counts = groupsOf(operation).map(([group, count]) => countText(operation, group, count));
  const left = progress.total - progress.done;
  if (left > 0) counts.push(t("outcome.not_started", { count: left }));
  if (counts.length === 0) return stateText;
  const text = counts.join(", ");
  return dry_run && state === "succeeded" ? text : `${stateText}: ${text}`;
}

/**
 * Return the groups that are not empty. For a bulk action, the changed ones say already whether they lost access.
 * @param {Operation} operation
 * @returns {[Group, number][]}
 */
export function groupsOf({ kind, counts, deactivated }) {
  const groups = /** @type {[Group, number][]} */ (Object.entries(counts));
  if (kind !== "bulk-action") {
    const changed = groups.findIndex(([group]) => group === "changed");
    if (changed >= 0) groups.splice(changed + 1, 0, ["deactivated", deactivated]);
  }
  return groups.filter(([, count]) => count > 0);
}

/** After a dry run or a refusal, say what would have happened. @param {Operation} operation @param {Group} group @param {number} count */
export function countText({ dry_run, state, action }, group, count) {
  const factual = `outcome.${group}.${action}`;
  const keys = dry_run || state === "refused" ? [`outcome.would.${group}.${action}`, `outcome.would.${group}`, factual] : [factual];
  return t(keys.find(has) ?? `outcome.${group}`, { count });
}

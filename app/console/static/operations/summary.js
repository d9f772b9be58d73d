// @ts-check
/** An operation in one sentence: its state, and how many learners or rows have each outcome. */
import { t, has } from "./messages.js";
import { CHANGES, hasEnded } from "./operation.js";

/** @typedef {import("./operation.js").Operation} Operation */
/** An outcome, or a part of the learners that were changed. @typedef {import("./operation.js").Outcome | import("./operation.js").Change} Group */

/** @param {Operation} operation */
export function summaryOf(operation) {
  const { state, dry_run, progress } = operation;
  const stateText = t(`state.${state}`);
  if (!hasEnded(operation) || state === "refused") return stateText;
  const groups = groupsOf(operation);
  const changes = groups.filter(([group]) => isChange(group)).map(([group, count]) => t(`outcome.${group}`, { count }));
  const outcomes = groups.filter(([group]) => !isChange(group));
  const counts = outcomes.map(([group, count]) => countText(operation, group, count));
  if (changes.length > 0) {
    // A revert that keeps a part of each learner has changes, but no learner that is only changed.
    const place = Math.max(0, outcomes.findIndex(([group]) => group === "changed"));
    counts[place] += ` (${changes.join(", ")})`;
  }
  const left = progress.total - progress.done;
  if (left > 0) counts.push(t("outcome.not_started", { count: left }));
  if (counts.length === 0) return stateText;
  const text = counts.join(", ");
  return dry_run && state === "succeeded" ? text : `${stateText}: ${text}`;
}

/**
 * Return the groups that are not empty. For a bulk action, the name of the changed ones says already what has changed.
 * @param {Operation} operation
 * @returns {[Group, number][]}
 */
export function groupsOf(operation) {
  const groups = /** @type {[Group, number][]} */ (Object.entries(operation.counts));
  if (operation.kind !== "bulk-action") {
    const changed = groups.findIndex(([group]) => group === "changed");
    groups.splice(changed + 1, 0, ...CHANGES.map((name) => /** @type {[Group, number]} */ ([name, countChanges(operation, name)])));
  }
  return groups.filter(([, count]) => count > 0);
}

/** Whether the group is a part of the changed learners. @param {Group} group */
export function isChange(group) {
  return CHANGES.some((change) => change === group);
}

/** @param {Operation} operation @param {import("./operation.js").Change} change */
function countChanges(operation, change) {
  return change === "expiration" ? operation.expiration_changed : operation[change];
}

/** After a dry run or a refusal, say what would have happened. @param {Operation} operation @param {Group} group @param {number} count */
export function countText({ dry_run, state, action }, group, count) {
  const factual = `outcome.${group}.${action}`;
  const keys = dry_run || state === "refused" ? [`outcome.would.${group}.${action}`, `outcome.would.${group}`, factual] : [factual];
  return t(keys.find(has) ?? `outcome.${group}`, { count });
}

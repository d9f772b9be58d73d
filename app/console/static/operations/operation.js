// @ts-check
/** An operation: its kind, its state, its outcomes, and what can be done with it. */
import { may } from "../shell/session.js";
import { t } from "./messages.js";

/** The kinds, in the order in which they are shown. */
export const KINDS = /** @type {const} */ (["csv-import", "bulk-action", "revert"]);

export const STATES = /** @type {const} */ (["pending", "running", "succeeded", "refused", "failed", "cancelled"]);

/** The outcomes for one learner or row, in the order in which they are shown. */
export const OUTCOMES = /** @type {const} */ (["created", "changed", "unchanged", "kept", "refused", "invalid", "not_found"]);

/** The outcomes whose rows can be corrected and imported again. */
export const REJECTED = /** @type {const} */ (["refused", "invalid", "not_found"]);

/** @typedef {typeof KINDS[number]} Kind */
/** @typedef {typeof STATES[number]} State */
/** @typedef {typeof OUTCOMES[number]} Outcome */

/**
 * An operation as the API returns it.
 * @typedef {{id: string, kind: Kind, dry_run: boolean, action: import("../learners/learner.js").Action | null,
 *   state: State, reason: string | null, progress: {done: number, total: number}, counts: Partial<Record<Outcome, number>>,
 *   deactivated: number, warnings: {code: string, detail: string}[], problem: Record<string, any> | null,
 *   reverts: string | null, reverted_by: string | null, created_by: {kind: string, id: string, name: string},
 *   created_at: string, started_at: string | null, finished_at: string | null}} Operation
 */

/** Say what the operation does. @param {Pick<Operation, "kind" | "action" | "progress">} operation */
export function titleOf({ kind, action, progress }) {
  return action === null ? t(`kind.${kind}`) : t(`kind.${action}`, { count: progress.total });
}

/** @param {Pick<Operation, "finished_at">} operation */
export function hasEnded({ finished_at }) {
  return finished_at !== null;
}

/** Whether it can be reverted, with this key. @param {Operation} operation */
export function isRevertible(operation) {
  const { dry_run, state, counts, reverted_by } = operation;
  const hasChanges = (counts.changed ?? 0) + (counts.created ?? 0) > 0;
  const isApplied = hasEnded(operation) && !dry_run && state !== "refused";
  return isApplied && hasChanges && reverted_by === null && may("learners:bulk");
}

/** Count the rows that were not applied. @param {Operation} operation */
export function countRejected({ counts }) {
  return REJECTED.reduce((sum, outcome) => sum + (counts[outcome] ?? 0), 0);
}

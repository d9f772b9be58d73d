// @ts-check
/** An operation: its kind, its state, its outcomes, and what can be done with it. */
import { may } from "../shell/session.js";
import { t } from "./messages.js";

/** The kinds, in the order in which they are shown. */
export const KINDS = /** @type {const} */ (["csv-import", "json-import", "bulk-action", "revert"]);

/** What bulk actions do. */
export const ACTIONS = /** @type {const} */ (["activate", "deactivate", "set-expiration"]);

export const STATES = /** @type {const} */ (["pending", "running", "succeeded", "refused", "failed", "cancelled"]);

/** The outcomes for one learner or row, in the order in which they are shown. */
export const OUTCOMES = /** @type {const} */ (["created", "changed", "unchanged", "kept", "refused", "invalid", "not_found"]);

/** What the outcomes of changed learners are filtered by, in the order in which it is shown. */
export const CHANGES = /** @type {const} */ (["deactivated", "activated", "renamed", "rekeyed", "expiration"]);

/** The outcomes whose rows can be corrected and imported again. */
export const REJECTED = /** @type {const} */ (["refused", "invalid", "not_found"]);

/** @typedef {typeof KINDS[number]} Kind */
/** @typedef {typeof ACTIONS[number]} Action */
/** @typedef {typeof CHANGES[number]} Change */
/** @typedef {typeof STATES[number]} State */
/** @typedef {typeof OUTCOMES[number]} Outcome */

/**
 * An operation as the API returns it.
 * @typedef {{id: string, kind: Kind, dry_run: boolean, action: Action | null, state: State, reason: string | null,
 *   request: Record<string, any>, progress: {done: number, total: number}, counts: Partial<Record<Outcome, number>>,
 *   deactivated: number, activated: number, renamed: number, rekeyed: number, expiration_changed: number,
 *   warnings: {code: string, detail: string}[], problem: Record<string, any> | null, reverts: string | null,
 *   reverted_by: string | null, revertible: number, created_by: {kind: string, id: string, name: string},
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

/** Whether it has changes that can be undone, with this key. @param {Operation} operation */
export function isRevertible(operation) {
  return hasEnded(operation) && operation.revertible > 0 && may("learners:bulk");
}

/** Whether its rows come from a file. @param {Pick<Operation, "kind">} operation */
export function isImport({ kind }) {
  return kind === "csv-import" || kind === "json-import";
}

/** Count the rows that were not applied. @param {Operation} operation */
export function countRejected({ counts }) {
  return REJECTED.reduce((sum, outcome) => sum + (counts[outcome] ?? 0), 0);
}

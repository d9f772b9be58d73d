// @ts-check
/** Tells everything on the page that shows a learner when that learner has changed. */

/** @typedef {import("./learner.js").Learner} Learner */

const changes = new EventTarget();

/**
 * Call `listener` with every learner that changes, in its new version.
 * @param {(learner: Learner) => void} listener
 * @param {AbortSignal} signal ends it
 */
export function onLearnerChange(listener, signal) {
  changes.addEventListener("change", (event) => listener(/** @type {CustomEvent<Learner>} */ (event).detail), { signal });
}

/** Tell all listeners about the learner's new version. @param {Learner} learner */
export function announceChange(learner) {
  changes.dispatchEvent(new CustomEvent("change", { detail: learner }));
}

// @ts-check
/** Following an operation until it has ended. */
import { streamEvents } from "../api/events.js";
import { Problem } from "../api/problem.js";
import { hasEnded } from "./operation.js";

/** @typedef {import("./operation.js").Operation} Operation */

const RECONNECT_MILLISECONDS = 2_000;

/**
 * Follow the operation until it has ended, however often the connection breaks. Throws Problem, or the signal's AbortError.
 * @param {Operation} operation
 * @param {{signal?: AbortSignal, onChange?: (operation: Operation) => void}} [options]
 * @returns {Promise<Operation>} as it ended
 */
export async function followOperation(operation, { signal, onChange = () => {} } = {}) {
  let now = operation;
  while (!hasEnded(now)) {
    try {
      for await (const { data } of streamEvents(`/operations/${now.id}/progress`, { signal })) onChange((now = data));
    } catch (error) {
      if (!isPassing(error)) throw error;
    }
    if (hasEnded(now)) break;
    await new Promise((resolve) => setTimeout(resolve, RECONNECT_MILLISECONDS));
    signal?.throwIfAborted();
  }
  return now;
}

/** Whether another attempt may succeed: no answer, too many requests, or a fault of the server. @param {unknown} error */
function isPassing(error) {
  return error instanceof Problem && (error.status === 0 || error.status === 429 || error.status >= 500);
}

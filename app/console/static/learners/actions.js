// @ts-check
/** Changing one learner. Each change can be undone, and everything that shows the learner is told. */
import * as api from "../api/client.js";
import { Problem } from "../api/problem.js";
import { formatDate } from "../language/format.js";
import { toast, toastProblem } from "../ui/toast.js";
import { announceChange } from "./changes.js";
import { nameOf } from "./learner.js";
import { t } from "./messages.js";

/** @typedef {import("./learner.js").Learner} Learner */
/** @typedef {import("./learner.js").Action} Action */

const OPPOSITES = /** @type {const} */ ({ activate: "deactivate", deactivate: "activate" });
/** The ids of learners with a request that is not answered yet. A second click is ignored. @type {Set<string>} */
const underway = new Set();

/**
 * Activate or deactivate the learner at once, with Undo in the toast. The page changes only with the answer: until then
 * the learner can still log in, or still cannot.
 * @param {Learner} learner
 * @param {Action} action
 */
export function applyAction(learner, action) {
  return runOnce(learner, async () => {
    // Without If-Match: ending access matters more than other changes made in the meantime.
    const { etag } = await applyAnswer(api.post(`/learners/${learner.id}/${action}`));
    const revert = async () => {
      const { now } = await applyAnswer(api.post(`/learners/${learner.id}/${OPPOSITES[action]}`, { ifMatch: etag }));
      return t(`undone.${now.status}`, { name: nameOf(now) });
    };
    toast(t(`action.${action}.done`, { name: nameOf(learner) }), { action: { label: t("undo"), run: () => undo(learner, revert) } });
  });
}

/**
 * Change the profile or the expiration date, with Undo in the toast. Throws Problem, also when someone else has changed
 * the learner since `learner` was read.
 * @param {Learner} learner
 * @param {Partial<Learner>} members the new values; null clears
 */
export async function updateLearner(learner, members) {
  const path = `/learners/${learner.id}`;
  const { now, etag } = await applyAnswer(api.patch(path, { body: members, ifMatch: etagOf(learner) }));
  const before = Object.fromEntries(Object.keys(members).map((name) => [name, Reflect.get(learner, name)]));
  const revert = async () => {
    await applyAnswer(api.patch(path, { body: before, ifMatch: etag }));
    return t("undone.details", { name: nameOf(learner) });
  };
  toast(updatedText(now, Object.keys(members)), { action: { label: t("undo"), run: () => undo(learner, revert) } });
}

/** @param {Learner} learner @param {string[]} members */
function updatedText(learner, members) {
  const values = { name: nameOf(learner), status: t(`status.${learner.status}`) };
  if (!members.includes("expires_on")) return t("form.saved", values);
  const day = learner.expires_on;
  return day === null ? t("expiration.removed", values) : t("expiration.set", { ...values, date: formatDate(day) });
}

/** @param {Learner} learner @param {() => Promise<string>} revert returns what to say */
function undo(learner, revert) {
  return runOnce(learner, async () => {
    const text = await revert();
    findStatusControl(learner)?.focus();
    toast(text);
  });
}

/** Find the learner's status control on the page. @param {Learner} learner @returns {HTMLElement | null} */
export function findStatusControl({ id }) {
  return document.querySelector(`[data-key="status-${CSS.escape(id)}"]`);
}

/** The ETag of this version. With it, a change fails when someone else has changed the learner. @param {Learner} learner */
function etagOf(learner) {
  return `"${learner.version}"`;
}

/**
 * Announce the learner that is answered. An undo sends the answer's ETag: it then only undoes this change, and no later
 * one of someone else.
 * @param {Promise<api.Answer>} answering
 * @returns {Promise<{now: Learner, etag: string}>}
 */
async function applyAnswer(answering) {
  const { body, headers } = await answering;
  announceChange(body);
  return { now: body, etag: headers.get("ETag") ?? etagOf(body) };
}

/** @param {Learner} learner @param {() => Promise<void>} run */
async function runOnce(learner, run) {
  if (underway.has(learner.id)) return;
  underway.add(learner.id);
  try {
    await run();
  } catch (error) {
    toastProblem(error);
    await reload(learner);
  } finally {
    underway.delete(learner.id);
  }
}

/** Show the stored version, since someone else may have changed it. @param {Learner} learner */
async function reload(learner) {
  try {
    announceChange(await api.get(`/learners/${learner.id}`));
  } catch (error) {
    if (!(error instanceof Problem)) throw error; // the first problem has been shown already
  }
}

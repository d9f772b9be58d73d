// @ts-check
/** What can be done with one learner, wherever it is shown; each change can be undone, and is told to all who show it. */
import * as api from "./api.js";
import { h } from "./dom.js";
import { openDialog } from "./dialog.js";
import { expirationField } from "./expiration_field.js";
import { form } from "./form.js";
import { date, today } from "./format.js";
import { nameOf, statusLabel } from "./learner.js";
import { t } from "./messages.js";
import { may } from "./session.js";
import { toast, toastProblem } from "./toast.js";

/** @typedef {import("./learner.js").Learner} Learner */
/** @typedef {"activate" | "deactivate"} Action */

const OPPOSITE = /** @type {const} */ ({ activate: "deactivate", deactivate: "activate" });
const changes = new EventTarget();
/** Learners of whom an answer is awaited: a second click on one of them is the same click. @type {Set<string>} */
const underway = new Set();

/**
 * Tell `listener` of every learner that was changed here, as it is now.
 * @param {(learner: Learner) => void} listener
 * @param {AbortSignal} signal ends it
 */
export function onLearnerChange(listener, signal) {
  changes.addEventListener("change", (event) => listener(/** @type {CustomEvent} */ (event).detail), { signal });
}

/** The learner is like this now: tell all who show it. @param {Learner} learner */
export function announce(learner) {
  changes.dispatchEvent(new CustomEvent("change", { detail: learner }));
}

/** The tag that makes a change fail where somebody has changed the learner since it was shown. @param {Learner} learner */
export function tagOf(learner) {
  return `"${learner.version}"`;
}

/**
 * Activate or deactivate at once, with Undo in the toast. The page changes with the answer, not before: until then
 * the learner can still log in, or cannot yet.
 * @param {Learner} learner
 * @param {Action} action
 */
export function act(learner, action) {
  return once(learner, async () => {
    // Without If-Match: who deactivates wants the access gone, whatever else was changed meanwhile.
    const { undoing } = await changed(api.post(`/learners/${learner.id}/${action}`));
    toast(t(`learner.${action}.done`, { name: nameOf(learner) }), {
      action: { label: t("undo"), run: () => undo(learner, () => api.post(`/learners/${learner.id}/${OPPOSITE[action]}`, undoing)) },
    });
  });
}

/**
 * Change the profile or the expiration date, with Undo in the toast. Throws Problem: nobody's change is overwritten
 * that was made since `learner` was read.
 * @param {Learner} learner
 * @param {Partial<Learner>} members what is to be otherwise; null clears
 */
export async function update(learner, members) {
  const path = `/learners/${learner.id}`;
  const { now, undoing } = await changed(api.patch(path, { body: members, ifMatch: tagOf(learner) }));
  const before = Object.fromEntries(Object.keys(members).map((name) => [name, Reflect.get(learner, name)]));
  toast(updatedText(now, Object.keys(members)), {
    action: { label: t("undo"), run: () => undo(learner, () => api.patch(path, { ...undoing, body: before })) },
  });
}

/** @param {Learner} learner @param {string[]} members */
function updatedText(learner, members) {
  const values = { name: nameOf(learner), status: t(`status.${learner.status}`) };
  if (!members.includes("expires_on")) return t("learner.saved", values);
  const day = learner.expires_on;
  return day === null ? t("expiration.removed", values) : t("expiration.set", { ...values, date: date(day) });
}

/** Say why an expired learner cannot be activated, and offer what helps. @param {Learner} learner */
export function explainExpired(learner) {
  const dialog = openDialog({
    title: t("expired.title", { name: nameOf(learner) }),
    content: [
      h("p", {}, t("expired.since", { date: date(learner.expires_on ?? "") })),
      h("p", {}, t("expired.restores"), " ", statusLabel(learner.restores_to ?? "activated")),
      may("learners:write") && expirationForm(learner, () => dialog.close()),
    ],
    returnTo: () => controlOf(learner),
  });
}

/** @param {Learner} learner @param {() => void} onDone */
function expirationForm(learner, onDone) {
  const expiration = expirationField({ label: t("expiration.new"), min: today() });
  return form(
    async () => {
      await update(learner, { expires_on: expiration.wanted() });
      onDone();
    },
    expiration.element,
    h(
      "div",
      { class: "actions" },
      h("button", { type: "button", onclick: onDone }, t("cancel")),
      h("button", { type: "submit", class: "primary" }, t("expiration.submit")),
    ),
  );
}

/** @param {Learner} learner @param {() => Promise<api.Answer>} send */
function undo(learner, send) {
  return once(learner, async () => {
    await changed(send());
    controlOf(learner)?.focus();
    toast(t("undone", { name: nameOf(learner) }));
  });
}

/** The learner's status control, where it is on the page. @param {Learner} learner @returns {HTMLElement | null} */
function controlOf({ id }) {
  return document.querySelector(`[data-key="status-${CSS.escape(id)}"]`);
}

/**
 * Tell of the learner that was answered. The answer's tag is what an undo is to send: it then takes back this change,
 * and never one that somebody has made after it.
 * @param {Promise<api.Answer>} answering
 * @returns {Promise<{now: Learner, undoing: {ifMatch: string}}>}
 */
async function changed(answering) {
  const { body, headers } = await answering;
  announce(body);
  return { now: body, undoing: { ifMatch: headers.get("ETag") ?? tagOf(body) } };
}

/** @param {Learner} learner @param {() => Promise<void>} run */
async function once(learner, run) {
  if (underway.has(learner.id)) return;
  underway.add(learner.id);
  try {
    await run();
  } catch (error) {
    toastProblem(error);
    await lookAgain(learner);
  } finally {
    underway.delete(learner.id);
  }
}

/** Somebody else may have changed the learner: show what is true. @param {Learner} learner */
async function lookAgain(learner) {
  try {
    announce(await api.get(`/learners/${learner.id}`));
  } catch (error) {
    if (!(error instanceof api.Problem)) throw error; // what went wrong has been said already
  }
}

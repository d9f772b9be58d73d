// @ts-check
/** The session: the API key of this tab, its organization and its scopes. */
import { get, onKeyRefused, useKey } from "../api/client.js";
import { isProblem } from "../api/problem.js";
import { useTimeZone } from "../language/format.js";

/** @typedef {import("../api/problem.js").Problem} Problem */
/** @typedef {import("../api_keys/scopes.js").Scope} Scope */
/** @typedef {{id: string, slug: string, name: string, time_zone: string, max_deactivations: string, expiring_days: number}} Organization */
/** @typedef {{organization: Organization, actor: {kind: string, id: string, name: string}, scopes: string[]}} Me */

// sessionStorage ends with the tab, and no other tab or site can read it.
const STORED = "rollcall.key";

/** @type {Me | null} */
let me = null;
/** @type {(problem: Problem | null) => void} */
let notifyEnd = () => {};
/** @type {() => void} */
let notifyRefresh = () => {};

onKeyRefused((problem) => {
  if (me !== null) end(problem);
});

/** Return who is signed in. Throws when nobody is. @returns {Me} */
export function whoAmI() {
  if (me === null) throw new Error("not signed in");
  return me;
}

/** Whether the key has one of these scopes; `admin` includes all. @param {...Scope} scopes */
export function may(...scopes) {
  const held = me?.scopes ?? [];
  return held.includes("admin") || scopes.some((scope) => held.includes(scope));
}

/** Call `listener` when the session ends, with the problem that ended it; null = signed out. @param {typeof notifyEnd} listener */
export function onEnd(listener) {
  notifyEnd = listener;
}

/** Call `listener` when the organization may have changed. @param {() => void} listener */
export function onRefresh(listener) {
  notifyRefresh = listener;
}

/** Begin a session with this key. Throws Problem when it is refused. @param {string} key */
export async function signIn(key) {
  useKey(key);
  try {
    setMe(await get("/me"));
  } catch (error) {
    useKey(null);
    throw error;
  }
  sessionStorage.setItem(STORED, key);
}

/** Resume with the key stored in this tab. Returns whether there is one. Throws Problem when it is refused. */
export async function resume() {
  const key = sessionStorage.getItem(STORED);
  if (key === null) return false;
  try {
    await signIn(key);
  } catch (error) {
    // When only the service is away, the key stays, so that a reload is enough.
    if (isProblem(error, "not-authenticated")) sessionStorage.removeItem(STORED);
    throw error;
  }
  return true;
}

/** Read the session again, after the organization was changed. */
export async function refresh() {
  setMe(await get("/me"));
  notifyRefresh();
}

export function signOut() {
  end(null);
}

/** @param {Me} answer */
function setMe(answer) {
  me = answer;
  useTimeZone(answer.organization.time_zone);
}

/** @param {Problem | null} problem */
function end(problem) {
  me = null;
  useKey(null);
  sessionStorage.removeItem(STORED);
  notifyEnd(problem);
}

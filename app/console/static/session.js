// @ts-check
/** Who is signed in: the API key, for this tab only, and what it stands for. */
import * as api from "./api.js";
import { useTimeZone } from "./format.js";

/** @typedef {{id: string, slug: string, name: string, time_zone: string, max_deactivations: string, expiring_days: number}} Organization */
/** @typedef {{organization: Organization, actor: {kind: string, id: string, name: string}, scopes: string[]}} Me */

// sessionStorage ends with the tab, and no other tab or site can read it.
const STORED = "rollcall.key";

/** @type {Me | null} */
let me = null;
/** @type {(problem: api.Problem | null) => void} */
let tell = () => {};
/** @type {() => void} */
let tellRefresh = () => {};

api.onKeyRefused((problem) => {
  if (me !== null) end(problem);
});

/** Who is signed in. Throws where nobody is. @returns {Me} */
export function whoAmI() {
  if (me === null) throw new Error("nobody is signed in");
  return me;
}

/** Whether the key holds one of these scopes; `admin` holds all. @param {...string} scopes */
export function may(...scopes) {
  const held = me?.scopes ?? [];
  return held.includes("admin") || scopes.some((scope) => held.includes(scope));
}

/** Who is to be told that the session has ended, and why; null = by signing out. @param {typeof tell} listener */
export function onEnd(listener) {
  tell = listener;
}

/** Who is to be told that the organization may have changed. @param {() => void} listener */
export function onRefresh(listener) {
  tellRefresh = listener;
}

/** Begin with this key. Throws Problem where it is refused. @param {string} key */
export async function signIn(key) {
  api.useKey(key);
  try {
    learn(await api.get("/me"));
  } catch (error) {
    api.useKey(null);
    throw error;
  }
  sessionStorage.setItem(STORED, key);
}

/** Begin with the key that this tab has kept. Whether there was one; throws Problem where it is refused. */
export async function resume() {
  const key = sessionStorage.getItem(STORED);
  if (key === null) return false;
  try {
    await signIn(key);
  } catch (error) {
    // Where only the service is away, loading the page again is to be enough.
    if (error instanceof api.Problem && error.code === "not-authenticated") sessionStorage.removeItem(STORED);
    throw error;
  }
  return true;
}

/** Ask again who this is, after the organization was changed. */
export async function refresh() {
  learn(await api.get("/me"));
  tellRefresh();
}

export function signOut() {
  end(null);
}

/** @param {Me} answer */
function learn(answer) {
  me = answer;
  useTimeZone(answer.organization.time_zone);
}

/** @param {api.Problem | null} problem */
function end(problem) {
  me = null;
  api.useKey(null);
  sessionStorage.removeItem(STORED);
  tell(problem);
}

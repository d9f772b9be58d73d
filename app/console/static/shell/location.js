// @ts-check
/**
 * The place where the user is: `#/learners?status=active&q=ada`. It is after the `#`, so that one file serves every
 * view, and that no server's log has what the user searches for.
 */

/**
 * @typedef {object} Place
 * @property {string} path names the view, such as `learners`; "" = none
 * @property {URLSearchParams} params
 * @property {any} state what `go` kept with this entry of the history; null after a typed address
 */

/** @typedef {URLSearchParams | Record<string, string>} Params */

/** @type {(place: Place) => void} */
let notify = () => {};

/** Return the current place. @returns {Place} */
export function here() {
  const [path, query = ""] = window.location.hash.replace(/^#\/?/, "").split(/\?(.*)/s, 2);
  return { path, params: new URLSearchParams(query), state: window.history.state };
}

/** Return the address of a place, for links. @param {string} path @param {Params} [params] */
export function addressOf(path, params = {}) {
  const query = new URLSearchParams(params).toString();
  return `#/${path}${query && "?"}${query}`;
}

/**
 * Go to a place.
 * @param {string} path
 * @param {Params} [params]
 * @param {{replace?: boolean, state?: any}} [options] `replace`: the Back button skips the current place
 */
export function go(path, params = {}, { replace = false, state = null } = {}) {
  const address = addressOf(path, params);
  // Going to the current place must not need a Back of its own.
  if (replace || address === window.location.hash) window.history.replaceState(state, "", address);
  else window.history.pushState(state, "", address);
  notify(here());
}

/** Call `listener` at every move: by `go`, by a link, by Back and Forward. @param {typeof notify} listener */
export function onMove(listener) {
  notify = listener;
}

window.addEventListener("popstate", () => notify(here()));

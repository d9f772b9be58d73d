// @ts-check
/**
 * Where the reader is: `#/learners?status=active&q=ada`. After the `#`, so that one file serves every view, and that
 * what is searched for is never sent to a server's log as a part of the page's address.
 */

/**
 * @typedef {object} Place
 * @property {string} path the view, such as `learners`; "" = none named
 * @property {URLSearchParams} params
 * @property {any} state what `go` was given for this entry of the history; null after a typed address
 */

/** @type {(place: Place) => void} */
let tell = () => {};

/** @returns {Place} */
export function here() {
  const [path, query = ""] = window.location.hash.replace(/^#\/?/, "").split(/\?(.*)/s, 2);
  return { path, params: new URLSearchParams(query), state: window.history.state };
}

/**
 * The address of a place, for links.
 * @param {string} path
 * @param {URLSearchParams | Record<string, string>} [params]
 */
export function addressOf(path, params = {}) {
  const query = new URLSearchParams(params).toString();
  return `#/${path}${query && "?"}${query}`;
}

/**
 * Go there.
 * @param {string} path
 * @param {URLSearchParams | Record<string, string>} [params]
 * @param {{replace?: boolean, state?: any}} [options] `replace`: the Back button is to pass over where we are now
 */
export function go(path, params = {}, { replace = false, state = null } = {}) {
  const address = addressOf(path, params);
  // To go where we are already is nothing to go back from.
  if (replace || address === window.location.hash) window.history.replaceState(state, "", address);
  else window.history.pushState(state, "", address);
  tell(here());
}

/** Who is told of every move: by `go`, by a link, by Back and Forward. @param {typeof tell} listener */
export function onMove(listener) {
  tell = listener;
}

window.addEventListener("popstate", () => tell(here()));

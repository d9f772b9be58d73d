// @ts-check
/** The list's filter, order and page, as the address holds them and as the API takes them. */

/** @typedef {import("./learner.js").Status} Status */
/** @typedef {{status?: Status[], q?: string}} Filter */

/** The first part of the address. */
export const PATH = "learners";
/** Settings that the address leaves out. */
export const DEFAULTS = { sort: "last_name", limit: "50" };

/** Return which learners are listed: the filter of lists, counts, exports and selections. @param {URLSearchParams} params @returns {Filter} */
export function filterOf(params) {
  /** @type {Filter} */
  const filter = {};
  // An unknown status is for the API to refuse.
  const [statuses, q] = [/** @type {Status[]} */ (params.getAll("status")), params.get("q")];
  if (statuses.length > 0) filter.status = statuses;
  if (q) filter.q = q;
  return filter;
}

/** @param {URLSearchParams} params @param {keyof typeof DEFAULTS} name */
export function settingOf(params, name) {
  return params.get(name) ?? DEFAULTS[name];
}

/** Return the query for one page of the list. @param {URLSearchParams} params */
export function queryOf(params) {
  return { ...filterOf(params), sort: settingOf(params, "sort"), limit: settingOf(params, "limit"), cursor: params.get("cursor") };
}

/**
 * Return the address's parameters for the first page with these settings changed. A default, "" or [] leaves the setting out.
 * @param {URLSearchParams} params
 * @param {Record<string, string | readonly string[]>} changes
 */
export function changeParams(params, changes) {
  const changed = new URLSearchParams(params);
  for (const name of ["cursor", "learner", ...Object.keys(changes)]) changed.delete(name);
  for (const [name, value] of Object.entries(changes)) {
    for (const each of [value].flat()) if (each && each !== Reflect.get(DEFAULTS, name)) changed.append(name, each);
  }
  return changed;
}

// @ts-check
/** The HTTP API: requests with the API key, problems as exceptions, lists page by page. */
import { isAborted, isProblem, Problem, unexpected, unreachable } from "./problem.js";

// Relative to the page, so that it works behind a proxy that puts something in front of our paths.
const ROOT = new URL("..", document.baseURI);
const PROBLEM = "application/problem+json";

/**
 * What is sent besides method and path.
 * @typedef {object} Options
 * @property {URLSearchParams | Record<string, any>} [query] arrays are repeated; null, undefined and "" are left out
 * @property {unknown} [body] sent as JSON; a Blob or File is sent unchanged
 * @property {string} [accept]
 * @property {string} [ifMatch] the ETag of the version that the user saw
 * @property {string} [idempotencyKey] the same for each attempt at the same request: `newIdempotencyKey()`
 * @property {string} [prefer] such as `respond-async`
 * @property {AbortSignal} [signal]
 */

/**
 * A successful answer.
 * @typedef {object} Answer
 * @property {number} status
 * @property {any} body parsed JSON, or null
 * @property {Headers} headers
 */

/** @type {string | null} */
let key = null;
/** @type {(problem: Problem) => void} */
let notifyRefusal = () => {};
/** Requests sent before `get` asks for their answer, by address. @type {Map<string, Promise<Response>>} */
const prefetched = new Map();

/** Send this API key from now on; null = none. @param {string | null} secret */
export function useKey(secret) {
  key = secret;
  prefetched.clear();
}

/** Call `listener` when the API refuses the key: unknown, expired or revoked. @param {(problem: Problem) => void} listener */
export function onKeyRefused(listener) {
  notifyRefusal = listener;
}

/**
 * Send now what `get` will ask for soon, so that the answer is on its way while the view loads.
 * @param {string} path
 * @param {Options} [options]
 */
export function prefetch(path, { query } = {}) {
  if (key === null) return;
  const request = createRequest("GET", path, { query });
  const fetching = fetch(request);
  fetching.catch(() => {}); // `get` reports it
  prefetched.set(request.url, fetching);
}

/**
 * Send one request. Throws Problem, or the signal's AbortError.
 * @param {string} method
 * @param {string} path such as `/learners`
 * @param {Options} [options]
 * @returns {Promise<Answer>}
 */
export async function send(method, path, options = {}) {
  const response = await fetchResponse(method, path, options);
  const text = await receive(response.text());
  const isJson = response.headers.get("Content-Type")?.startsWith("application/json");
  return { status: response.status, body: isJson && text ? JSON.parse(text) : null, headers: response.headers };
}

/** Return the body of a GET. @param {string} path @param {Options} [options] */
export async function get(path, options) {
  return (await send("GET", path, options)).body;
}

/** @param {string} path @param {Options} [options] */
export function post(path, options) {
  return send("POST", path, options);
}

/** @param {string} path @param {Options} [options] */
export function patch(path, options) {
  return send("PATCH", path, options);
}

/** @param {string} path @param {Options} [options] */
export function remove(path, options) {
  return send("DELETE", path, options);
}

/**
 * Yield the items of each page of a list.
 * @param {string} path
 * @param {Options & {query?: Record<string, any>}} [options]
 * @returns {AsyncGenerator<any[]>}
 */
export async function* pages(path, options = {}) {
  let cursor = null;
  do {
    const page = await get(path, { ...options, query: { ...options.query, cursor } });
    yield page.items;
    cursor = page.next_cursor;
  } while (cursor !== null);
}

/** Create a key that names one request, however often it is sent. */
export function newIdempotencyKey() {
  // Unlike crypto.randomUUID, this also works without TLS.
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Return the response, whose body is still to be read. Throws like `send`.
 * @param {string} method
 * @param {string} path
 * @param {Options} options
 */
export async function fetchResponse(method, path, options) {
  const request = createRequest(method, path, options);
  const early = method === "GET" && !options.accept ? prefetched.get(request.url) : undefined;
  prefetched.delete(request.url);
  const response = await receive(early ?? fetch(request));
  options.signal?.throwIfAborted();
  if (!response.ok) throw await readProblem(response);
  return response;
}

/**
 * Wait for something from the network. A lost connection becomes a Problem.
 * @template T
 * @param {Promise<T>} promise
 * @returns {Promise<T>}
 */
export async function receive(promise) {
  try {
    return await promise;
  } catch (error) {
    if (isAborted(error)) throw error;
    throw unreachable();
  }
}

/** @param {string} method @param {string} path @param {Options} options */
function createRequest(method, path, { query, body, accept = "application/json", ifMatch, idempotencyKey, prefer, signal }) {
  const headers = new Headers({ Accept: accept });
  if (key !== null) headers.set("Authorization", `Bearer ${key}`);
  if (ifMatch) headers.set("If-Match", ifMatch);
  if (idempotencyKey) headers.set("Idempotency-Key", idempotencyKey);
  if (prefer) headers.set("Prefer", prefer);
  const isFile = body instanceof Blob;
  if (body !== undefined) headers.set("Content-Type", isFile ? body.type || "text/csv" : "application/json");
  return new Request(addressOf(path, query), {
    method,
    headers,
    body: isFile ? body : body === undefined ? undefined : JSON.stringify(body),
    cache: "no-store",
    signal,
  });
}

/** @param {string} path @param {Options["query"]} query */
function addressOf(path, query = {}) {
  const address = new URL(path.slice(1), ROOT);
  const entries = query instanceof URLSearchParams ? [...query] : Object.entries(query);
  for (const [name, value] of entries.flatMap(([name, value]) => [value].flat().map((each) => [name, each]))) {
    if (value !== null && value !== undefined && value !== "") address.searchParams.append(name, value);
  }
  return address;
}

/** @param {Response} response */
async function readProblem(response) {
  if (!response.headers.get("Content-Type")?.startsWith(PROBLEM)) return unexpected(response.status);
  const problem = new Problem(JSON.parse(await receive(response.text())));
  if (isProblem(problem, "not-authenticated")) notifyRefusal(problem);
  return problem;
}

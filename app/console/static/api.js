// @ts-check
/** The HTTP API, and nothing but it: requests with the key, problems as exceptions, pages, files, progress. */
import { t } from "./messages.js";

// Relative to the page, so that it works behind a proxy that puts something in front of our paths.
const ROOT = new URL("..", document.baseURI);
const PROBLEM = "application/problem+json";

/**
 * What is sent besides method and path.
 * @typedef {object} Options
 * @property {URLSearchParams | Record<string, any>} [query] arrays are repeated; null, undefined and "" are left out
 * @property {unknown} [body] sent as JSON; a Blob or File is sent as it is
 * @property {string} [accept]
 * @property {string} [ifMatch] the ETag on which the decision rests
 * @property {string} [idempotencyKey] the same for each attempt at the same thing: `newIdempotencyKey()`
 * @property {string} [prefer] such as `respond-async`
 * @property {AbortSignal} [signal]
 */

/**
 * A good answer.
 * @typedef {object} Answer
 * @property {number} status
 * @property {any} body parsed JSON, or null
 * @property {Headers} headers
 */

/** An error in the words of whoever found it: the API (RFC 9457), or this page where nothing answered. */
export class Problem extends Error {
  /** @param {Record<string, any>} document @param {string} [lang] the language of its words */
  constructor(document, lang = "en") {
    super(document.detail ?? document.title);
    /** All members of the problem document. */
    this.document = document;
    this.lang = lang;
    /** @type {string} */
    this.code = document.code ?? "";
    /** @type {number} */
    this.status = document.status ?? 0;
    /** @type {string} */
    this.title = document.title ?? "";
    /** @type {string} */
    this.detail = document.detail ?? "";
    /** @type {{pointer: string, detail: string}[]} */
    this.errors = document.errors ?? [];
  }
}

/** @type {string | null} */
let key = null;
/** @type {(problem: Problem) => void} */
let tellRefusal = () => {};

/** What has been asked already, by address, until somebody wants it. @type {Map<string, Promise<Response>>} */
const asked = new Map();

/** Send this API key from now on; null = none. @param {string | null} secret */
export function useKey(secret) {
  key = secret;
  asked.clear();
}

/**
 * Ask now what `get` is about to be asked for: then the answer is underway while the page that wants it is made.
 * @param {string} path
 * @param {Options} [options]
 */
export function ahead(path, { query } = {}) {
  if (key === null) return;
  const address = addressOf(path, query).href;
  const asking = fetch(requestOf("GET", path, { query }));
  asking.catch(() => {}); // whoever wants it is told
  asked.set(address, asking);
}

/** Who is to be told that the key is refused: unknown, expired or revoked. @param {(problem: Problem) => void} listener */
export function onKeyRefused(listener) {
  tellRefusal = listener;
}

/**
 * One request. Throws Problem, or the signal's AbortError.
 * @param {string} method
 * @param {string} path such as `/learners`
 * @param {Options} [options]
 * @returns {Promise<Answer>}
 */
export async function send(method, path, options = {}) {
  const response = await open(method, path, options);
  const text = await reading(response.text());
  const isJson = response.headers.get("Content-Type")?.startsWith("application/json");
  return { status: response.status, body: isJson && text ? JSON.parse(text) : null, headers: response.headers };
}

/** The body that GET answers. @param {string} path @param {Options} [options] */
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
 * Every page of a list, one after the other.
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

/**
 * Save what GET answers as a file on the reader's machine.
 * @param {string} path
 * @param {string} name of the file
 * @param {Options} [options] `accept` is text/csv unless it says otherwise
 */
export async function download(path, name, options = {}) {
  const response = await open("GET", path, { accept: "text/csv", ...options });
  const address = URL.createObjectURL(await reading(response.blob()));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  // Not at once: the browser reads it after the click.
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/**
 * Server-sent events, as they come, until the service ends them. EventSource could not send the key.
 * @param {string} path
 * @param {Options} [options]
 * @returns {AsyncGenerator<{event: string, data: any}>}
 */
export async function* events(path, options = {}) {
  const response = await open("GET", path, { accept: "text/event-stream", ...options });
  if (response.body === null) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    while (true) {
      const { done, value } = await reading(reader.read());
      if (done) return;
      text += value;
      const blocks = text.split("\n\n");
      text = blocks.pop() ?? "";
      yield* blocks.map(parseEvent).filter((each) => each !== null);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** @param {string} block */
function parseEvent(block) {
  const fields = new Map(block.split("\n").map((line) => /** @type {[string, string]} */ (line.split(/: ?(.*)/s, 2))));
  const data = fields.get("data");
  return data === undefined ? null : { event: fields.get("event") ?? "message", data: JSON.parse(data) };
}

/** A key that names one attempt at something, however often it is sent. */
export function newIdempotencyKey() {
  // Unlike crypto.randomUUID this is also there without TLS.
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Whether this only says that nobody wants the answer any more. @param {unknown} error */
export function isAborted(error) {
  return error instanceof DOMException && error.name === "AbortError";
}

/** @param {string} method @param {string} path @param {Options} options @returns {Promise<Response>} */
async function open(method, path, options) {
  const request = requestOf(method, path, options);
  const early = method === "GET" && !options.accept ? asked.get(request.url) : undefined;
  asked.delete(request.url);
  const response = await reading(early ?? fetch(request));
  options.signal?.throwIfAborted();
  if (!response.ok) throw await problemOf(response);
  return response;
}

/** @param {string} method @param {string} path @param {Options} options */
function requestOf(method, path, { query, body, accept = "application/json", ifMatch, idempotencyKey, prefer, signal }) {
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
    body: body === undefined || isFile ? body : JSON.stringify(body),
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

/**
 * What comes over the network, or the problem that it did not.
 * @template T
 * @param {Promise<T>} promise
 * @returns {Promise<T>}
 */
async function reading(promise) {
  try {
    return await promise;
  } catch (error) {
    if (isAborted(error)) throw error;
    throw ownProblem("unreachable");
  }
}

/** @param {Response} response */
async function problemOf(response) {
  if (!response.headers.get("Content-Type")?.startsWith(PROBLEM)) return ownProblem("unexpected", response.status);
  const problem = new Problem(JSON.parse(await reading(response.text())));
  if (problem.code === "not-authenticated") tellRefusal(problem);
  return problem;
}

/** What the API cannot say itself, in the page's language. @param {string} code @param {number} [status] */
function ownProblem(code, status = 0) {
  const words = { title: t(`problem.${code}.title`), detail: t(`problem.${code}.detail`, { status: String(status) }) };
  return new Problem({ code, status, ...words }, document.documentElement.lang);
}

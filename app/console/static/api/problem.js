// @ts-check
/** Problems: the errors of the API (RFC 9457), and those that this page finds itself. */
import { t } from "../language/translate.js";

/** The problem codes that the console handles in a way of their own. */
export const CODES = /** @type {const} */ ([
  "incomplete-feed",
  "invalid-cursor",
  "invalid-request",
  "not-authenticated",
  "selection-changed",
  "too-many-deactivations",
  "version-mismatch",
]);

/** @typedef {{pointer: string, detail: string}} FieldError */

/** An error to show to the reader: from the API, or from this page when nothing usable was answered. */
export class Problem extends Error {
  /** @param {Record<string, any>} document @param {string} [lang] the language of its text */
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
    /** @type {FieldError[]} */
    this.errors = document.errors ?? [];
  }
}

/** Whether the error is the problem with this code. @param {unknown} error @param {typeof CODES[number]} code @returns {error is Problem} */
export function isProblem(error, code) {
  return error instanceof Problem && error.code === code;
}

/** Whether the request was aborted because its answer is no longer needed. @param {unknown} error */
export function isAborted(error) {
  return error instanceof DOMException && error.name === "AbortError";
}

/** The service did not answer. */
export function unreachable() {
  return new Problem({ title: t("problem.unreachable.title"), detail: t("problem.unreachable.detail") }, document.documentElement.lang);
}

/** Something that is not the service answered, such as a proxy. @param {number} status */
export function unexpected(status) {
  const detail = t("problem.unexpected.detail", { status: String(status) });
  return new Problem({ status, title: t("problem.unexpected.title"), detail }, document.documentElement.lang);
}

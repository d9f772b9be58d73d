// @ts-check
/** The base of every view: an element that is on the page while it is shown, and ends its requests when it is left. */

/** @abstract */
export class View extends HTMLElement {
  #leaving = new AbortController();

  /** Send now the requests that `show` will make at this place. @param {import("./location.js").Place} _place */
  static prefetch(_place) {}

  /** Aborted when the view is left. Every request and listener takes it. */
  get leaving() {
    return this.#leaving.signal;
  }

  disconnectedCallback() {
    this.#leaving.abort();
  }

  /** Show this place: once the view is on the page, and at each move within the view. @param {import("./location.js").Place} _place */
  show(_place) {}
}

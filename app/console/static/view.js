// @ts-check
/** What every view is: an element that lives as long as it is shown, and ends its requests when it is left. */

/** @abstract */
export class View extends HTMLElement {
  #leaving = new AbortController();

  /** Ask already what `show` is going to ask for at this place. @param {import("./location.js").Place} _place */
  static ahead(_place) {}

  /** Aborted once the view has been left; hand it to every request and listener. */
  get leaving() {
    return this.#leaving.signal;
  }

  disconnectedCallback() {
    this.#leaving.abort();
  }

  /** Show what this place says: once it is on the page, and at each move within the view. @param {import("./location.js").Place} _place */
  show(_place) {}
}

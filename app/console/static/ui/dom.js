// @ts-check
/** Building the page from elements and text. Nothing here parses markup, so a name can never become any. */

/** @typedef {Node | string | number | null | undefined | false} Child */
/** @typedef {Record<string, any>} Attributes */

// These are set as properties: their attributes only hold the initial value.
const PROPERTIES = new Set(["value", "checked", "indeterminate", "selected"]);
let lastId = 0;

/**
 * Create an element: `h("button", { type: "button", class: "quiet", onclick: run, "aria-pressed": "true" }, "Text", node)`.
 * Attributes that are null, undefined or false are left out; true is an attribute without a value.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Attributes} [attributes] `on…` adds a listener, `dataset` takes an object
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "dataset") Object.assign(element.dataset, value);
    else if (PROPERTIES.has(name)) Reflect.set(element, name, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  return fill(element, ...children);
}

/**
 * Replace the element's children and answer the element.
 * @template {Element} E
 * @param {E} element
 * @param {...(Child | Child[])} children
 * @returns {E}
 */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat().filter(isShown).map(toNode));
  return element;
}

/** @param {Child} child @returns {child is Node | string | number} */
function isShown(child) {
  return child !== null && child !== undefined && child !== false;
}

/** @param {Node | string | number} child */
function toNode(child) {
  return child instanceof Node ? child : document.createTextNode(String(child));
}

/** Create an id that another element can refer to. @param {string} name */
export function newId(name) {
  lastId += 1;
  return `${name}-${lastId}`;
}

/**
 * Redraw without losing the focus: when it was on an element inside with a `data-key`, it moves to the element that
 * has this key afterwards.
 * @param {Element} container
 * @param {() => void} draw
 */
export function keepFocus(container, draw) {
  const focused = document.activeElement;
  const key = focused instanceof HTMLElement && container.contains(focused) ? focused.dataset.key : undefined;
  draw();
  if (key === undefined || document.activeElement === focused) return;
  const again = container.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (again instanceof HTMLElement) again.focus({ preventScroll: true });
}

/**
 * Wrap the function so that it runs once, when no call has come for this long.
 * @template {any[]} A
 * @param {(...values: A) => void} run
 * @param {number} milliseconds
 * @returns {(...values: A) => void}
 */
export function debounce(run, milliseconds) {
  /** @type {number | undefined} */
  let timer;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => run(...values), milliseconds);
  };
}

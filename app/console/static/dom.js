// @ts-check
/** Building the page out of elements and text. Nothing here takes markup, so nobody's name can become any. */

/** @typedef {Node | string | number | null | undefined | false} Child */

// What is told by a property: the attribute of the same name is only where it begins.
const PROPERTIES = new Set(["value", "checked", "indeterminate", "selected"]);
let lastId = 0;

/**
 * An element: `h("button", { type: "button", class: "quiet", onclick: run, "aria-pressed": "true" }, "Text", node)`.
 * Attributes that are null, undefined or false are left out; true is an attribute without a value.
 * @param {string} tag
 * @param {Record<string, any>} [attributes] `on…` adds a listener, `dataset` takes an object
 * @param {...(Child | Child[])} children
 * @returns {any} the element; `any`, since its kind follows from the tag
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
 * The element with these children and no others.
 * @template {Element} E
 * @param {E} element
 * @param {...(Child | Child[])} children
 * @returns {E}
 */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat().filter(isShown).map(asNode));
  return element;
}

/** @param {Child} child @returns {child is Node | string | number} */
function isShown(child) {
  return child !== null && child !== undefined && child !== false;
}

/** @param {Node | string | number} child */
function asNode(child) {
  return child instanceof Node ? child : document.createTextNode(String(child));
}

/** An id for what another element refers to. @param {string} name */
export function newId(name) {
  lastId += 1;
  return `${name}-${lastId}`;
}

/**
 * Draw again without losing the reader's place: where the focus was on an element inside with a `data-key`, it goes
 * to the element that has that key afterwards.
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
 * The function, called once the calls have stopped coming for so long.
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

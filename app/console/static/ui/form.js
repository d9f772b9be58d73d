// @ts-check
/** Fields with labels and hints, and forms that show the API's errors beside the fields. */
import { Problem } from "../api/problem.js";
import { fill, h, newId } from "./dom.js";
import { problemNotice } from "./notice.js";

/** @typedef {HTMLInputElement | HTMLSelectElement} Control */

/**
 * Create a labelled input. The API's errors at `/name` are shown below it.
 * @param {object} options
 * @param {string} options.name of the member in the body
 * @param {string} options.label
 * @param {string} [options.hint]
 * @param {Control} [options.control] used instead of a new input
 * @param {import("./dom.js").Attributes} [options.attributes] of the new input
 */
export function field({ name, label, hint, control, attributes = {} }) {
  const [id, hintId, errorId] = [newId(name), newId("hint"), newId("error")];
  const input = control ?? h("input", attributes);
  input.id = id;
  if (!(input instanceof HTMLSelectElement)) input.dir = "auto"; // names may be of any script
  input.setAttribute("name", name);
  input.setAttribute("aria-describedby", `${hint ? `${hintId} ` : ""}${errorId}`);
  return h(
    "div",
    { class: "field" },
    h("label", { for: id }, label),
    hint && h("p", { class: "hint", id: hintId }, hint),
    input,
    h("p", { class: "field-error", id: errorId, dataset: { errorOf: name } }),
  );
}

/**
 * Create a group of check boxes with one name. The API's errors at `/name` are shown below it.
 * @param {{name: string, label: string, hint?: string}} options
 * @param {{value: string, isChecked?: boolean, label: import("./dom.js").Child[]}[]} boxes
 */
export function checkboxGroup({ name, label, hint }, boxes) {
  const [hintId, errorId] = [newId("hint"), newId("error")];
  return h(
    "fieldset",
    { class: "field", "aria-describedby": `${hint ? `${hintId} ` : ""}${errorId}` },
    h("legend", {}, label),
    hint && h("p", { class: "hint", id: hintId }, hint),
    ...boxes.map((box) =>
      h(
        "label",
        { class: "check" },
        h("input", { type: "checkbox", name, value: box.value, checked: box.isChecked ?? false }),
        h("span", {}, ...box.label),
      ),
    ),
    h("p", { class: "field-error", id: errorId, dataset: { errorOf: name } }),
  );
}

/** Create the button that submits a form. @param {string} label @param {import("./dom.js").Attributes} [attributes] */
export function submitButton(label, attributes = {}) {
  return h("button", { type: "submit", class: "primary", ...attributes }, label);
}

/**
 * Create the problem with a field that the page finds itself, before the API is asked.
 * @param {string} name of the field
 * @param {string} title
 * @param {string} detail
 */
export function fieldProblem(name, title, detail) {
  return new Problem({ title, detail, errors: [{ pointer: `/${name}`, detail }] }, document.documentElement.lang);
}

/**
 * Create a form that shows a Problem above its fields, and at each field that the problem points to. A second click
 * while `submit` runs is ignored.
 * @param {(values: FormData) => Promise<void>} submit may throw a Problem
 * @param {...(import("./dom.js").Child | import("./dom.js").Child[])} children
 * @returns {HTMLFormElement}
 */
export function form(submit, ...children) {
  const problem = h("div", { class: "form-problem" });
  let isRunning = false;
  const element = h("form", { novalidate: true, onsubmit: send }, problem, ...children);

  /** @param {SubmitEvent} event */
  async function send(event) {
    event.preventDefault();
    if (isRunning) return;
    isRunning = true;
    element.setAttribute("aria-busy", "true");
    clear();
    try {
      await submit(new FormData(element));
    } catch (error) {
      show(error);
    } finally {
      isRunning = false;
      element.removeAttribute("aria-busy");
    }
  }

  function clear() {
    fill(problem);
    for (const each of element.querySelectorAll(".field-error")) fill(each);
    for (const each of element.querySelectorAll("[aria-invalid]")) each.removeAttribute("aria-invalid");
  }

  /** @param {unknown} error */
  function show(error) {
    const notice = problemNotice(error);
    fill(problem, notice);
    if (!(error instanceof Problem)) return;
    let placed = 0;
    for (const { pointer, detail } of error.errors) {
      const name = CSS.escape(pointer.slice(1));
      const place = element.querySelector(`[data-error-of="${name}"]`);
      if (place === null) continue;
      placed += 1;
      fill(place, h("span", { lang: error.lang }, detail));
      element.querySelector(`[name="${name}"]`)?.setAttribute("aria-invalid", "true");
    }
    // The notice goes when the fields already say all of it.
    const isOfFields = !error.code || error.code === "invalid-request";
    if (isOfFields && placed > 0 && placed === error.errors.length) notice.remove();
    const first = element.querySelector("[aria-invalid]");
    if (first instanceof HTMLElement) first.focus();
    else problem.scrollIntoView({ block: "nearest" });
  }

  return element;
}

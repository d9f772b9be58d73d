// @ts-check
/** Fields with their labels and hints, and the API's errors beside the fields that they are about. */
import { Problem } from "./api.js";
import { fill, h, newId } from "./dom.js";
import { problemNotice } from "./notice.js";

/**
 * A labelled input. The API's errors at `/name` are shown below it.
 * @param {object} options
 * @param {string} options.name of the member in the body
 * @param {string} options.label
 * @param {string} [options.hint]
 * @param {HTMLElement} [options.control] instead of an input, such as a select
 * @param {Record<string, any>} [options.attributes] of the input
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
 * What the page itself finds wrong with a field, before the API is asked.
 * @param {string} name of the field
 * @param {string} title
 * @param {string} detail
 */
export function fieldProblem(name, title, detail) {
  return new Problem({ title, detail, errors: [{ pointer: `/${name}`, detail }] }, document.documentElement.lang);
}

/**
 * A form that says what is wrong: above its fields, and at each field that the problem points to. While `submit` runs
 * it takes no second click.
 * @param {(values: FormData) => Promise<void>} submit what throws a Problem is shown
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
      tell(error);
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
  function tell(error) {
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
    // Where it says nothing but what stands at the fields, it is not said twice.
    const isOfFields = !error.code || error.code === "invalid-request";
    if (isOfFields && placed > 0 && placed === error.errors.length) notice.remove();
    const first = element.querySelector("[aria-invalid]");
    if (first instanceof HTMLElement) first.focus();
    else problem.scrollIntoView({ block: "nearest" });
  }

  return element;
}

// @ts-check
/** The import's form: the file and the options. */
import { whoAmI } from "../shell/session.js";
import { h } from "../ui/dom.js";
import { field, form, submitButton } from "../ui/form.js";
import { t } from "./messages.js";

/** How dates in the file may be written. */
export const DATE_FORMATS = /** @type {const} */ (["iso", "mdy", "dmy"]);

/** The encodings to choose from; any other one the API has to recognize. */
const ENCODINGS = { "utf-8": "UTF-8", "windows-1252": "Windows-1252", "utf-16": "UTF-16" };

/** @typedef {{file: File | null, query: Record<string, any>}} Choice */

export class OptionsForm {
  #file = h("input", { type: "file", accept: ".csv,.txt,text/csv" });
  #missing = h("input", { type: "checkbox", name: "missing" });
  #limit = h("input", { autocomplete: "off" });
  #onChange;
  #drop;
  element;

  /**
   * @param {(choice: Choice) => Promise<void>} onSubmit
   * @param {() => void} onChange called when another file or option is chosen
   */
  constructor(onSubmit, onChange) {
    this.#onChange = onChange;
    this.#drop = field({ name: "file", label: t("file"), hint: t("file.hint"), control: this.#file });
    this.#drop.classList.add("drop");
    const submit = (/** @type {FormData} */ values) => onSubmit({ file: this.#file.files?.[0] ?? null, query: queryOf(values) });
    this.element = form(submit, this.#drop, this.#options(), h("div", {}, submitButton(t("preview"))));
    this.element.addEventListener("input", () => this.#changed());
  }

  /** Whether learners who are not in the file are to be deactivated. */
  get deactivatesMissing() {
    return this.#missing.checked;
  }

  /**
   * Accept a file that is dropped anywhere in the window: the browser would open one that misses the field.
   * @param {AbortSignal} signal ends it
   */
  acceptDrops(signal) {
    for (const name of /** @type {const} */ (["dragover", "dragleave", "drop"])) {
      window.addEventListener(name, (event) => this.#drag(event), { signal });
    }
  }

  /** Submit with a limit that allows this many deactivations. @param {number} count */
  submitWithLimit(count) {
    this.#limit.value = String(count);
    this.#submit();
  }

  /** Submit without deactivating learners who are not in the file. */
  submitKeepingMissing() {
    this.#missing.checked = false;
    this.#submit();
  }

  /** Show the form again, empty. */
  reset() {
    this.element.hidden = false;
    this.element.reset();
    this.#changed();
    this.#file.focus();
  }

  #submit() {
    this.element.hidden = false;
    this.element.requestSubmit();
  }

  #changed() {
    this.#limit.placeholder = this.#missing.checked ? whoAmI().organization.max_deactivations : "";
    this.#onChange();
  }

  #options() {
    const dates = DATE_FORMATS.map((format) => h("option", { value: format }, t(`dates.${format}`)));
    const encodings = Object.entries(ENCODINGS).map(([value, name]) => h("option", { value }, name));
    encodings.unshift(h("option", { value: "" }, t("encoding.detect")));
    const create = h("input", { type: "checkbox", name: "create" });
    create.defaultChecked = true; // a reset restores it
    const protect = h("input", { type: "checkbox", name: "protect_manual" });
    const clear = h("input", { type: "checkbox", name: "clear" });
    const rekey = h("input", { type: "checkbox", name: "rekey" });
    return h(
      "div",
      { class: "rest" },
      field({ name: "date_format", label: t("dates"), control: h("select", {}, ...dates) }),
      field({ name: "encoding", label: t("encoding"), control: h("select", {}, ...encodings) }),
      field({ name: "reason", label: t("reason"), attributes: { maxlength: "1000" } }),
      h(
        "div",
        {},
        checkbox(create, t("create")),
        checkbox(protect, t("protect")),
        checkbox(clear, t("clear")),
        checkbox(rekey, t("rekey")),
        checkbox(this.#missing, t("missing")),
      ),
      field({ name: "max_deactivations", label: t("limit"), hint: t("limit.hint"), control: this.#limit }),
    );
  }

  /** @param {DragEvent} event */
  #drag(event) {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    this.#drop.classList.toggle("dragging", event.type === "dragover");
    if (event.type !== "drop" || this.element.hidden) return;
    this.#file.files = event.dataTransfer.files;
    this.#changed();
    this.#file.focus();
  }
}

/** @param {HTMLElement} box @param {string} label */
function checkbox(box, label) {
  return h("label", { class: "check" }, box, label);
}

/** Return the options as the API takes them. @param {FormData} values */
function queryOf(values) {
  return {
    create: values.has("create"),
    protect_manual: values.has("protect_manual"),
    empty: values.has("clear") ? "clear" : "keep",
    rekey: values.has("rekey"),
    encoding: values.get("encoding"),
    missing: values.has("missing") ? "deactivate" : "keep",
    date_format: values.get("date_format"),
    max_deactivations: String(values.get("max_deactivations")).trim(),
    reason: values.get("reason"),
  };
}

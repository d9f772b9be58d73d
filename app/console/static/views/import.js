// @ts-check
/**
 * Import: a CSV, checked first and applied then. What the guards refuse is asked of the person. The file is only handed
 * on to the browser to be sent, however large it is.
 */
import * as api from "../api.js";
import { fill, h } from "../dom.js";
import { field, fieldProblem, form } from "../form.js";
import { addressOf } from "../location.js";
import { t } from "../messages.js";
import { problemNotice } from "../notice.js";
import { OperationReport } from "../operation_progress.js";
import { rejectedButton, revertButton, warningsOf } from "../operations.js";
import { whoAmI } from "../session.js";
import { toastProblem } from "../toast.js";
import { View } from "../view.js";

/** @typedef {import("../operation_progress.js").Operation} Operation */

const LISTED = ["created", "changed", "deactivated", "refused", "invalid", "not_found"];
const DATE_FORMATS = { iso: "2027-12-31", mdy: "12/31/2027", dmy: "31/12/2027" };

export default class ImportView extends View {
  /** What was checked, and is to be applied as it is. @type {{file: File, query: Record<string, any>, key: string} | null} */
  #asked = null;
  #checking = new AbortController();
  /** @type {OperationReport | null} */
  #report = null;

  file = h("input", { type: "file", accept: ".csv,.txt,text/csv" });
  missing = h("input", { type: "checkbox", name: "missing" });
  limit = h("input", { autocomplete: "off" });
  drop = field({ name: "file", label: t("import.file"), hint: t("import.file.hint"), control: this.file });
  options = form((values) => this.#check(values), this.drop, this.#fields(), h("div", {}, submit(t("import.check"))));
  result = h("section", { class: "rest" });
  sending = h("p", { role: "status", class: "faint" });

  connectedCallback() {
    this.drop.classList.add("drop");
    this.options.addEventListener("input", () => this.#forget());
    // Anywhere: the browser would open a file that is dropped beside the field.
    for (const name of ["dragover", "dragleave", "drop"]) {
      window.addEventListener(name, (event) => this.#drag(/** @type {DragEvent} */ (event)), { signal: this.leaving });
    }
    fill(this, h("h1", {}, t("nav.import")), this.options, this.result, this.sending);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    this.#stopChecking();
  }

  #fields() {
    const dates = Object.entries(DATE_FORMATS).map(([value, example]) => h("option", { value }, example));
    const check = (/** @type {HTMLElement} */ box, /** @type {string} */ label) => h("label", { class: "check" }, box, label);
    const create = h("input", { type: "checkbox", name: "create" });
    create.defaultChecked = true; // so that it is so again after a reset
    return h(
      "div",
      { class: "rest" },
      field({ name: "date_format", label: t("import.dates"), control: h("select", {}, ...dates) }),
      field({ name: "reason", label: t("operation.reason"), attributes: { maxlength: "1000" } }),
      h(
        "div",
        {},
        check(create, t("import.create")),
        check(h("input", { type: "checkbox", name: "protect_manual" }), t("import.protect")),
        check(this.missing, t("import.missing")),
      ),
      field({ name: "max_deactivations", label: t("import.limit"), hint: t("import.limit.hint"), control: this.limit }),
    );
  }

  /** @param {DragEvent} event */
  #drag(event) {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    this.drop.classList.toggle("dragging", event.type === "dragover");
    if (event.type !== "drop" || this.options.hidden) return;
    this.file.files = event.dataTransfer.files;
    this.#forget();
    this.file.focus();
  }

  /** A check that nobody waits for would only keep the next operation waiting. */
  #stopChecking() {
    this.#checking.abort();
    const { id, dry_run, finished_at } = this.#report?.operation ?? {};
    if (dry_run && finished_at === null) api.post(`/operations/${id}/cancel`).catch(() => {}); // it may just have ended
    this.#report = null;
  }

  /** What was checked is not what is asked any more. */
  #forget() {
    this.#stopChecking();
    this.limit.placeholder = this.missing.checked ? whoAmI().organization.max_deactivations : "";
    fill(this.result);
  }

  /** @param {FormData} values */
  async #check(values) {
    const [file] = this.file.files;
    if (!file) throw ownProblem("none");
    const query = {
      create: values.has("create"),
      protect_manual: values.has("protect_manual"),
      missing: values.has("missing") ? "deactivate" : "keep",
      date_format: values.get("date_format"),
      max_deactivations: String(values.get("max_deactivations")).trim(),
      reason: values.get("reason"),
    };
    this.#forget();
    this.#checking = new AbortController();
    this.#asked = { file, query, key: api.newIdempotencyKey() };
    try {
      await this.#send(true);
    } catch (error) {
      if (api.isAborted(error)) return;
      const answers = error instanceof api.Problem ? this.#answers(error.document) : [];
      if (answers.length === 0) throw error;
      fill(this.result, problemNotice(error, ...answers));
    }
  }

  async #apply() {
    this.options.inert = true;
    try {
      await this.#send(false);
      this.options.hidden = true;
    } catch (error) {
      if (this.isConnected) throw error;
      toastProblem(error);
    } finally {
      this.options.inert = false;
    }
  }

  /** @param {boolean} isCheck */
  async #send(isCheck) {
    if (this.#asked === null) return;
    const { file, query, key } = this.#asked;
    fill(this.sending, t("import.sending"), h("progress", { "aria-label": t("operation.progress") }));
    try {
      const { body } = await api.post("/imports/csv", {
        query: { ...query, dry_run: isCheck },
        body: await readable(file),
        idempotencyKey: isCheck ? undefined : key,
        prefer: "respond-async",
        signal: isCheck ? this.#checking.signal : undefined, // what is applied goes on when the view is left
      });
      const title = h("h2", { tabindex: "-1" }, t(isCheck ? "import.checked" : "import.applied", { name: file.name }));
      const rest = h("div", { class: "rest" });
      const onEnd = (/** @type {Operation} */ operation) => this.#ended(operation, rest);
      this.#report = new OperationReport(body, { listed: LISTED, mayRevert: false, onEnd });
      fill(this.result, title, this.#report, rest);
      title.focus();
    } finally {
      fill(this.sending);
    }
  }

  /** @param {Operation} operation @param {Element} rest what comes after the report */
  #ended(operation, rest) {
    const { dry_run, state, counts, problem } = operation;
    for (const each of this.result.querySelectorAll("details")) each.open = true;
    const answers = this.#answers(problem ?? {});
    if (answers.length > 0) this.result.querySelector(".notice")?.append(h("div", { class: "actions" }, ...answers));
    const apply = () => (counts.created || counts.changed ? form(() => this.#apply(), h("div", {}, submit(t("import.apply")))) : h("p", {}, t("import.nothing")));
    fill(
      rest,
      warningsOf(operation),
      h(
        "div",
        { class: "actions" },
        rejectedButton(operation),
        !dry_run && revertButton(operation),
        !dry_run && h("a", { href: addressOf("operations", { operation: operation.id }) }, t("import.operation")),
        !dry_run && h("button", { type: "button", onclick: () => this.#startAgain() }, t("import.again")),
      ),
      dry_run && state === "succeeded" && apply(),
    );
  }

  #startAgain() {
    this.options.hidden = false;
    this.options.reset();
    this.#forget();
    this.file.focus();
  }

  /** What a person can answer to a guard, as buttons; none where it is no guard that spoke. @param {Record<string, any>} problem */
  #answers({ code, deactivation_count: count }) {
    const isTooMany = code === "too-many-deactivations";
    if (!isTooMany && code !== "incomplete-feed") return [];
    const answer = (/** @type {string} */ label, /** @type {() => void} */ change) => {
      const onclick = () => {
        change();
        this.options.hidden = false;
        this.options.requestSubmit();
      };
      return h("button", { type: "button", onclick }, label);
    };
    const answers = [];
    if (isTooMany) answers.push(answer(t("import.allow", { count }), () => (this.limit.value = String(count))));
    if (this.missing.checked) answers.push(answer(t("import.keep"), () => (this.missing.checked = false)));
    return answers;
  }
}

/** @param {string} label */
function submit(label) {
  return h("button", { type: "submit", class: "primary" }, label);
}

/**
 * The file as CSV, whatever the system takes it for. Throws Problem where it has changed since it was chosen, which
 * sending it would take for a broken connection.
 * @param {File} file
 */
async function readable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    throw ownProblem("changed");
  }
  return file.slice(0, file.size, "text/csv");
}

/** @param {"none" | "changed"} code */
function ownProblem(code) {
  return fieldProblem("file", t("import.file"), t(`import.file.${code}`));
}

customElements.define("import-view", ImportView);

// @ts-check
/**
 * Import: a CSV file, first as a preview, then applied. When a guard refuses, the user decides. The page never reads
 * the file, however large: the browser sends it.
 */
import * as api from "../api/client.js";
import { isAborted, Problem } from "../api/problem.js";
import { downloadRejectedButton } from "../operations/downloads.js";
import { CHANGES } from "../operations/operation.js";
import { OperationReport } from "../operations/report.js";
import { revertButton } from "../operations/revert.js";
import { warningsNotice } from "../operations/warnings.js";
import { addressOf } from "../shell/location.js";
import { View } from "../shell/view.js";
import { fill, h } from "../ui/dom.js";
import { fieldProblem, form, submitButton } from "../ui/form.js";
import { problemNotice } from "../ui/notice.js";
import { toastProblem } from "../ui/toast.js";
import { t } from "./messages.js";
import { OptionsForm } from "./options_form.js";

/** @typedef {import("../operations/operation.js").Operation} Operation */

/** @type {readonly import("../operations/summary.js").Group[]} */
const LISTED = ["created", "changed", ...CHANGES, "refused", "invalid", "not_found"];

export default class ImportView extends View {
  /** What was previewed, and is then applied unchanged. @type {{file: File, query: Record<string, any>, key: string} | null} */
  #previewed = null;
  #previewing = new AbortController();
  /** @type {OperationReport | null} */
  #report = null;

  options = new OptionsForm((choice) => this.#preview(choice), () => this.#forgetPreview());
  result = h("section", { class: "rest" });
  sending = h("p", { role: "status", class: "faint" });

  connectedCallback() {
    this.options.acceptDrops(this.leaving);
    fill(this, h("h1", {}, t("nav.import")), this.options.element, this.result, this.sending);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    this.#stopPreview();
  }

  /** Stop a preview that is no longer needed, so that the next operation need not wait for it. */
  #stopPreview() {
    this.#previewing.abort();
    const { id, dry_run, finished_at } = this.#report?.operation ?? {};
    if (dry_run && finished_at === null) api.post(`/operations/${id}/cancel`).catch(() => {}); // it may just have ended
    this.#report = null;
  }

  /** Remove a preview of another file or of other options. */
  #forgetPreview() {
    this.#stopPreview();
    fill(this.result);
  }

  /** @param {import("./options_form.js").Choice} choice */
  async #preview({ file, query }) {
    if (file === null) throw fieldProblem("file", t("file"), t("file.none"));
    this.#forgetPreview();
    this.#previewing = new AbortController();
    this.#previewed = { file, query, key: api.newIdempotencyKey() };
    try {
      await this.#send(true);
    } catch (error) {
      if (isAborted(error)) return;
      const answers = error instanceof Problem ? this.#answers(error.document) : [];
      if (answers.length === 0) throw error;
      fill(this.result, problemNotice(error, ...answers));
    }
  }

  async #apply() {
    this.options.element.inert = true;
    try {
      await this.#send(false);
      this.options.element.hidden = true;
    } catch (error) {
      if (this.isConnected) throw error;
      toastProblem(error);
    } finally {
      this.options.element.inert = false;
    }
  }

  /** @param {boolean} isPreview */
  async #send(isPreview) {
    if (this.#previewed === null) return;
    const { file, query, key } = this.#previewed;
    fill(this.sending, t("sending"), h("progress", { "aria-label": t("progress") }));
    try {
      const { body } = await api.post("/imports/csv", {
        query: { ...query, file_name: file.name, dry_run: isPreview },
        body: await openFile(file),
        idempotencyKey: isPreview ? undefined : key,
        prefer: "respond-async",
        signal: isPreview ? this.#previewing.signal : undefined, // applying goes on when the view is left
      });
      const title = h("h2", { tabindex: "-1" }, t(isPreview ? "previewed" : "imported", { name: file.name }));
      const rest = h("div", { class: "rest" });
      this.#report = new OperationReport(body, { listed: LISTED, onEnd: (operation) => this.#showEnd(operation, rest) });
      fill(this.result, title, this.#report, rest);
      title.focus();
    } finally {
      fill(this.sending);
    }
  }

  /** @param {Operation} operation @param {Element} rest the place below the report */
  #showEnd(operation, rest) {
    for (const each of this.result.querySelectorAll("details")) each.open = true;
    const answers = this.#answers(operation.problem ?? {});
    if (answers.length > 0) this.result.querySelector(".notice")?.append(h("div", { class: "actions" }, ...answers));
    const buttons = operation.dry_run
      ? []
      : [
          revertButton(operation),
          h("a", { href: addressOf("operations", { operation: operation.id }) }, t("operation")),
          h("button", { type: "button", onclick: () => this.options.reset() }, t("again")),
        ];
    fill(
      rest,
      warningsNotice(operation),
      h("div", { class: "actions" }, downloadRejectedButton(operation), ...buttons),
      operation.dry_run && operation.state === "succeeded" && this.#applyForm(operation),
    );
  }

  /** @param {Operation} preview */
  #applyForm({ counts }) {
    const count = (counts.created ?? 0) + (counts.changed ?? 0);
    if (count === 0) return h("p", {}, t("nothing"));
    return form(() => this.#apply(), h("div", {}, submitButton(t("apply", { count }))));
  }

  /** Create the buttons with which the user answers a guard; none for other problems. @param {Record<string, any>} problem */
  #answers({ code, deactivation_count: count }) {
    const isTooMany = code === "too-many-deactivations";
    if (!isTooMany && code !== "incomplete-feed") return [];
    const button = (/** @type {string} */ label, /** @type {() => void} */ onclick) => h("button", { type: "button", onclick }, label);
    return [
      isTooMany && button(t("allow", { count }), () => this.options.submitWithLimit(count)),
      this.options.deactivatesMissing && button(t("keep"), () => this.options.submitKeepingMissing()),
    ].filter((each) => each !== false);
  }
}

/**
 * Return the file as CSV, whatever type the system gives it. Throws Problem when it has changed since it was chosen:
 * sending it would look like a broken connection.
 * @param {File} file
 */
async function openFile(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    throw fieldProblem("file", t("file"), t("file.changed"));
  }
  return file.slice(0, file.size, "text/csv");
}

customElements.define("import-view", ImportView);

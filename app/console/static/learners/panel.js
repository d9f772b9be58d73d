// @ts-check
/** One learner in the side panel: the status, the details and their form, and the history. */
import { get } from "../api/client.js";
import { isAborted } from "../api/problem.js";
import { formatDate, formatInstant } from "../language/format.js";
import { may } from "../shell/session.js";
import { fill, h, keepFocus } from "../ui/dom.js";
import { problemNotice } from "../ui/notice.js";
import { onLearnerChange } from "./changes.js";
import { LearnerHistory } from "./history.js";
import { nameOf, statusLabel } from "./learner.js";
import { t } from "./messages.js";
import { statusControl } from "./status_control.js";

/** @typedef {import("./learner.js").Learner} Learner */

export class LearnerPanel extends HTMLElement {
  #leaving = new AbortController();
  #controls = h("div", { class: "actions" });
  #details = h("div");
  #problem = h("div");
  #history;
  /** While the details are edited. @type {ReturnType<typeof import("./form.js").learnerForm> | null} */
  #form = null;

  /**
   * @param {string} learnerId
   * @param {Learner | null} learner as the list shows it; null = not in the list
   * @param {import("../ui/panel.js").SetTitle} setTitle
   */
  constructor(learnerId, learner, setTitle) {
    super();
    this.learnerId = learnerId;
    this.learner = learner;
    this.setTitle = setTitle;
    this.#history = new LearnerHistory(learnerId, this.#leaving.signal, (error) => this.#fail(error));
  }

  disconnectedCallback() {
    this.#leaving.abort();
  }

  /** Whether the form has changes that are not saved. */
  get isChanged() {
    return this.#form?.isChanged() ?? false;
  }

  /** Fill the panel, once it is on the page. */
  start() {
    fill(this, this.#problem, this.#controls, this.#details, this.#history.element);
    if (this.learner !== null) this.#draw(this.learner);
    const { signal } = this.#leaving;
    onLearnerChange((learner) => learner.id === this.learnerId && this.#showChange(learner), signal);
    window.addEventListener("beforeunload", (event) => this.isChanged && event.preventDefault(), { signal });
    this.reload();
  }

  /** Load again, since someone else may have changed the learner. */
  async reload() {
    try {
      const loading = get(`/learners/${encodeURIComponent(this.learnerId)}`, { signal: this.#leaving.signal });
      const [learner] = await Promise.all([loading, this.#history.load()]);
      this.#draw(learner);
      fill(this.#problem);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** @param {Learner} learner */
  async #showChange(learner) {
    this.#draw(learner);
    try {
      await this.#history.load();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** @param {unknown} error */
  #fail(error) {
    if (isAborted(error)) return;
    if (this.learner === null) this.setTitle(t("learner.unknown"));
    fill(this.#problem, problemNotice(error));
  }

  /** @param {Learner} learner */
  #draw(learner) {
    this.learner = learner;
    this.setTitle(h("bdi", {}, nameOf(learner)));
    const edit = h("button", { type: "button", onclick: () => this.#edit(), dataset: { key: "edit" } }, t("edit"));
    keepFocus(this, () => fill(this.#controls, statusControl(learner), this.#form === null && may("learners:write") && edit));
    // The form keeps what the user has entered.
    if (this.#form === null) fill(this.#details, h("dl", { class: "facts" }, ...facts(learner)));
    else this.#form.merge(learner);
  }

  async #edit() {
    const { learnerForm } = await import("./form.js");
    if (this.learner === null) return;
    this.#form = learnerForm(this.learner, () => this.#endEditing());
    fill(this.#details, this.#form.element);
    this.#draw(this.learner);
    this.#form.element.querySelector("input")?.focus();
  }

  #endEditing() {
    this.#form = null;
    if (this.learner !== null) this.#draw(this.learner);
    const edit = this.querySelector("[data-key=edit]");
    if (edit instanceof HTMLElement) edit.focus();
  }
}

/** @param {Learner} learner */
function facts(learner) {
  const { username, email, external_id, expires_on, restores_to, last_accessed_at, created_at, updated_at } = learner;
  return [
    fact(t("learner.username"), h("bdi", {}, username)),
    fact(t("learner.email"), email && h("bdi", {}, email)),
    fact(t("learner.external_id"), external_id && h("bdi", {}, external_id)),
    fact(t("learner.expires_on"), expires_on ? formatDate(expires_on) : t("never")),
    restores_to && fact(t("learner.restores_to"), statusLabel(restores_to)),
    fact(t("learner.last_accessed_at"), last_accessed_at ? formatInstant(last_accessed_at) : t("never")),
    fact(t("learner.created_at"), formatInstant(created_at)),
    fact(t("learner.updated_at"), formatInstant(updated_at)),
  ];
}

/** @param {string} name @param {import("../ui/dom.js").Child} value */
function fact(name, value) {
  return h("div", {}, h("dt", {}, name), h("dd", {}, value || t("none")));
}

customElements.define("learner-panel", LearnerPanel);

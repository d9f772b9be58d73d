// @ts-check
/** One learner in the side panel: the status, the details and how to change them, and the history, newest first. */
import * as api from "../api.js";
import { fill, h, keepFocus } from "../dom.js";
import { date, instant } from "../format.js";
import { nameOf, statusLabel } from "../learner.js";
import { onLearnerChange } from "../learner_actions.js";
import { addressOf } from "../location.js";
import { has, t } from "../messages.js";
import { problemNotice } from "../notice.js";
import { may } from "../session.js";
import { statusControl } from "../status_control.js";

/** @typedef {import("../learner.js").Learner} Learner */
/**
 * @typedef {{id: string, type: string, version: number, occurred_at: string, actor: {kind: string, name: string},
 *   operation_id: string | null, reason: string | null, before: Record<string, any>, after: Record<string, any>}} LearnerEvent
 */

const EVENTS_AT_ONCE = 20;
// What the status says already, and what only programs want to know.
const UNTOLD = new Set(["status", "deactivated_at", "first_accessed_at", "sessions_valid_from"]);

export class LearnerPanel extends HTMLElement {
  #leaving = new AbortController();
  /** @type {string | null} */
  #cursor = null;
  /** While the details are being changed. @type {ReturnType<typeof import("./learner_form.js").learnerForm> | null} */
  #form = null;

  /**
   * @param {string} learnerId
   * @param {Learner | null} learner as it was shown a moment ago, if it was
   * @param {(...title: import("../dom.js").Child[]) => void} setTitle
   */
  constructor(learnerId, learner, setTitle) {
    super();
    this.learnerId = learnerId;
    this.learner = learner;
    this.setTitle = setTitle;
    this.controls = h("div", { class: "actions" });
    this.details = h("div");
    this.events = h("ol", { class: "events" });
    this.more = h("div");
    this.problem = h("div");
  }

  disconnectedCallback() {
    this.#leaving.abort();
  }

  /** Whether there is something that was entered and not saved. */
  get isChanged() {
    return this.#form?.isChanged() ?? false;
  }

  /** Fill it, once it is on the page. */
  start() {
    fill(this, this.problem, this.controls, this.details, h("section", {}, h("h3", {}, t("history")), this.events, this.more));
    if (this.learner !== null) this.#draw(this.learner);
    onLearnerChange((learner) => learner.id === this.learnerId && this.#changed(learner), this.#leaving.signal);
    window.addEventListener("beforeunload", (event) => this.isChanged && event.preventDefault(), { signal: this.#leaving.signal });
    this.reload();
  }

  /** Look again, since somebody may have changed the learner. */
  async reload() {
    try {
      const { signal } = this.#leaving;
      const [learner] = await Promise.all([api.get(`/learners/${encodeURIComponent(this.learnerId)}`, { signal }), this.#loadEvents(null)]);
      this.#draw(learner);
      fill(this.problem);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** @param {string | null} cursor null = from the newest on */
  async #loadEvents(cursor) {
    const query = { limit: EVENTS_AT_ONCE, cursor };
    const path = `/learners/${encodeURIComponent(this.learnerId)}/events`;
    const page = await api.get(path, { query, signal: this.#leaving.signal });
    const items = page.items.map(eventItem);
    if (cursor === null) fill(this.events, ...items);
    else this.events.append(...items);
    this.#cursor = page.next_cursor;
    fill(this.more, this.#cursor !== null && h("button", { type: "button", onclick: () => this.#showMore() }, t("history.more")));
    return items;
  }

  async #showMore() {
    try {
      const [first] = await this.#loadEvents(this.#cursor);
      first?.focus(); // the button that had the focus has gone on, or away
    } catch (error) {
      this.#fail(error);
    }
  }

  /** @param {Learner} learner */
  async #changed(learner) {
    this.#draw(learner);
    try {
      await this.#loadEvents(null);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** @param {unknown} error */
  #fail(error) {
    if (api.isAborted(error)) return;
    if (this.learner === null) this.setTitle(t("learner.unknown"));
    fill(this.problem, problemNotice(error));
  }

  /** @param {Learner} learner */
  #draw(learner) {
    this.learner = learner;
    this.setTitle(h("bdi", {}, nameOf(learner)));
    const edit = h("button", { type: "button", onclick: () => this.#edit(), dataset: { key: "edit" } }, t("learner.edit"));
    keepFocus(this, () => fill(this.controls, statusControl(learner), this.#form === null && may("learners:write") && edit));
    // A form keeps what has been entered.
    if (this.#form === null) fill(this.details, h("dl", { class: "facts" }, ...facts(learner)));
    else this.#form.renew(learner);
  }

  async #edit() {
    const { learnerForm } = await import("./learner_form.js");
    if (this.learner === null) return;
    this.#form = learnerForm(this.learner, () => this.#endEditing());
    fill(this.details, this.#form.element);
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
    fact("username", h("bdi", {}, username)),
    fact("email", email && h("bdi", {}, email)),
    fact("external_id", external_id && h("bdi", {}, external_id)),
    fact("expires_on", expires_on ? date(expires_on) : t("never")),
    restores_to && fact("restores_to", statusLabel(restores_to)),
    fact("last_accessed_at", last_accessed_at ? instant(last_accessed_at) : t("never")),
    fact("created_at", instant(created_at)),
    fact("updated_at", instant(updated_at)),
  ];
}

/** @param {string} name @param {import("../dom.js").Child} value */
function fact(name, value) {
  return h("div", {}, h("dt", {}, t(`learner.${name}`)), h("dd", {}, value || t("none")));
}

/** @param {LearnerEvent} event */
function eventItem({ type, occurred_at, actor, operation_id, reason, before, after }) {
  const name = `event.${type}`;
  const changed = Object.keys(after).filter((member) => !UNTOLD.has(member));
  return h(
    "li",
    { tabindex: "-1" },
    h("strong", {}, has(name) ? t(name) : type),
    h("p", { class: "faint" }, h("time", { datetime: occurred_at }, instant(occurred_at)), " · ", h("bdi", {}, actor.name), operation_id && operationLink(operation_id)),
    reason && h("p", { class: "reason" }, h("bdi", {}, reason)),
    type !== "learner.created" && changed.map((member) => change(member, before[member], after[member])),
  );
}

/** @param {string} operation its id */
function operationLink(operation) {
  return h("span", {}, " · ", h("a", { href: addressOf("operations", { operation }) }, t("operation.kind")));
}

/** @param {string} member @param {any} before @param {any} after */
function change(member, before, after) {
  const name = `learner.${member}`;
  return h(
    "p",
    { class: "change" },
    `${has(name) ? t(name) : member}: `,
    h("del", {}, factText(member, before)),
    " → ",
    h("ins", {}, factText(member, after)),
  );
}

/** @param {string} member @param {any} value */
function factText(member, value) {
  if (value === null || value === undefined) return t(member === "expires_on" ? "never" : "none");
  return h("bdi", {}, member === "expires_on" ? date(value) : String(value));
}

customElements.define("learner-panel", LearnerPanel);

// @ts-check
/** A learner's history: its events, newest first. */
import { get } from "../api/client.js";
import { formatInstant } from "../language/format.js";
import { addressOf } from "../shell/location.js";
import { changeLines } from "../ui/change_lines.js";
import { fill, h } from "../ui/dom.js";
import { has, t } from "./messages.js";

/**
 * An event as the API returns it.
 * @typedef {{id: string, type: string, version: number, occurred_at: string, actor: {kind: string, name: string},
 *   operation_id: string | null, reason: string | null, before: Record<string, any>, after: Record<string, any>}} LearnerEvent
 */

const EVENTS_PER_PAGE = 20;
// The status says these already, or only programs need them.
const HIDDEN = new Set(["status", "deactivated_at", "first_accessed_at", "sessions_valid_from"]);

export class LearnerHistory {
  #learnerId;
  #signal;
  #onProblem;
  #events = h("ol", { class: "events" });
  #more = h("div");
  element = h("section", {}, h("h3", {}, t("history")), this.#events, this.#more);

  /** @param {string} learnerId @param {AbortSignal} signal ends its requests @param {(error: unknown) => void} onProblem */
  constructor(learnerId, signal, onProblem) {
    this.#learnerId = learnerId;
    this.#signal = signal;
    this.#onProblem = onProblem;
  }

  /** Load and show one page. Throws like `get`. @param {string | null} [cursor] null = the newest events */
  async load(cursor = null) {
    const path = `/learners/${encodeURIComponent(this.#learnerId)}/events`;
    const page = await get(path, { query: { limit: EVENTS_PER_PAGE, cursor }, signal: this.#signal });
    const items = page.items.map(eventItem);
    if (cursor === null) fill(this.#events, ...items);
    else this.#events.append(...items);
    const next = page.next_cursor;
    fill(this.#more, next !== null && h("button", { type: "button", onclick: () => this.#showMore(next) }, t("show_older")));
    return items;
  }

  /** @param {string} cursor */
  async #showMore(cursor) {
    try {
      const [first] = await this.load(cursor);
      first?.focus(); // the button that had the focus is gone
    } catch (error) {
      this.#onProblem(error);
    }
  }
}

/** @param {LearnerEvent} event */
function eventItem({ type, occurred_at, actor, operation_id, reason, before, after }) {
  const name = `event.${type}`;
  const changed = Object.keys(after).filter((member) => !HIDDEN.has(member));
  const changes = Object.fromEntries(changed.map((member) => [member, /** @type {[any, any]} */ ([before[member], after[member]])]));
  const time = h("time", { datetime: occurred_at }, formatInstant(occurred_at));
  return h(
    "li",
    { tabindex: "-1" },
    h("strong", {}, has(name) ? t(name) : type),
    h("p", { class: "faint" }, time, " · ", h("bdi", {}, actor.name), operation_id && operationLink(operation_id)),
    reason && h("p", { class: "reason" }, h("bdi", {}, reason)),
    type !== "learner.created" && changeLines(changes),
  );
}

/** @param {string} operation its id */
function operationLink(operation) {
  return h("span", {}, " · ", h("a", { href: addressOf("operations", { operation }) }, t("history.operation")));
}

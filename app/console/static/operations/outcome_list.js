// @ts-check
/** The learners or rows with one outcome, and the reason for it. They are loaded when the list is opened. */
import { get } from "../api/client.js";
import { addressOf } from "../shell/location.js";
import { may } from "../shell/session.js";
import { fill, h } from "../ui/dom.js";
import { downloadOutcomes } from "./downloads.js";
import { t } from "./messages.js";
import { countText } from "./summary.js";

/** @typedef {import("./operation.js").Operation} Operation */
/** @typedef {{line: number | null, learner_id: string | null, username: string | null, problem: {title: string, detail?: string} | null}} OutcomeItem */

/**
 * @param {Operation} operation
 * @param {import("./summary.js").Group} group
 * @param {number} count
 * @param {{isOpen: boolean, signal: AbortSignal, onProblem: (error: unknown) => void}} options
 */
export function outcomeList(operation, group, count, { isOpen, signal, onProblem }) {
  const list = h("ul", { class: "outcomes" });
  const actions = h("div", { class: "actions" });
  const query = group === "deactivated" ? { deactivated: true } : { outcome: group };

  /** @param {string} [cursor] */
  async function load(cursor) {
    const page = await get(`/operations/${operation.id}/outcomes`, { query: { ...query, cursor }, signal });
    const items = page.items.map((/** @type {OutcomeItem} */ each) => outcomeItem(each, operation));
    list.append(...items);
    if (cursor) items[0]?.focus();
    const next = page.next_cursor;
    const save = () => downloadOutcomes(operation, `${group}.csv`, query).catch(onProblem);
    fill(
      actions,
      next !== null && h("button", { type: "button", onclick: () => load(next).catch(onProblem) }, t("outcome.more")),
      h("button", { type: "button", onclick: save }, t("outcome.download")),
    );
  }

  const open = () => list.childElementCount === 0 && load().catch(onProblem);
  return h("details", { open: isOpen, ontoggle: open }, h("summary", {}, countText(operation, group, count)), list, actions);
}

/** @param {OutcomeItem} outcome @param {Operation} operation */
function outcomeItem({ line, learner_id, username, problem }, { kind }) {
  const name = h("bdi", {}, username ?? learner_id);
  const place = line === null ? t("outcome.not_in_file") : t("outcome.line", { line: String(line) });
  return h(
    "li",
    { tabindex: "-1" },
    kind === "csv-import" && h("span", { class: "faint" }, place, " "),
    h("b", {}, learner_id && may("learners:read") ? h("a", { href: addressOf("learners", { learner: learner_id }) }, name) : name),
    problem && h("p", { lang: "en" }, problem.detail ?? problem.title),
  );
}

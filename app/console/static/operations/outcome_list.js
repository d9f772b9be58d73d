// @ts-check
/** The learners or rows with one outcome or change, and the reason for it. They are loaded when the list is opened. */
import { get } from "../api/client.js";
import { addressOf } from "../shell/location.js";
import { may } from "../shell/session.js";
import { changeLines } from "../ui/change_lines.js";
import { fill, h } from "../ui/dom.js";
import { downloadOutcomes } from "./downloads.js";
import { t } from "./messages.js";
import { isImport } from "./operation.js";
import { countText, isChange } from "./summary.js";

/** @typedef {import("./operation.js").Operation} Operation */
/**
 * @typedef {{line: number | null, learner_id: string | null, username: string | null, external_id: string | null,
 *   outcome: import("./operation.js").Outcome, changes: import("../ui/change_lines.js").Changes,
 *   problems: {title: string, detail?: string}[]}} OutcomeItem
 */

/**
 * @param {Operation} operation
 * @param {import("./summary.js").Group} group
 * @param {number} count
 * @param {{isOpen: boolean, signal: AbortSignal, onProblem: (error: unknown) => void}} options
 */
export function outcomeList(operation, group, count, { isOpen, signal, onProblem }) {
  const list = h("ul", { class: "outcomes" });
  const actions = h("div", { class: "actions" });
  const query = isChange(group) ? { changes: group } : { outcome: group };

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
function outcomeItem({ line, learner_id, username, external_id, outcome, changes, problems }, operation) {
  const name = h("bdi", {}, username ?? external_id ?? learner_id);
  const place = line === null ? t("outcome.not_in_file") : t("outcome.line", { line: String(line) });
  return h(
    "li",
    { tabindex: "-1" },
    isImport(operation) && h("span", { class: "faint" }, place, " "),
    h("b", {}, learner_id && may("learners:read") ? h("a", { href: addressOf("learners", { learner: learner_id }) }, name) : name),
    outcome !== "created" && changeLines(shownOf(changes)),
    problems.map(({ title, detail }) => h("p", { lang: "en" }, detail ?? title)),
  );
}

/** Leave out what the change of the status says already. @param {import("../ui/change_lines.js").Changes} changes */
function shownOf({ deactivated_at, ...changes }) {
  return deactivated_at && !changes.status ? { ...changes, deactivated_at } : changes;
}

// @ts-check
/** The chips above the list: how many learners have each status, and the filter by status. */
import { formatNumber } from "../language/format.js";
import { fill, h, keepFocus } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { STATUSES } from "./learner.js";
import { t } from "./messages.js";

/** @typedef {import("./learner.js").Status} Status */
/** @typedef {Record<Status | "total", number>} Counts */

export class StatusChips {
  #choose;
  element = h("div", { class: "chips", role: "group", "aria-label": t("list.statuses") });

  /** @param {(statuses: Status[]) => void} onChoose [] = all */
  constructor(onChoose) {
    this.#choose = onChoose;
  }

  /** @param {Status[]} chosen @param {Counts | null} counts null = not known yet */
  draw(chosen, counts) {
    const all = chip("all", t("all"), { isChosen: chosen.length === 0, count: counts?.total, choose: () => this.#choose([]) });
    const each = STATUSES.map((status) => {
      const isChosen = chosen.includes(status);
      const toggled = isChosen ? chosen.filter((other) => other !== status) : [...chosen, status];
      return chip(status, t(`status.${status}`), { isChosen, count: counts?.[status], choose: () => this.#choose(toggled) });
    });
    keepFocus(this.element, () => fill(this.element, all, ...each));
  }
}

/** @param {Status | "all"} name @param {string} label @param {{isChosen: boolean, count: number | undefined, choose: () => void}} options */
function chip(name, label, { isChosen, count, choose }) {
  return h(
    "button",
    { type: "button", class: "chip", "aria-pressed": String(isChosen), onclick: choose, dataset: { key: `chip-${name}` } },
    name !== "all" && h("span", { class: `status ${name}` }, icon(name)),
    label,
    count !== undefined && h("span", { class: "count" }, formatNumber(count)),
  );
}

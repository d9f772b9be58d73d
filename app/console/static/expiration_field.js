// @ts-check
/** The expiration date as a field: a day, or never. */
import { h } from "./dom.js";
import { field, fieldProblem } from "./form.js";
import { t } from "./messages.js";

/**
 * @param {object} options
 * @param {string} options.label
 * @param {string | null | undefined} [options.value] undefined = not chosen yet
 * @param {string} [options.min] the first day to choose
 */
export function expirationField({ label, value, min }) {
  const never = h("input", { type: "checkbox", name: "never", onchange: () => (day.disabled = never.checked) });
  const day = h("input", { type: "date", min });
  const dating = field({ name: "expires_on", label, hint: t("expiration.hint"), control: day });
  dating.append(h("label", { class: "check" }, never, t("expiration.never")));
  /** @param {string | null | undefined} chosen */
  const choose = (chosen) => {
    day.value = chosen ?? "";
    day.disabled = never.checked = chosen === null;
  };
  choose(value);
  /** @returns {string | null | undefined} */
  const chosen = () => (never.checked ? null : day.value || undefined);
  return {
    element: dating,
    choose,
    /** What is chosen: null = never, undefined = nothing. */
    chosen,
    /** What is to be sent. Throws Problem where there is nothing, which the API would take for never, or an earlier day than `min`. */
    wanted() {
      const wanted = chosen();
      if (wanted === undefined) throw fieldProblem("expires_on", t("expiration.missing.title"), t("expiration.missing"));
      if (min && wanted !== null && wanted < min) throw fieldProblem("expires_on", t("expiration.past.title"), t("expiration.past"));
      return wanted;
    },
  };
}

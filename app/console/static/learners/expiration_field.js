// @ts-check
/** The expiration date as a field: a date, or never. */
import { h } from "../ui/dom.js";
import { field, fieldProblem } from "../ui/form.js";
import { t } from "./messages.js";

/**
 * @param {object} options
 * @param {string} options.label
 * @param {string | null | undefined} [options.value] null = never, undefined = nothing chosen yet
 * @param {string} [options.min] the first date that may be chosen
 */
export function expirationField({ label, value, min }) {
  const never = h("input", { type: "checkbox", name: "never", onchange: () => (day.disabled = never.checked) });
  const day = h("input", { type: "date", min });
  const element = field({ name: "expires_on", label, hint: t("expiration.hint"), control: day });
  element.append(h("label", { class: "check" }, never, t("expiration.never")));
  /** @param {string | null | undefined} chosen */
  const choose = (chosen) => {
    day.value = chosen ?? "";
    day.disabled = never.checked = chosen === null;
  };
  choose(value);
  /** @returns {string | null | undefined} */
  const chosen = () => (never.checked ? null : day.value || undefined);
  return {
    element,
    choose,
    /** What is chosen: null = never, undefined = nothing. */
    chosen,
    /** Return what to send. Throws Problem when nothing is chosen, which the API would take for never, or a date before `min`. */
    read() {
      const date = chosen();
      if (date === undefined) throw fieldProblem("expires_on", t("expiration.missing.title"), t("expiration.missing"));
      if (min && date !== null && date < min) throw fieldProblem("expires_on", t("expiration.past.title"), t("expiration.past"));
      return date;
    },
  };
}

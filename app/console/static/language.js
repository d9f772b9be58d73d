// @ts-check
/** The choice between the languages of the page. */
import { h } from "./dom.js";
import { choose, language, LANGUAGES, t } from "./messages.js";

export function languageChoice() {
  return h(
    "select",
    {
      class: "quiet",
      "aria-label": t("language"),
      onchange: (/** @type {Event} */ event) => choose(/** @type {HTMLSelectElement} */ (event.target).value),
    },
    ...Object.entries(LANGUAGES).map(([code, name]) => h("option", { value: code, lang: code, selected: code === language }, name)),
  );
}

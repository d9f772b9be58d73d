// @ts-check
/** The list from which the user chooses a language. */
import { h } from "../ui/dom.js";
import { chooseLanguage, language, LANGUAGES } from "./language.js";
import { t } from "./translate.js";

export function languageChoice() {
  const list = h(
    "select",
    { class: "quiet", "aria-label": t("language"), onchange: () => chooseLanguage(list.value) },
    ...Object.entries(LANGUAGES).map(([code, name]) => h("option", { value: code, lang: code, selected: code === language }, name)),
  );
  return list;
}

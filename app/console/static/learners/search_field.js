// @ts-check
/** The search field above the list. It searches while the user types. */
import { debounce, h } from "../ui/dom.js";
import { field } from "../ui/form.js";
import { icon } from "../ui/icons.js";
import { t } from "./messages.js";

const TYPING_MILLISECONDS = 200;

/** @param {(q: string, isNew: boolean) => void} onSearch `isNew`: the user has come to the field since the last search */
export function searchField(onSearch) {
  let isNew = true;
  const search = debounce((/** @type {string} */ q) => {
    onSearch(q, isNew);
    isNew = false;
  }, TYPING_MILLISECONDS);
  const control = h("input", {
    type: "search",
    autocomplete: "off",
    spellcheck: "false",
    maxlength: "255",
    placeholder: t("list.search.hint"),
    oninput: () => search(control.value.trim()),
    onfocus: () => (isNew = true),
  });
  const element = field({ name: "q", label: t("list.search"), control });
  element.classList.add("search");
  element.append(icon("search"));
  return {
    element,
    /** Show this search, but keep what was just typed, with its spaces. @param {string} q */
    show(q) {
      if (control.value.trim() !== q) control.value = q;
    },
  };
}

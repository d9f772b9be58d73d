// @ts-check
/** The language of the page: the one that the user chose, else the browser's. */

/** Each language's own name, by its code. */
export const LANGUAGES = /** @type {const} */ ({ en: "English", de: "Deutsch" });

/** @typedef {keyof typeof LANGUAGES} Language */

const CHOSEN = "rollcall.language";

/** The language of the page. */
export const language = findChosen() ?? findPreferred() ?? "en";

/** For Intl: the user's own variant of the page's language, such as en-GB. */
export const locale = navigator.languages.find((each) => each.startsWith(language)) ?? language;

document.documentElement.lang = language;

/** Use this language from now on: remember the choice and reload the page. @param {string} code */
export function chooseLanguage(code) {
  localStorage.setItem(CHOSEN, code);
  window.location.reload();
}

function findChosen() {
  const code = localStorage.getItem(CHOSEN);
  return code !== null && isKnown(code) ? code : undefined;
}

function findPreferred() {
  return navigator.languages.map((each) => each.slice(0, 2).toLowerCase()).find(isKnown);
}

/** @param {string} code @returns {code is Language} */
function isKnown(code) {
  return code in LANGUAGES;
}

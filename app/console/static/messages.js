// @ts-check
/** What the page says, in the reader's language. The words stand in messages.en.js and messages.de.js. */
// Both, small as they are: to know first which one is wanted would cost another round trip before anything is shown.
import german from "./messages.de.js";
import english from "./messages.en.js";

/** @typedef {string | Partial<Record<Intl.LDMLPluralRule, string>>} Message */

/** By code, as each language calls itself. */
export const LANGUAGES = { en: "English", de: "Deutsch" };

const CHOSEN = "rollcall.language";
// Hebrew, Arabic and their kin; the last two are how those beyond the first plane begin.
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\ud802\ud803\ud83a\ud83b]/;

/** The language of the page. */
export const language = chosen() ?? preferred() ?? "en";

/** For Intl: as the reader's own country writes it, where that is the page's language. */
export const locale = navigator.languages.find((each) => each.startsWith(language)) ?? language;

/** @type {Record<string, Message>} */
const messages = language === "de" ? german : english;
const plurals = new Intl.PluralRules(language);
const numbers = new Intl.NumberFormat(locale);
document.documentElement.lang = language;

/**
 * The message with this key. `{name}` in it is replaced by that value; numbers are written as the language does.
 * Where it has plural forms, `count` decides between them.
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 */
export function t(key, values = {}) {
  const message = messages[key];
  if (message === undefined) throw new Error(`no message ${key}`);
  const form = typeof message === "string" ? message : (message[plurals.select(Number(values.count))] ?? message.other ?? "");
  return form.replace(/\{(\w+)\}/g, (_, name) => {
    const value = values[name];
    return typeof value === "number" ? numbers.format(value) : isolated(String(value));
  });
}

/** So that a name which is written from right to left does not turn round the sentence that it stands in. @param {string} text */
function isolated(text) {
  return RIGHT_TO_LEFT.test(text) ? `\u2068${text}\u2069` : text;
}

/** Whether there is a message with this key. @param {string} key */
export function has(key) {
  return key in messages;
}

/** Speak this language from now on: keeps the choice and loads the page again. @param {string} code */
export function choose(code) {
  localStorage.setItem(CHOSEN, code);
  window.location.reload();
}

function chosen() {
  const code = localStorage.getItem(CHOSEN);
  return code !== null && code in LANGUAGES ? code : undefined;
}

function preferred() {
  return navigator.languages.map((each) => each.slice(0, 2).toLowerCase()).find((code) => code in LANGUAGES);
}

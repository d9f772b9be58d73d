// @ts-check
/** What the page says, in the user's language. The texts are in words.js and in each folder's messages.js. */
import { language, locale } from "./language.js";
import { words } from "./words.js";

/**
 * A text, or its plural forms as named by Intl.PluralRules: then `count` decides which form is used.
 * @typedef {string | Partial<Record<Intl.LDMLPluralRule, string>>} Text
 */
/** @typedef {Record<import("./language.js").Language, Text>} Message */
/** @typedef {Record<string, string | number>} Values */

// Hebrew, Arabic and related scripts; the last two ranges are how those beyond the first plane begin.
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\ud802\ud803\ud83a\ud83b]/;

const plurals = new Intl.PluralRules(language);
const numbers = new Intl.NumberFormat(locale);

/**
 * Create the functions that look up these messages and the shared words.
 * @template {Record<string, Message>} Own
 * @param {Own} own
 */
export function translator(own) {
  /** @typedef {Extract<keyof Own, string> | keyof typeof words} Key */
  /** @type {Record<string, Message | undefined>} */
  const messages = { ...words, ...own };

  /**
   * Return the message with this key. Each `{name}` in it is replaced by that value; numbers are written as usual in the language.
   * @param {Key} key
   * @param {Values} [values]
   */
  function t(key, values = {}) {
    const text = messages[key]?.[language] ?? key;
    const form = typeof text === "string" ? text : (text[plurals.select(Number(values.count))] ?? text.other ?? "");
    return form.replace(/\{(\w+)\}/g, (_, name) => {
      const value = values[name];
      return typeof value === "number" ? numbers.format(value) : isolate(String(value));
    });
  }

  /** Whether there is a message with this key. @param {string} key @returns {key is Key} */
  function has(key) {
    return messages[key] !== undefined;
  }

  return { t, has };
}

/** The shared words. */
export const { t, has } = translator({});

/** Keep a name that is written from right to left from reordering the sentence around it. @param {string} text */
function isolate(text) {
  return RIGHT_TO_LEFT.test(text) ? `\u2068${text}\u2069` : text;
}

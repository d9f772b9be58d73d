// @ts-check
/** Numbers, dates and times in the user's language; times in the organization's time zone. */
import { locale } from "./language.js";

const numbers = new Intl.NumberFormat(locale);
const days = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeZone: "UTC" });
let timeZone = "UTC";
let instants = formatIn({ dateStyle: "medium", timeStyle: "short" });
let instantDays = formatIn({ dateStyle: "medium" });

/** Show times in this IANA time zone from now on. @param {string} name */
export function useTimeZone(name) {
  timeZone = isKnown(name) ? name : "UTC";
  instants = formatIn({ dateStyle: "medium", timeStyle: "short" });
  instantDays = formatIn({ dateStyle: "medium" });
}

/** Whether this browser knows the time zone. Its list may be older than the server's. @param {string} name */
function isKnown(name) {
  try {
    return Boolean(new Intl.DateTimeFormat("en", { timeZone: name }));
  } catch {
    return false;
  }
}

/** @param {number} value */
export function formatNumber(value) {
  return numbers.format(value);
}

/** Format a date, which is the same in every time zone. @param {string} day YYYY-MM-DD */
export function formatDate(day) {
  return days.format(new Date(`${day}T00:00:00Z`));
}

/** Format date and time. @param {string} moment RFC 3339 */
export function formatInstant(moment) {
  return instants.format(new Date(moment));
}

/** Format only the date of an instant. @param {string} moment RFC 3339 */
export function formatDay(moment) {
  return instantDays.format(new Date(moment));
}

/** Format the current date and time in another time zone; "" when it is unknown. @param {string} name */
export function formatNowIn(name) {
  if (!isKnown(name)) return "";
  return new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "short", timeZone: name }).format();
}

/** Return the last second of this day in the organization's time zone, as an instant. @param {string} day YYYY-MM-DD */
export function endOf(day) {
  const asUtc = Date.parse(`${day}T23:59:59Z`);
  // Twice, since the clocks may change between the two.
  const first = asUtc - offsetAt(asUtc);
  return new Date(asUtc - offsetAt(first)).toISOString();
}

/** Return how far the organization's clocks are ahead of UTC, in milliseconds. @param {number} moment */
function offsetAt(moment) {
  const parts = new Intl.DateTimeFormat("en", { timeZone, timeZoneName: "longOffset" }).formatToParts(moment);
  const name = parts.find(({ type }) => type === "timeZoneName")?.value ?? "";
  const [, sign, hours, minutes] = /([+-])(\d\d):(\d\d)/.exec(name) ?? [null, "+", 0, 0];
  return Number(`${sign}1`) * (Number(hours) * 60 + Number(minutes)) * 60_000;
}

/** Return today's date in the organization's time zone, YYYY-MM-DD. */
export function today() {
  const parts = new Intl.DateTimeFormat("en", { timeZone, year: "numeric", month: "2-digit", day: "2-digit" });
  const { year, month, day } = Object.fromEntries(parts.formatToParts().map((part) => [part.type, part.value]));
  return `${year}-${month}-${day}`;
}

/** @param {Intl.DateTimeFormatOptions} options */
function formatIn(options) {
  return new Intl.DateTimeFormat(locale, { ...options, timeZone });
}

// @ts-check
/** Numbers, days and instants in the reader's language; instants in the organization's time zone. */
import { locale } from "./messages.js";

const numbers = new Intl.NumberFormat(locale);
const days = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeZone: "UTC" });
let timeZone = "UTC";
let instants = formatIn({ dateStyle: "medium", timeStyle: "short" });
let instantDays = formatIn({ dateStyle: "medium" });

/** From now on instants are those of this IANA time zone. @param {string} name */
export function useTimeZone(name) {
  timeZone = knows(name) ? name : "UTC";
  instants = formatIn({ dateStyle: "medium", timeStyle: "short" });
  instantDays = formatIn({ dateStyle: "medium" });
}

/** Whether this browser knows the time zone; others' lists may be newer. @param {string} name */
export function knows(name) {
  try {
    return Boolean(new Intl.DateTimeFormat("en", { timeZone: name }));
  } catch {
    return false;
  }
}

/** @param {number} value */
export function number(value) {
  return numbers.format(value);
}

/** A calendar day, YYYY-MM-DD. It is the same day everywhere, so no time zone moves it. @param {string} day */
export function date(day) {
  return days.format(new Date(`${day}T00:00:00Z`));
}

/** @param {string} moment RFC 3339 */
export function instant(moment) {
  return instants.format(new Date(moment));
}

/** The day of an instant. @param {string} moment RFC 3339 */
export function dayOf(moment) {
  return instantDays.format(new Date(moment));
}

/** Date and time in another time zone now; "" where there is none of this name. @param {string} name */
export function nowIn(name) {
  if (!knows(name)) return "";
  return new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "short", timeZone: name }).format();
}

/** The last second of this day in the organization's time zone, as an instant. @param {string} day YYYY-MM-DD */
export function endOf(day) {
  const asUtc = Date.parse(`${day}T23:59:59Z`);
  // Twice, since the clocks may be changed between the two.
  const first = asUtc - offsetAt(asUtc);
  return new Date(asUtc - offsetAt(first)).toISOString();
}

/** How far the organization's clocks are ahead of UTC, in milliseconds. @param {number} moment */
function offsetAt(moment) {
  const parts = new Intl.DateTimeFormat("en", { timeZone, timeZoneName: "longOffset" }).formatToParts(moment);
  const name = parts.find(({ type }) => type === "timeZoneName")?.value ?? "";
  const [, sign, hours, minutes] = /([+-])(\d\d):(\d\d)/.exec(name) ?? [null, "+", 0, 0];
  return Number(`${sign}1`) * (Number(hours) * 60 + Number(minutes)) * 60_000;
}

/** Today in the organization's time zone, YYYY-MM-DD. */
export function today() {
  const parts = new Intl.DateTimeFormat("en", { timeZone, year: "numeric", month: "2-digit", day: "2-digit" });
  const { year, month, day } = Object.fromEntries(parts.formatToParts().map((part) => [part.type, part.value]));
  return `${year}-${month}-${day}`;
}

/** @param {Intl.DateTimeFormatOptions} options */
function formatIn(options) {
  return new Intl.DateTimeFormat(locale, { ...options, timeZone });
}

// @ts-check
/** The texts about the organization. */
import { translator } from "../language/translate.js";

export const { t } = translator({
  name: { en: "Name", de: "Name" },
  time_zone: { en: "Time zone", de: "Zeitzone" },
  "time_zone.hint": {
    en: "Accounts expire at the end of the day in this time zone. Changing it can expire or restore learners immediately.",
    de: "Konten laufen am Ende des Tages in dieser Zeitzone ab. Eine Änderung kann Konten sofort ablaufen lassen oder wiederherstellen.",
  },
  "time_zone.now": { en: "Current time there: {moment}", de: "Aktuelle Zeit dort: {moment}" },
  max_deactivations: { en: "Deactivation limit per import", de: "Obergrenze für Deaktivierungen pro Import" },
  "max_deactivations.hint": {
    en: "Applies to imports that deactivate learners who are not in the file. Imports that would deactivate more are refused. Enter a number such as 250 or a percentage such as 5%.",
    de: "Gilt für Importe, die Personen deaktivieren, die nicht in der Datei stehen. Importe, die mehr Personen deaktivieren würden, werden abgelehnt. Geben Sie eine Zahl wie 250 oder einen Anteil wie 5% ein.",
  },
  expiring_days: { en: "Expiration notice in days", de: "Vorwarnzeit in Tagen" },
  "expiring_days.hint": {
    en: "Nothing uses this number yet. Enter a number from 0 to 366.",
    de: "Diese Zahl wird noch nicht verwendet. Geben Sie eine Zahl von 0 bis 366 ein.",
  },
  saved: { en: "Organization saved.", de: "Organisation gespeichert." },
});

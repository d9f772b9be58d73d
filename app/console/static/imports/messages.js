// @ts-check
/** The texts of the import. */
import { translator } from "../language/translate.js";

export const { t } = translator({
  file: { en: "CSV file", de: "CSV-Datei" },
  "file.hint": {
    en: "Drop the file here or choose it. Columns: Username, External ID, Email, First Name, Last Name, Active (Yes or No), Expiration Date.",
    de: "Legen Sie die Datei hier ab oder wählen Sie sie aus. Spalten: Username, External ID, Email, First Name, Last Name, Active (Yes oder No), Expiration Date.",
  },
  "file.none": { en: "Choose a file first.", de: "Wählen Sie zuerst eine Datei aus." },
  "file.changed": {
    en: "The file has changed since you chose it. Choose it again.",
    de: "Die Datei wurde seit der Auswahl geändert. Wählen Sie sie erneut aus.",
  },

  dates: { en: "Date format", de: "Datumsformat" },
  "dates.iso": { en: "2027-12-31", de: "2027-12-31" },
  "dates.mdy": { en: "12/31/2027", de: "12/31/2027" },
  "dates.dmy": { en: "31/12/2027", de: "31.12.2027" },
  encoding: { en: "Encoding", de: "Zeichenkodierung" },
  "encoding.detect": { en: "Detect", de: "Erkennen" },
  create: { en: "Create learners who do not exist yet", de: "Personen anlegen, die es noch nicht gibt" },
  protect: {
    en: "Do not reactivate learners who were deactivated by hand",
    de: "Von Hand deaktivierte Personen nicht wieder aktivieren",
  },
  clear: { en: "Empty cells clear the field", de: "Leere Zellen leeren das Feld" },
  rekey: {
    en: "Let a row replace the External ID of the learner who has its username",
    de: "Zeilen dürfen die External ID der Person mit diesem Benutzernamen ersetzen",
  },
  missing: {
    en: "Deactivate learners who are not in the file",
    de: "Personen deaktivieren, die nicht in der Datei stehen",
  },
  limit: { en: "Deactivation limit", de: "Obergrenze für Deaktivierungen" },
  "limit.hint": {
    en: "Imports that would deactivate more are refused. Enter a number, or a percentage such as 5% of the learners who are not deactivated.",
    de: "Importe, die mehr Personen deaktivieren würden, werden abgelehnt. Geben Sie eine Zahl ein oder einen Anteil der nicht deaktivierten Personen, etwa 5%.",
  },

  preview: { en: "Preview", de: "Vorschau" },
  sending: { en: "Uploading the file …", de: "Die Datei wird hochgeladen …" },
  progress: { en: "Progress", de: "Fortschritt" },
  previewed: { en: "Preview of {name}", de: "Vorschau von {name}" },
  imported: { en: "Import of {name}", de: "Import von {name}" },
  nothing: { en: "Nothing to import.", de: "Es gibt nichts zu importieren." },
  apply: {
    en: { one: "Apply {count} change", other: "Apply {count} changes" },
    de: { one: "{count} Änderung übernehmen", other: "{count} Änderungen übernehmen" },
  },
  operation: { en: "View operation", de: "Vorgang anzeigen" },
  again: { en: "Import another file", de: "Weitere Datei importieren" },
  allow: {
    en: { one: "Deactivate {count} learner …", other: "Deactivate {count} learners …" },
    de: { one: "{count} Person deaktivieren …", other: "{count} Personen deaktivieren …" },
  },
  keep: { en: "Keep missing learners", de: "Fehlende unverändert lassen" },
});

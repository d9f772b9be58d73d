// @ts-check
/** The texts of User Management. */
import { translator } from "../language/translate.js";

export const { t, has } = translator({
  "list.search": { en: "Search", de: "Suche" },
  "list.search.hint": { en: "Name, username or email", de: "Name, Benutzername oder E-Mail" },
  "list.statuses": { en: "Filter by status", de: "Nach Status filtern" },
  "list.size": { en: "Rows per page", de: "Zeilen pro Seite" },
  "list.previous": { en: "Previous", de: "Zurück" },
  "list.next": { en: "Next", de: "Weiter" },
  "list.none": { en: "No learners found.", de: "Keine Personen gefunden." },
  "list.shown": {
    en: { one: "{count} learner on this page", other: "{count} learners on this page" },
    de: { one: "{count} Person auf dieser Seite", other: "{count} Personen auf dieser Seite" },
  },
  "list.page": {
    en: { one: "{shown} of {count} learner", other: "{shown} of {count} learners" },
    de: { one: "{shown} von {count} Person", other: "{shown} von {count} Personen" },
  },
  "list.range": {
    en: { one: "{first}–{last} of {count} learner", other: "{first}–{last} of {count} learners" },
    de: { one: "{first}–{last} von {count} Person", other: "{first}–{last} von {count} Personen" },
  },
  "list.export": { en: "Export", de: "Exportieren" },
  "list.exporting": {
    en: "Preparing the export. Your browser saves the file when it is complete.",
    de: "Der Export wird vorbereitet. Der Browser speichert die Datei, sobald sie vollständig ist.",
  },

  "learner.name": { en: "Name", de: "Name" },
  "learner.restores_to": { en: "Status with a new date", de: "Status mit neuem Datum" },
  "learner.last_accessed_at": { en: "Last access", de: "Letzter Zugriff" },
  "learner.created_at": { en: "Created", de: "Angelegt" },
  "learner.updated_at": { en: "Last changed", de: "Zuletzt geändert" },
  "learner.unknown": { en: "Learner", de: "Person" },

  "action.activate": { en: "Activate", de: "Aktivieren" },
  "action.activate.label": { en: "{status}: activate {name}", de: "{status}: {name} aktivieren" },
  "action.activate.done": {
    en: "{name} is activated and can log in.",
    de: "{name} ist aktiviert und kann sich anmelden.",
  },
  "action.deactivate": { en: "Deactivate", de: "Deaktivieren" },
  "action.deactivate.label": { en: "{status}: deactivate {name}", de: "{status}: {name} deaktivieren" },
  "action.deactivate.done": {
    en: "{name} is deactivated and can no longer log in.",
    de: "{name} ist deaktiviert und kann sich nicht mehr anmelden.",
  },
  "action.set-expiration": { en: "Set expiration date", de: "Ablaufdatum setzen" },
  "action.restore": { en: "Set a new expiration date", de: "Neues Ablaufdatum setzen" },
  "action.restore.label": {
    en: "{status}: set a new expiration date for {name}",
    de: "{status}: neues Ablaufdatum für {name} setzen",
  },
  "action.explain": { en: "Show details", de: "Details anzeigen" },
  "action.explain.label": { en: "{status}: show details for {name}", de: "{status}: Details zu {name} anzeigen" },
  undo: { en: "Undo", de: "Rückgängig machen" },
  "undone.active": { en: "Undone. {name} is active again.", de: "Rückgängig gemacht. {name} ist wieder aktiv." },
  "undone.activated": { en: "Undone. {name} is activated again.", de: "Rückgängig gemacht. {name} ist wieder aktiviert." },
  "undone.deactivated": {
    en: "Undone. {name} is deactivated again.",
    de: "Rückgängig gemacht. {name} ist wieder deaktiviert.",
  },
  "undone.expired": {
    en: "Undone. {name}’s account has expired.",
    de: "Rückgängig gemacht. Das Konto von {name} ist abgelaufen.",
  },
  "undone.details": {
    en: "Undone. {name} has the previous details again.",
    de: "Rückgängig gemacht. Für {name} gelten wieder die vorherigen Angaben.",
  },

  "expired.title": { en: "{name}: account expired", de: "{name}: Konto abgelaufen" },
  "expired.since": {
    en: "The last day of access was {date}. An expired account cannot be activated. It needs a new expiration date.",
    de: "Der letzte Tag mit Zugang war der {date}. Ein abgelaufenes Konto lässt sich nicht aktivieren. Es braucht ein neues Ablaufdatum.",
  },
  "expired.restores": { en: "The status will then be:", de: "Der Status ist dann:" },
  "expiration.new": { en: "New expiration date", de: "Neues Ablaufdatum" },
  "expiration.hint": { en: "The last day of access.", de: "Der letzte Tag mit Zugang." },
  "expiration.never": { en: "Never expires", de: "Läuft nie ab" },
  "expiration.submit": { en: "Set date", de: "Datum setzen" },
  "expiration.set": {
    en: "{name}: the last day of access is {date}. Status: {status}.",
    de: "{name}: Der letzte Tag mit Zugang ist der {date}. Status: {status}.",
  },
  "expiration.removed": {
    en: "{name}: the account no longer expires. Status: {status}.",
    de: "{name}: Das Konto läuft nicht mehr ab. Status: {status}.",
  },
  "expiration.past.title": { en: "Date in the past", de: "Datum in der Vergangenheit" },
  "expiration.past": {
    en: "Choose today or a later date. With an earlier date the account stays expired.",
    de: "Wählen Sie heute oder ein späteres Datum. Mit einem früheren Datum bleibt das Konto abgelaufen.",
  },
  "expiration.missing.title": { en: "Date missing", de: "Datum fehlt" },
  "expiration.missing": {
    en: "Choose a date or tick “Never expires”.",
    de: "Wählen Sie ein Datum oder kreuzen Sie „Läuft nie ab“ an.",
  },

  history: { en: "History", de: "Verlauf" },
  "history.operation": { en: "Operation", de: "Vorgang" },
  "form.saved": { en: "Changes to {name} saved.", de: "Änderungen an {name} gespeichert." },
  "form.conflict": {
    en: "Someone else changed this to: {value}. Save to keep your entry.",
    de: "Inzwischen hat jemand dies geändert: {value}. Speichern Sie, um Ihre Eingabe zu behalten.",
  },
  "form.changed_by_other": { en: "Someone else changed this.", de: "Inzwischen hat jemand dies geändert." },
  "unsaved.title": { en: "Discard your changes?", de: "Änderungen verwerfen?" },
  "unsaved.explain": {
    en: "Your changes to this learner have not been saved.",
    de: "Ihre Änderungen an dieser Person sind nicht gespeichert.",
  },
  "unsaved.submit": { en: "Discard changes", de: "Änderungen verwerfen" },

  "selection.page": { en: "Select all on this page", de: "Alle auf dieser Seite auswählen" },
  "selection.one": { en: "Select {name}", de: "{name} auswählen" },
  "selection.none": {
    en: "Select learners to activate, deactivate or set their expiration date.",
    de: "Wählen Sie Personen aus, um sie zu aktivieren, zu deaktivieren oder ihr Ablaufdatum zu setzen.",
  },
  "selection.some": { en: "{count} selected", de: "{count} ausgewählt" },
  "selection.but": {
    en: "{count} selected: all matching learners except {without}",
    de: "{count} ausgewählt: alle passenden Personen außer {without}",
  },
  "selection.all": {
    en: { one: "{count} matching learner selected", other: "All {count} matching learners selected" },
    de: { one: "{count} passende Person ausgewählt", other: "Alle {count} passenden Personen ausgewählt" },
  },
  "selection.select_all": { en: "Select All ({count})", de: "Alle auswählen ({count})" },
  "selection.clear": { en: "Clear selection", de: "Auswahl aufheben" },

  "bulk.choose": { en: "Choose Action", de: "Aktion wählen" },
  "bulk.activate": {
    en: { one: "Activate {count} learner", other: "Activate {count} learners" },
    de: { one: "{count} Person aktivieren", other: "{count} Personen aktivieren" },
  },
  "bulk.deactivate": {
    en: { one: "Deactivate {count} learner", other: "Deactivate {count} learners" },
    de: { one: "{count} Person deaktivieren", other: "{count} Personen deaktivieren" },
  },
  "bulk.set-expiration": {
    en: { one: "Set the expiration date of {count} learner", other: "Set the expiration date of {count} learners" },
    de: { one: "Ablaufdatum von {count} Person setzen", other: "Ablaufdatum von {count} Personen setzen" },
  },
  "bulk.show_preview": { en: "Preview", de: "Vorschau" },
  "bulk.loading": { en: "Loading the preview …", de: "Die Vorschau wird geladen …" },
  "bulk.preview": { en: "Preview. Nothing has been changed yet.", de: "Vorschau. Noch wurde nichts geändert." },
  "bulk.reason.hint": { en: "Shown in each learner’s history.", de: "Erscheint im Verlauf jeder Person." },
  "bulk.nothing": { en: "Nothing to change.", de: "Es gibt nichts zu ändern." },
  "bulk.refresh": { en: "Refresh preview", de: "Vorschau aktualisieren" },
});

// @ts-check
/** The texts about operations, wherever one is shown. */
import { translator } from "../language/translate.js";

export const { t, has } = translator({
  "kind.csv-import": { en: "Import", de: "Import" },
  "kind.json-import": { en: "JSON import", de: "JSON-Import" },
  "kind.bulk-action": { en: "Bulk action", de: "Sammelaktion" },
  "kind.revert": { en: "Revert", de: "Rücknahme" },
  "kind.activate": {
    en: { one: "Activate {count} learner", other: "Activate {count} learners" },
    de: { one: "{count} Person aktivieren", other: "{count} Personen aktivieren" },
  },
  "kind.deactivate": {
    en: { one: "Deactivate {count} learner", other: "Deactivate {count} learners" },
    de: { one: "{count} Person deaktivieren", other: "{count} Personen deaktivieren" },
  },
  "kind.set-expiration": {
    en: { one: "Set the expiration date of {count} learner", other: "Set the expiration date of {count} learners" },
    de: { one: "Ablaufdatum von {count} Person setzen", other: "Ablaufdatum von {count} Personen setzen" },
  },

  "request.file": { en: "File", de: "Datei" },
  "request.options": { en: "Options", de: "Optionen" },
  "request.selection": { en: "Selected", de: "Ausgewählt" },
  "request.expires_on": { en: "New expiration date", de: "Neues Ablaufdatum" },
  "request.everyone": { en: "All learners", de: "Alle Personen" },
  "request.ids_count": {
    en: { one: "{count} learner", other: "{count} learners" },
    de: { one: "{count} Person", other: "{count} Personen" },
  },
  "request.usernames_count": {
    en: { one: "{count} username", other: "{count} usernames" },
    de: { one: "{count} Benutzername", other: "{count} Benutzernamen" },
  },
  "request.external_ids_count": {
    en: { one: "{count} external ID", other: "{count} external IDs" },
    de: { one: "{count} externe ID", other: "{count} externe IDs" },
  },
  "request.except_ids_count": { en: "except {count}", de: "außer {count}" },
  "request.filter.status": { en: "Status", de: "Status" },
  "request.filter.q": { en: "Search", de: "Suche" },

  "state.pending": { en: "Waiting", de: "Wartet" },
  "state.running": { en: "In progress", de: "Läuft" },
  "state.succeeded": { en: "Done", de: "Fertig" },
  "state.refused": { en: "Refused: nothing was changed", de: "Abgelehnt, nichts geändert" },
  "state.failed": { en: "Failed", de: "Fehlgeschlagen" },
  "state.cancelled": { en: "Stopped", de: "Angehalten" },

  "outcome.created": { en: "{count} created", de: "{count} angelegt" },
  "outcome.changed": { en: "{count} changed", de: "{count} geändert" },
  "outcome.changed.activate": { en: "{count} activated", de: "{count} aktiviert" },
  "outcome.changed.deactivate": { en: "{count} deactivated", de: "{count} deaktiviert" },
  "outcome.changed.set-expiration": {
    en: { one: "{count} date changed", other: "{count} dates changed" },
    de: { one: "{count} Datum geändert", other: "{count} Daten geändert" },
  },
  "outcome.deactivated": { en: "{count} deactivated", de: "{count} deaktiviert" },
  "outcome.activated": { en: "{count} activated", de: "{count} aktiviert" },
  "outcome.renamed": { en: "{count} renamed", de: "{count} umbenannt" },
  "outcome.rekeyed": {
    en: { one: "{count} external ID replaced", other: "{count} external IDs replaced" },
    de: { one: "{count} externe ID ersetzt", other: "{count} externe IDs ersetzt" },
  },
  "outcome.expiration": {
    en: { one: "{count} expiration date changed", other: "{count} expiration dates changed" },
    de: { one: "{count} Ablaufdatum geändert", other: "{count} Ablaufdaten geändert" },
  },
  "outcome.unchanged": { en: "{count} unchanged", de: "{count} unverändert" },
  "outcome.unchanged.activate": {
    en: { one: "{count} already has access", other: "{count} already have access" },
    de: { one: "{count} hat bereits Zugang", other: "{count} haben bereits Zugang" },
  },
  "outcome.unchanged.deactivate": { en: "{count} already deactivated", de: "{count} bereits deaktiviert" },
  "outcome.kept": { en: "{count} kept wholly or in part", de: "{count} ganz oder teilweise beibehalten" },
  "outcome.refused": { en: "{count} refused", de: "{count} abgelehnt" },
  "outcome.invalid": { en: "{count} invalid", de: "{count} ungültig" },
  "outcome.not_found": { en: "{count} not found", de: "{count} nicht gefunden" },
  "outcome.would.created": {
    en: "{count} would be created",
    de: { one: "{count} würde angelegt", other: "{count} würden angelegt" },
  },
  "outcome.would.changed": {
    en: "{count} would be changed",
    de: { one: "{count} würde geändert", other: "{count} würden geändert" },
  },
  "outcome.would.changed.activate": {
    en: "{count} would be activated",
    de: { one: "{count} würde aktiviert", other: "{count} würden aktiviert" },
  },
  "outcome.would.changed.deactivate": {
    en: "{count} would be deactivated",
    de: { one: "{count} würde deaktiviert", other: "{count} würden deaktiviert" },
  },
  "outcome.would.changed.set-expiration": {
    en: { one: "{count} date would be changed", other: "{count} dates would be changed" },
    de: { one: "{count} Datum würde geändert", other: "{count} Daten würden geändert" },
  },
  "outcome.would.deactivated": {
    en: "{count} would be deactivated",
    de: { one: "{count} würde deaktiviert", other: "{count} würden deaktiviert" },
  },
  "outcome.would.activated": {
    en: "{count} would be activated",
    de: { one: "{count} würde aktiviert", other: "{count} würden aktiviert" },
  },
  "outcome.would.renamed": {
    en: "{count} would be renamed",
    de: { one: "{count} würde umbenannt", other: "{count} würden umbenannt" },
  },
  "outcome.would.rekeyed": {
    en: { one: "{count} external ID would be replaced", other: "{count} external IDs would be replaced" },
    de: { one: "{count} externe ID würde ersetzt", other: "{count} externe IDs würden ersetzt" },
  },
  "outcome.would.expiration": {
    en: { one: "{count} expiration date would be changed", other: "{count} expiration dates would be changed" },
    de: { one: "{count} Ablaufdatum würde geändert", other: "{count} Ablaufdaten würden geändert" },
  },
  "outcome.would.kept": {
    en: "{count} would be kept wholly or in part",
    de: { one: "{count} würde ganz oder teilweise beibehalten", other: "{count} würden ganz oder teilweise beibehalten" },
  },
  "outcome.would.refused": {
    en: "{count} would be refused",
    de: { one: "{count} würde abgelehnt", other: "{count} würden abgelehnt" },
  },
  "outcome.not_started": { en: "{count} not started", de: "{count} nicht begonnen" },
  "outcome.not_in_file": { en: "Not in the file", de: "Nicht in der Datei" },
  "outcome.line": { en: "Line {line}", de: "Zeile {line}" },
  "outcome.more": { en: "Show more", de: "Mehr anzeigen" },
  "outcome.download": { en: "Download as CSV", de: "Als CSV herunterladen" },
  "outcome.download.all": { en: "Download all as CSV", de: "Alle als CSV herunterladen" },
  "outcome.download.rejected": {
    en: { one: "Download the rejected row", other: "Download {count} rejected rows" },
    de: { one: "Die abgelehnte Zeile herunterladen", other: "{count} abgelehnte Zeilen herunterladen" },
  },

  "operation.progress": { en: "Progress", de: "Fortschritt" },
  "operation.done": { en: "{done} of {count}", de: "{done} von {count}" },
  "operation.stop": { en: "Stop", de: "Anhalten" },
  "operation.none": { en: "No operations found.", de: "Keine Vorgänge gefunden." },
  "operation.kind": { en: "Operation", de: "Vorgang" },
  "operation.state": { en: "State", de: "Zustand" },
  "operation.result": { en: "Result", de: "Ergebnis" },
  "operation.created_by": { en: "By", de: "Von" },
  "operation.created_at": { en: "Started", de: "Gestartet" },
  "operation.finished_at": { en: "Finished", de: "Beendet" },
  "operation.reason": { en: "Reason", de: "Grund" },
  "operation.dry_run": { en: "Preview", de: "Vorschau" },
  "operation.dry_runs": { en: "Show previews", de: "Vorschauen anzeigen" },
  "operation.reverts": { en: "Reverts", de: "Nimmt zurück" },
  "operation.reverted_by": { en: "Reverted by", de: "Zurückgenommen durch" },
  "operation.revertible": { en: "Can be reverted", de: "Kann zurückgenommen werden" },
  "operation.view": { en: "View operation", de: "Vorgang anzeigen" },
  "operation.warnings": { en: "Please note", de: "Bitte beachten" },

  revert: { en: "Revert", de: "Zurücknehmen" },
  "revert.title": { en: "Revert “{operation}” of {date}?", de: "„{operation}“ vom {date} zurücknehmen?" },
  "revert.explain": {
    en: "Learners get their previous details and status back. What was changed since then stays. Learners created by this operation are deactivated.",
    de: "Die vorherigen Angaben und der vorherige Status werden wiederhergestellt. Was seitdem geändert wurde, bleibt. Durch den Vorgang angelegte Personen werden deaktiviert.",
  },
});

// @ts-check
/** The words that more than one folder uses. */
export const words = /** @satisfies {Record<string, import("./translate.js").Message>} */ ({
  product: { en: "Rollcall", de: "Rollcall" },
  language: { en: "Language", de: "Sprache" },
  loading: { en: "Loading …", de: "Wird geladen …" },
  notifications: { en: "Notifications", de: "Benachrichtigungen" },

  close: { en: "Close", de: "Schließen" },
  cancel: { en: "Cancel", de: "Abbrechen" },
  edit: { en: "Edit", de: "Bearbeiten" },
  save: { en: "Save", de: "Speichern" },
  try_again: { en: "Try again", de: "Erneut versuchen" },
  show_older: { en: "Show older", de: "Ältere anzeigen" },
  sort: { en: "Sort by this column", de: "Nach dieser Spalte sortieren" },

  all: { en: "All", de: "Alle" },
  never: { en: "Never", de: "Nie" },
  none: { en: "None", de: "Keine Angabe" },
  reason: { en: "Reason", de: "Grund" },

  "status.active": { en: "Active", de: "Aktiv" },
  "status.activated": { en: "Activated", de: "Aktiviert" },
  "status.deactivated": { en: "Deactivated", de: "Deaktiviert" },
  "status.expired": { en: "Expired", de: "Abgelaufen" },

  "learner.status": { en: "Status", de: "Status" },
  "learner.username": { en: "Username", de: "Benutzername" },
  "learner.email": { en: "Email", de: "E-Mail" },
  "learner.first_name": { en: "First name", de: "Vorname" },
  "learner.last_name": { en: "Last name", de: "Nachname" },
  "learner.external_id": { en: "External ID", de: "Externe ID" },
  "learner.expires_on": { en: "Expiration date", de: "Ablaufdatum" },
  "learner.deactivated_at": { en: "Deactivated on", de: "Deaktiviert am" },

  "nav.learners": { en: "User Management", de: "Benutzerverwaltung" },
  "nav.import": { en: "Import", de: "Import" },
  "nav.operations": { en: "Operations", de: "Vorgänge" },
  "nav.api_keys": { en: "API keys", de: "API-Schlüssel" },
  "nav.webhooks": { en: "Webhooks", de: "Webhooks" },
  "nav.organization": { en: "Organization", de: "Organisation" },

  secret: { en: "Secret", de: "Geheimnis" },
  "secret.once": {
    en: "Copy the secret now. You won’t see it again.",
    de: "Kopieren Sie das Geheimnis jetzt. Es wird nur dieses eine Mal angezeigt.",
  },
  "secret.copy": { en: "Copy secret", de: "Geheimnis kopieren" },
  "secret.copied": { en: "Copied.", de: "Kopiert." },
  "secret.by_hand": {
    en: "The browser could not copy the secret. It is selected: copy it with the keyboard.",
    de: "Der Browser konnte das Geheimnis nicht kopieren. Es ist markiert: Kopieren Sie es mit der Tastatur.",
  },
  "secret.done": { en: "Done", de: "Fertig" },

  "event.learner.created": { en: "Created", de: "Angelegt" },
  "event.learner.updated": { en: "Changed", de: "Geändert" },
  "event.learner.activated": { en: "Activated", de: "Aktiviert" },
  "event.learner.deactivated": { en: "Deactivated", de: "Deaktiviert" },
  "event.learner.accessed": { en: "First access to training", de: "Erster Zugriff auf Schulungen" },
  "event.learner.expired": { en: "Expired by a date change", de: "Durch Datumsänderung abgelaufen" },
  "event.learner.restored": { en: "Restored by a date change", de: "Durch Datumsänderung wiederhergestellt" },

  "problem.unreachable.title": { en: "No connection", de: "Keine Verbindung" },
  "problem.unreachable.detail": {
    en: "Rollcall cannot be reached. Check your connection and try again.",
    de: "Rollcall ist nicht erreichbar. Prüfen Sie Ihre Verbindung und versuchen Sie es erneut.",
  },
  "problem.unexpected.title": { en: "Unexpected answer", de: "Unerwartete Antwort" },
  "problem.unexpected.detail": {
    en: "The answer with status {status} did not come from Rollcall. Try again later.",
    de: "Die Antwort mit Status {status} kam nicht von Rollcall. Versuchen Sie es später erneut.",
  },
});

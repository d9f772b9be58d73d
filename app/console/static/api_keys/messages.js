// @ts-check
/** The texts about API keys. */
import { translator } from "../language/translate.js";

export const { t } = translator({
  new: { en: "New API key", de: "Neuer API-Schlüssel" },
  own: { en: "Your key", de: "Ihr Schlüssel" },
  name: { en: "Name", de: "Name" },
  "name.hint": {
    en: "What the key is for, such as the system that uses it.",
    de: "Wofür der Schlüssel ist, etwa das System, das ihn verwendet.",
  },
  prefix: { en: "Prefix", de: "Präfix" },
  scopes: { en: "Scopes", de: "Berechtigungen" },
  created_at: { en: "Created", de: "Erstellt" },
  last_used_at: { en: "Last used", de: "Zuletzt verwendet" },
  expires_at: { en: "Expires", de: "Läuft ab" },
  "expires_at.hint": {
    en: "The last day on which the key works. Leave it empty for a key that never expires.",
    de: "Der letzte Tag, an dem der Schlüssel gilt. Ohne Datum läuft er nie ab.",
  },
  expired_at: { en: "Expired on {date}", de: "Abgelaufen am {date}" },
  revoked_at: { en: "Revoked on {date}", de: "Widerrufen am {date}" },
  create: { en: "Create key", de: "Schlüssel erstellen" },
  "secret.title": { en: "Key created: {name}", de: "Schlüssel erstellt: {name}" },
  "secret.warning": {
    en: "Anyone with this secret can use the key.",
    de: "Wer dieses Geheimnis kennt, kann den Schlüssel verwenden.",
  },

  revoke: { en: "Revoke", de: "Widerrufen" },
  "revoke.label": { en: "Revoke {name}", de: "{name} widerrufen" },
  "revoke.title": { en: "Revoke the key {name}?", de: "Den Schlüssel {name} widerrufen?" },
  "revoke.effect": {
    en: "Systems that use this key lose access immediately. You cannot undo this.",
    de: "Systeme, die diesen Schlüssel verwenden, verlieren sofort den Zugang. Das lässt sich nicht rückgängig machen.",
  },
  "revoke.submit": { en: "Revoke key", de: "Schlüssel widerrufen" },
  "revoke.own": {
    en: "You are signed in with this key. Revoking it signs you out everywhere.",
    de: "Sie sind mit diesem Schlüssel angemeldet. Wenn Sie ihn widerrufen, werden Sie überall abgemeldet.",
  },
  "revoke.own.submit": { en: "Revoke my key and sign out", de: "Meinen Schlüssel widerrufen und abmelden" },
  "revoke.last": {
    en: "No other valid key has the scope admin. Without this key, new keys can only be created on the server with “rollcall keys create”.",
    de: "Kein anderer gültiger Schlüssel hat die Berechtigung admin. Ohne diesen Schlüssel lassen sich neue nur noch auf dem Server mit „rollcall keys create“ erstellen.",
  },
  revoked: { en: "Key revoked: {name}.", de: "Schlüssel widerrufen: {name}." },

  "scope.learners:read": {
    en: "View learners, their history and operations",
    de: "Personen, ihren Verlauf und Vorgänge ansehen",
  },
  "scope.learners:write": { en: "Change one learner at a time", de: "Einzelne Personen ändern" },
  "scope.learners:bulk": {
    en: "Change many learners at once, import files and revert operations",
    de: "Viele Personen auf einmal ändern, Dateien importieren und Vorgänge zurücknehmen",
  },
  "scope.access:check": {
    en: "For the portal: check who may log in",
    de: "Für das Portal: prüfen, wer sich anmelden darf",
  },
  "scope.events:read": { en: "Read every change to every learner", de: "Alle Änderungen an allen Personen lesen" },
  "scope.admin": {
    en: "All of the above, and manage the organization, API keys and webhooks",
    de: "Alles Genannte, dazu Organisation, API-Schlüssel und Webhooks verwalten",
  },
});

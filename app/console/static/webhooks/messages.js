// @ts-check
/** The texts about webhooks and their deliveries. */
import { translator } from "../language/translate.js";

export const { t } = translator({
  new: { en: "New webhook", de: "Neuer Webhook" },
  empty: {
    en: "No webhooks yet. A webhook tells another system about every change as it happens.",
    de: "Noch keine Webhooks. Ein Webhook meldet einem anderen System jede Änderung, sobald sie geschieht.",
  },
  url: { en: "URL", de: "URL" },
  "url.hint": { en: "The https address that receives the messages.", de: "Die https-Adresse, die die Meldungen empfängt." },
  description: { en: "Description", de: "Beschreibung" },
  "description.hint": { en: "What the webhook is for.", de: "Wofür der Webhook ist." },
  event_types: { en: "Events", de: "Ereignisse" },
  "event_types.hint": {
    en: "Leave all unticked to receive every event, including future ones.",
    de: "Ohne Auswahl werden alle Ereignisse gemeldet, auch künftige.",
  },
  state: { en: "State", de: "Zustand" },
  "state.enabled": { en: "Enabled", de: "Eingeschaltet" },
  "state.disabled": { en: "Disabled", de: "Ausgeschaltet" },
  "state.failing": {
    en: "Disabled: the endpoint received nothing for days",
    de: "Ausgeschaltet: Beim Empfänger kam tagelang nichts an",
  },
  "state.gone": {
    en: "Disabled: the endpoint wants no more messages (410)",
    de: "Ausgeschaltet: Der Empfänger möchte keine Meldungen mehr (410)",
  },
  last_delivered_at: { en: "Last delivery", de: "Letzte Zustellung" },
  created_at: { en: "Created", de: "Angelegt" },

  create: { en: "Create webhook", de: "Webhook anlegen" },
  created: { en: "Webhook created", de: "Webhook angelegt" },
  "secret.warning": {
    en: "Your endpoint verifies messages with this secret. Anyone with it can forge messages.",
    de: "Der Empfänger prüft Meldungen mit diesem Geheimnis. Wer es kennt, kann Meldungen fälschen.",
  },
  "edit.title": { en: "Edit webhook", de: "Webhook bearbeiten" },
  saved: { en: "Webhook saved.", de: "Webhook gespeichert." },
  enable: { en: "Enable", de: "Einschalten" },
  "enable.done": {
    en: "Webhook enabled. Events from the meantime are being sent.",
    de: "Webhook eingeschaltet. Ereignisse aus der Zwischenzeit werden jetzt gesendet.",
  },
  disable: { en: "Disable", de: "Ausschalten" },
  "disable.done": {
    en: "Webhook disabled. New events are kept and sent when you enable it again.",
    de: "Webhook ausgeschaltet. Neue Ereignisse werden aufgehoben und nach dem Einschalten gesendet.",
  },
  test: { en: "Send test", de: "Test senden" },
  "test.delivered": { en: "The endpoint received the test.", de: "Der Test ist angekommen." },
  "test.failed": { en: "The endpoint did not receive the test.", de: "Der Test ist nicht angekommen." },
  rotate: { en: "Replace secret", de: "Geheimnis ersetzen" },
  "rotate.title": { en: "Replace the secret?", de: "Das Geheimnis ersetzen?" },
  "rotate.effect": {
    en: "For 24 hours, messages are signed with the old and the new secret. After that, only the new one is used.",
    de: "24 Stunden lang werden Meldungen mit dem alten und dem neuen Geheimnis signiert, danach nur noch mit dem neuen.",
  },
  "rotate.done": { en: "Secret replaced", de: "Geheimnis ersetzt" },
  remove: { en: "Remove", de: "Entfernen" },
  "remove.title": { en: "Remove this webhook?", de: "Diesen Webhook entfernen?" },
  "remove.effect": {
    en: "No more messages are sent to it. You cannot undo this.",
    de: "Es werden keine Meldungen mehr an ihn gesendet. Das lässt sich nicht rückgängig machen.",
  },
  "remove.done": { en: "Webhook removed.", de: "Webhook entfernt." },

  deliveries: { en: "Deliveries", de: "Zustellungen" },
  "deliveries.none": { en: "No deliveries yet.", de: "Noch keine Zustellungen." },
  "deliveries.refresh": { en: "Refresh", de: "Aktualisieren" },
  "delivery.pending": { en: "Waiting to be sent", de: "Wartet auf Versand" },
  "delivery.failing": { en: "Not received. It will be sent again.", de: "Nicht angekommen. Wird erneut gesendet." },
  "delivery.delivered": { en: "Received", de: "Angekommen" },
  "delivery.failed": { en: "Failed", de: "Fehlgeschlagen" },
  "delivery.attempts": {
    en: { one: "{count} attempt", other: "{count} attempts" },
    de: { one: "{count} Versuch", other: "{count} Versuche" },
  },
  "delivery.next_attempt_at": { en: "Next attempt: {moment}", de: "Nächster Versuch: {moment}" },
  "delivery.retry": { en: "Send again", de: "Erneut senden" },
  "delivery.retry.done": { en: "Sending it again.", de: "Wird erneut gesendet." },
  "event.webhook.test": { en: "Test", de: "Test" },
});

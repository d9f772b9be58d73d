// @ts-check
/** The texts around the views and of the sign-in page. */
import { translator } from "../language/translate.js";

export const { t } = translator({
  title: { en: "{view} – {product}", de: "{view} – {product}" },
  skip: { en: "Skip to content", de: "Zum Inhalt springen" },
  nav: { en: "Main menu", de: "Hauptmenü" },

  "sign_in.title": { en: "Sign in to Rollcall", de: "Bei Rollcall anmelden" },
  "sign_in.key": { en: "API key", de: "API-Schlüssel" },
  "sign_in.hint": {
    en: "Stays in this tab only. Closing the tab signs you out.",
    de: "Gilt nur in diesem Tab. Wenn Sie den Tab schließen, werden Sie abgemeldet.",
  },
  "sign_in.missing.title": { en: "API key missing", de: "API-Schlüssel fehlt" },
  "sign_in.missing": {
    en: "Enter the API key that your administrator gave you.",
    de: "Geben Sie den API-Schlüssel ein, den Sie von Ihrer Administration erhalten haben.",
  },
  "sign_in.submit": { en: "Sign in", de: "Anmelden" },

  "account.key": { en: "You are signed in with this API key", de: "Sie sind mit diesem API-Schlüssel angemeldet" },
  "account.sign_out": { en: "Sign out", de: "Abmelden" },

  "nothing.title": { en: "This key can’t use the console", de: "Dieser Schlüssel gilt nicht für die Konsole" },
  "nothing.detail": {
    en: "The console needs a key with a scope such as learners:read. Ask your administrator for one.",
    de: "Die Konsole braucht einen Schlüssel mit einer Berechtigung wie learners:read. Bitten Sie Ihre Administration darum.",
  },
});

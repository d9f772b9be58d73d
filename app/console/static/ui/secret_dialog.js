// @ts-check
/** Shows a secret that the API returns only once. It has to be copied before the dialog closes. */
import { t } from "../language/translate.js";
import { openDialog } from "./dialog.js";
import { fill, h } from "./dom.js";
import { field } from "./form.js";
import { icon } from "./icons.js";

/** @param {string} title @param {string} secret @param {string} warning what anyone with the secret can do */
export function showSecret(title, secret, warning) {
  let isCopied = false;
  const setCopied = () => {
    isCopied = true;
  };
  const result = h("p", { role: "status" });
  const copyButton = h("button", { type: "button", class: "primary", onclick: copy }, t("secret.copy"));
  const input = h("input", {
    value: secret,
    readonly: true,
    autocomplete: "off",
    spellcheck: "false",
    onfocus: () => input.select(),
    oncopy: setCopied,
  });
  const dialog = openDialog({
    title,
    content: [
      h("div", { class: "notice" }, icon("warning"), h("div", {}, h("strong", {}, t("secret.once")), h("p", {}, warning))),
      field({ name: "secret", label: t("secret"), control: input }),
      result,
      h("div", { class: "actions" }, copyButton, h("button", { type: "button", onclick: () => dialog.close() }, t("secret.done"))),
    ],
    // Escape or the cross must not lose the secret.
    mayClose: () => {
      if (!isCopied) copyButton.focus();
      return isCopied;
    },
  });

  async function copy() {
    input.select();
    try {
      await navigator.clipboard.writeText(secret);
      setCopied();
    } catch {
      document.execCommand("copy"); // works without TLS, where there is no clipboard, and calls `oncopy`
    }
    fill(result, t(isCopied ? "secret.copied" : "secret.by_hand"));
  }
}

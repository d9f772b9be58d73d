// @ts-check
/** Shows a secret that the API answers once and never again: it is to be kept before the dialog closes. */
import { openDialog } from "./dialog.js";
import { fill, h } from "./dom.js";
import { field } from "./form.js";
import { icon } from "./icons.js";
import { t } from "./messages.js";

/** @param {string} title @param {string} secret @param {string} warning what whoever has it can do */
export function showSecret(title, secret, warning) {
  let isKept = false;
  const keep = () => (isKept = true);
  const done = h("p", { role: "status" });
  const copying = h("button", { type: "button", class: "primary", onclick: copy }, t("secret.copy"));
  const showing = field({
    name: "secret",
    label: t("secret"),
    attributes: { value: secret, readonly: true, autocomplete: "off", spellcheck: "false", onfocus: () => input.select(), oncopy: keep },
  });
  const input = /** @type {HTMLInputElement} */ (showing.querySelector("input"));
  const dialog = openDialog({
    title,
    content: [
      h("div", { class: "notice" }, icon("warning"), h("div", {}, h("strong", {}, t("secret.once")), h("p", {}, t("secret.keep"), " ", warning))),
      showing,
      done,
      h("div", { class: "actions" }, copying, h("button", { type: "button", onclick: () => dialog.close() }, t("secret.done"))),
    ],
    // It is gone with the dialog, so that a slip of the hand is not to close it.
    mayClose: () => {
      if (!isKept) copying.focus();
      return isKept;
    },
  });

  async function copy() {
    input.select();
    try {
      await navigator.clipboard.writeText(secret);
      keep();
    } catch {
      document.execCommand("copy"); // the way without TLS, where there is no clipboard; it tells `oncopy`
    }
    fill(done, t(isKept ? "secret.copied" : "secret.by_hand"));
  }
}

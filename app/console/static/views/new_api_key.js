// @ts-check
/** Issuing an API key: what it is for and what it may do, and then its secret, which is shown this once. */
import { post } from "../api.js";
import { fill, h, newId } from "../dom.js";
import { openDialog } from "../dialog.js";
import { field, form } from "../form.js";
import { endOf, today } from "../format.js";
import { icon } from "../icons.js";
import { t } from "../messages.js";

const SCOPES = ["learners:read", "learners:write", "learners:bulk", "access:check", "events:read", "admin"];

/** @param {() => void} onIssued */
export function askForNewKey(onIssued) {
  const dialog = openDialog({
    title: t("keys.new"),
    content: [
      form(
        async (values) => {
          const day = String(values.get("expires_at"));
          const body = { name: values.get("name"), scopes: values.getAll("scopes"), expires_at: day ? endOf(day) : null };
          const { body: key } = await post("/api-keys", { body });
          dialog.close();
          showSecret(key);
          onIssued();
        },
        field({ name: "name", label: t("keys.name"), hint: t("keys.name.hint"), attributes: { maxlength: "255", autocomplete: "off" } }),
        scopesField(),
        field({ name: "expires_at", label: t("keys.expires_at"), hint: t("keys.expires_at.hint"), attributes: { type: "date", min: today() } }),
        h(
          "div",
          { class: "actions" },
          h("button", { type: "button", onclick: () => dialog.close() }, t("cancel")),
          h("button", { type: "submit", class: "primary" }, t("keys.issue")),
        ),
      ),
    ],
  });
}

function scopesField() {
  const id = newId("error");
  return h(
    "fieldset",
    { class: "field", "aria-describedby": id },
    h("legend", {}, t("keys.scopes")),
    ...SCOPES.map((scope) =>
      h(
        "label",
        { class: "check" },
        h("input", { type: "checkbox", name: "scopes", value: scope }),
        h("span", {}, h("code", {}, scope), h("span", { class: "hint" }, t(`scope.${scope.replace(":", "_")}`))),
      ),
    ),
    h("p", { class: "field-error", id, dataset: { errorOf: "scopes" } }),
  );
}

/** @param {{name: string, secret: string}} key */
function showSecret({ name, secret }) {
  let isKept = false;
  const keep = () => (isKept = true);
  const done = h("p", { role: "status" });
  const copying = h("button", { type: "button", class: "primary", onclick: copy }, t("keys.secret.copy"));
  const showing = field({
    name: "secret",
    label: t("keys.secret"),
    attributes: { value: secret, readonly: true, autocomplete: "off", spellcheck: "false", onfocus: () => input.select(), oncopy: keep },
  });
  const input = /** @type {HTMLInputElement} */ (showing.querySelector("input"));
  const dialog = openDialog({
    title: t("keys.secret.title", { name }),
    content: [
      h("div", { class: "notice" }, icon("warning"), h("div", {}, h("strong", {}, t("keys.secret.once")), h("p", {}, t("keys.secret.warning")))),
      showing,
      done,
      h("div", { class: "actions" }, copying, h("button", { type: "button", onclick: () => dialog.close() }, t("keys.secret.done"))),
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
    fill(done, t(isKept ? "keys.secret.copied" : "keys.secret.by_hand"));
  }
}

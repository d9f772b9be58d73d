// @ts-check
/** Issuing an API key: what it is for and what it may do, and then its secret, which is shown this once. */
import { post } from "../api.js";
import { h, newId } from "../dom.js";
import { openDialog } from "../dialog.js";
import { field, form } from "../form.js";
import { endOf, today } from "../format.js";
import { t } from "../messages.js";
import { showSecret } from "../secret_dialog.js";

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
          showSecret(t("keys.secret.title", { name: key.name }), key.secret, t("keys.secret.warning"));
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

// @ts-check
/** Creating an API key: its name, its scopes and its last day. Then its secret is shown, only once. */
import { post } from "../api/client.js";
import { endOf, today } from "../language/format.js";
import { openDialog } from "../ui/dialog.js";
import { h } from "../ui/dom.js";
import { checkboxGroup, field, form, submitButton } from "../ui/form.js";
import { showSecret } from "../ui/secret_dialog.js";
import { PATH } from "./api_key.js";
import { t } from "./messages.js";
import { SCOPES } from "./scopes.js";

/** @param {() => void} onCreated */
export function openNewKeyDialog(onCreated) {
  const submit = async (/** @type {FormData} */ values) => {
    const day = String(values.get("expires_at"));
    const body = { name: values.get("name"), scopes: values.getAll("scopes"), expires_at: day ? endOf(day) : null };
    const { body: key } = await post(PATH, { body });
    dialog.close();
    showSecret(t("secret.title", { name: key.name }), key.secret, t("secret.warning"));
    onCreated();
  };
  const scopes = SCOPES.map((scope) => ({
    value: scope,
    label: [h("code", {}, scope), h("span", { class: "hint" }, t(`scope.${scope}`))],
  }));
  const dialog = openDialog({
    title: t("new"),
    content: [
      form(
        submit,
        field({ name: "name", label: t("name"), hint: t("name.hint"), attributes: { maxlength: "255", autocomplete: "off" } }),
        checkboxGroup({ name: "scopes", label: t("scopes") }, scopes),
        field({ name: "expires_at", label: t("expires_at"), hint: t("expires_at.hint"), attributes: { type: "date", min: today() } }),
        h(
          "div",
          { class: "actions" },
          h("button", { type: "button", onclick: () => dialog.close() }, t("cancel")),
          submitButton(t("create")),
        ),
      ),
    ],
  });
}

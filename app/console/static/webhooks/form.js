// @ts-check
/** Creating and editing a webhook. */
import { patch, post } from "../api/client.js";
import { openDialog } from "../ui/dialog.js";
import { h } from "../ui/dom.js";
import { checkboxGroup, field, form, submitButton } from "../ui/form.js";
import { showSecret } from "../ui/secret_dialog.js";
import { toast } from "../ui/toast.js";
import { t } from "./messages.js";
import { EVENT_TYPES, PATH } from "./webhook.js";

/** @typedef {import("./webhook.js").Webhook} Webhook */
/** @typedef {{url: any, description: any, event_types: any[]}} Values */

/** @param {(webhook: Webhook) => void} onCreated */
export function openNewWebhookDialog(onCreated) {
  openFormDialog(t("new"), t("create"), null, async (values) => {
    const { body } = await post(PATH, { body: values });
    return () => {
      showSecret(t("created"), body.secret, t("secret.warning"));
      onCreated(body);
    };
  });
}

/** @param {Webhook} webhook @param {(webhook: Webhook) => void} onSaved */
export function openEditDialog(webhook, onSaved) {
  openFormDialog(t("edit.title"), t("save"), webhook, async (values) => {
    // Only what was changed here, so that no one else's change is overwritten.
    const changed = Object.entries(values).filter(([name, value]) => String(value) !== String(Reflect.get(webhook, name)));
    const { body } = await patch(`${PATH}/${webhook.id}`, { body: Object.fromEntries(changed) });
    return () => {
      onSaved(body);
      toast(t("saved"));
    };
  });
}

/**
 * @param {string} title
 * @param {string} submit
 * @param {Webhook | null} webhook null = a new one
 * @param {(values: Values) => Promise<() => void>} send returns what to do when the dialog is closed
 */
function openFormDialog(title, submit, webhook, send) {
  const events = EVENT_TYPES.map((type) => ({
    value: type,
    isChecked: webhook?.event_types.includes(type),
    label: [t(`event.${type}`)],
  }));
  const dialog = openDialog({
    title,
    content: [
      form(
        async (values) => {
          const finish = await send({
            url: values.get("url"),
            description: values.get("description") || null,
            event_types: values.getAll("event_types"),
          });
          dialog.close();
          finish();
        },
        field({
          name: "url",
          label: t("url"),
          hint: t("url.hint"),
          attributes: { value: webhook?.url ?? "", type: "url", maxlength: "2000", autocomplete: "off", spellcheck: "false" },
        }),
        field({
          name: "description",
          label: t("description"),
          hint: t("description.hint"),
          attributes: { value: webhook?.description ?? "", maxlength: "1000", autocomplete: "off" },
        }),
        checkboxGroup({ name: "event_types", label: t("event_types"), hint: t("event_types.hint") }, events),
        h("div", { class: "actions" }, h("button", { type: "button", onclick: () => dialog.close() }, t("cancel")), submitButton(submit)),
      ),
    ],
  });
}

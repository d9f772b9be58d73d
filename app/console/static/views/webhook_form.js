// @ts-check
/** Creating a webhook, and changing one. */
import { patch, post } from "../api.js";
import { openDialog } from "../dialog.js";
import { h, newId } from "../dom.js";
import { field, form } from "../form.js";
import { t } from "../messages.js";
import { showSecret } from "../secret_dialog.js";
import { toast } from "../toast.js";
import { PATH } from "../webhook.js";

/** @typedef {import("../webhook.js").Webhook} Webhook */

const EVENT_TYPES = ["created", "updated", "activated", "deactivated", "accessed", "expired", "restored"].map((name) => `learner.${name}`);

/** @param {(webhook: Webhook) => void} onCreated */
export function askForNewWebhook(onCreated) {
  ask(t("webhooks.new"), t("webhooks.create"), null, async (values) => {
    const { body } = await post(PATH, { body: values });
    return () => {
      showSecret(t("webhooks.created"), body.secret, t("webhooks.secret.warning"));
      onCreated(body);
    };
  });
}

/** @param {Webhook} webhook @param {(webhook: Webhook) => void} onSaved */
export function askToEdit(webhook, onSaved) {
  ask(t("webhooks.edit.title"), t("webhooks.save"), webhook, async (values) => {
    // Nothing but what was changed here, so that nobody else's change is taken back.
    const changed = Object.entries(values).filter(([name, value]) => String(value) !== String(Reflect.get(webhook, name)));
    const { body } = await patch(`${PATH}/${webhook.id}`, { body: Object.fromEntries(changed) });
    return () => {
      onSaved(body);
      toast(t("webhooks.saved"));
    };
  });
}

/**
 * @param {string} title
 * @param {string} submit
 * @param {Webhook | null} webhook
 * @param {(values: {url: any, description: any, event_types: any[]}) => Promise<() => void>} send answers what to do then
 */
function ask(title, submit, webhook, send) {
  const dialog = openDialog({
    title,
    content: [
      form(
        async (values) => {
          const then = await send({
            url: values.get("url"),
            description: values.get("description") || null,
            event_types: values.getAll("event_types"),
          });
          dialog.close();
          then();
        },
        field({
          name: "url",
          label: t("webhooks.url"),
          hint: t("webhooks.url.hint"),
          attributes: { value: webhook?.url ?? "", type: "url", maxlength: "2000", autocomplete: "off", spellcheck: "false" },
        }),
        field({
          name: "description",
          label: t("webhooks.description"),
          hint: t("webhooks.description.hint"),
          attributes: { value: webhook?.description ?? "", maxlength: "1000", autocomplete: "off" },
        }),
        typesField(webhook?.event_types ?? []),
        h(
          "div",
          { class: "actions" },
          h("button", { type: "button", onclick: () => dialog.close() }, t("cancel")),
          h("button", { type: "submit", class: "primary" }, submit),
        ),
      ),
    ],
  });
}

/** @param {string[]} chosen */
function typesField(chosen) {
  const [hint, error] = [newId("hint"), newId("error")];
  return h(
    "fieldset",
    { class: "field", "aria-describedby": `${hint} ${error}` },
    h("legend", {}, t("webhooks.event_types")),
    h("p", { class: "hint", id: hint }, t("webhooks.event_types.hint")),
    ...EVENT_TYPES.map((value) =>
      h(
        "label",
        { class: "check" },
        h("input", { type: "checkbox", name: "event_types", value, checked: chosen.includes(value) }),
        h("span", {}, t(`event.${value}`)),
      ),
    ),
    h("p", { class: "field-error", id: error, dataset: { errorOf: "event_types" } }),
  );
}

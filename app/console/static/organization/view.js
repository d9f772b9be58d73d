// @ts-check
/** The organization: its name, its time zone, and the limits of its imports. */
import { patch } from "../api/client.js";
import { formatNowIn } from "../language/format.js";
import { refresh, whoAmI } from "../shell/session.js";
import { View } from "../shell/view.js";
import { fill, h, keepFocus } from "../ui/dom.js";
import { field, form, submitButton } from "../ui/form.js";
import { problemNotice, tryAgainButton } from "../ui/notice.js";
import { toast } from "../ui/toast.js";
import { t } from "./messages.js";

/** @typedef {"name" | "time_zone" | "max_deactivations" | "expiring_days"} Setting */

export default class OrganizationView extends View {
  content = h("div", {}, t("loading"));

  connectedCallback() {
    fill(this, h("h1", {}, t("nav.organization")), this.content);
    this.#load();
  }

  /** Load the stored settings: someone else may have changed them since the session began. */
  async #load() {
    try {
      await refresh();
      this.#draw();
    } catch (error) {
      fill(this.content, problemNotice(error, tryAgainButton(() => this.#load())));
    }
  }

  #draw() {
    const { name, time_zone, max_deactivations, expiring_days } = whoAmI().organization;
    const zones = "supportedValuesOf" in Intl ? ["UTC", ...Intl.supportedValuesOf("timeZone")] : [];
    const editing = form(
      (values) => this.#save(values),
      textField("name", name, { maxlength: "255", autocomplete: "organization" }),
      timeZoneField(time_zone),
      h("datalist", { id: "time-zones" }, ...zones.map((value) => h("option", { value }))),
      textField("max_deactivations", max_deactivations, { maxlength: "9" }, t("max_deactivations.hint")),
      textField("expiring_days", String(expiring_days), { maxlength: "3", inputmode: "numeric" }, t("expiring_days.hint")),
      h("div", { class: "actions" }, submitButton(t("save"), { dataset: { key: "save" } })),
    );
    editing.classList.add("card");
    keepFocus(this.content, () => fill(this.content, editing));
  }

  /** @param {FormData} values */
  async #save(values) {
    const { organization } = whoAmI();
    const days = String(values.get("expiring_days")).trim();
    // Anything but a number is for the API to refuse.
    const entered = { ...Object.fromEntries(values), expiring_days: /^\d+$/.test(days) ? Number(days) : days };
    // Only what was changed here, so that no one else's change is overwritten.
    const changed = Object.entries(entered).filter(([name, value]) => value !== Reflect.get(organization, name));
    await patch("/organization", { body: Object.fromEntries(changed) });
    await refresh();
    this.#draw();
    toast(t("saved"));
  }
}

/** @param {Setting} name @param {string} value @param {import("../ui/dom.js").Attributes} attributes @param {string} [hint] */
function textField(name, value, attributes, hint) {
  return field({ name, label: t(name), hint, attributes: { value, dataset: { key: name }, ...attributes } });
}

/** Create the field with the current time in the zone that is entered. @param {string} value */
function timeZoneField(value) {
  const now = h("output", { class: "hint" });
  const showNow = (/** @type {string} */ zone) => {
    const moment = formatNowIn(zone);
    fill(now, moment && t("time_zone.now", { moment }));
  };
  showNow(value);
  const attributes = {
    list: "time-zones",
    spellcheck: "false",
    autocomplete: "off",
    // The browser lists what matches the text, so typing has to replace it.
    onfocus: (/** @type {FocusEvent} */ { target }) => /** @type {HTMLInputElement} */ (target).select(),
    oninput: (/** @type {InputEvent} */ { target }) => showNow(/** @type {HTMLInputElement} */ (target).value),
  };
  const element = textField("time_zone", value, attributes, t("time_zone.hint"));
  element.append(now);
  return element;
}

customElements.define("organization-view", OrganizationView);

// @ts-check
/** The organization: what it is called, whose day it lives by, and the guards of its imports. */
import { patch } from "../api.js";
import { fill, h, keepFocus } from "../dom.js";
import { field, form } from "../form.js";
import { nowIn } from "../format.js";
import { has, t } from "../messages.js";
import { problemNotice } from "../notice.js";
import { refresh, whoAmI } from "../session.js";
import { toast } from "../toast.js";
import { View } from "../view.js";

export default class OrganizationView extends View {
  content = h("div", {}, t("loading"));

  connectedCallback() {
    fill(this, h("h1", {}, t("nav.organization")), this.content);
    this.#load();
  }

  /** Not as it was when the session began: somebody may have changed it since. */
  async #load() {
    try {
      await refresh();
      this.#draw();
    } catch (error) {
      fill(this.content, problemNotice(error, h("button", { type: "button", onclick: () => this.#load() }, t("try_again"))));
    }
  }

  #draw() {
    const { name, time_zone, max_deactivations, expiring_days } = whoAmI().organization;
    const zones = "supportedValuesOf" in Intl ? ["UTC", ...Intl.supportedValuesOf("timeZone")] : [];
    const editing = form(
      (values) => this.#save(values),
      text("name", name, { maxlength: "255", autocomplete: "organization" }),
      timeZoneField(time_zone),
      h("datalist", { id: "time-zones" }, ...zones.map((value) => h("option", { value }))),
      text("max_deactivations", max_deactivations, { maxlength: "9" }),
      text("expiring_days", String(expiring_days), { maxlength: "3", inputmode: "numeric" }),
      h("div", { class: "actions" }, h("button", { type: "submit", class: "primary", dataset: { key: "save" } }, t("organization.save"))),
    );
    editing.classList.add("card");
    keepFocus(this.content, () => fill(this.content, editing));
  }

  /** @param {FormData} values */
  async #save(values) {
    const organization = whoAmI().organization;
    const days = String(values.get("expiring_days")).trim();
    // What is no number goes as it is, for the API to say so.
    const sent = { ...Object.fromEntries(values), expiring_days: /^\d+$/.test(days) ? Number(days) : days };
    // Nothing but what was changed here, so that nobody else's change is taken back.
    const changed = Object.entries(sent).filter(([name, value]) => value !== Reflect.get(organization, name));
    await patch("/organization", { body: Object.fromEntries(changed) });
    await refresh();
    this.#draw();
    toast(t("organization.saved"));
  }
}

/** @param {string} name @param {string} value @param {Record<string, any>} attributes */
function text(name, value, attributes) {
  const hint = `organization.${name}.hint`;
  return field({
    name,
    label: t(`organization.${name}`),
    hint: has(hint) ? t(hint) : "",
    attributes: { value, dataset: { key: name }, ...attributes },
  });
}

/** With the time that it is there, so that nobody has to know what zones are called. @param {string} value */
function timeZoneField(value) {
  const now = h("output", { class: "hint" });
  const tell = (/** @type {string} */ zone) => fill(now, nowIn(zone) && t("organization.now", { moment: nowIn(zone) }));
  tell(value);
  const element = text("time_zone", value, {
    list: "time-zones",
    spellcheck: "false",
    autocomplete: "off",
    // What is listed is what matches, so that typing is to begin anew.
    onfocus: (/** @type {FocusEvent} */ { target }) => /** @type {HTMLInputElement} */ (target).select(),
    oninput: (/** @type {InputEvent} */ { target }) => tell(/** @type {HTMLInputElement} */ (target).value),
  });
  element.append(now);
  return element;
}

customElements.define("organization-view", OrganizationView);

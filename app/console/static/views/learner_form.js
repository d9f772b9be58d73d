// @ts-check
/** Changing one learner's details: sends what is otherwise than it was, and overwrites nobody else's change unasked. */
import * as api from "../api.js";
import { fill, h } from "../dom.js";
import { expirationField } from "../expiration_field.js";
import { field, form } from "../form.js";
import { date } from "../format.js";
import { announce, update } from "../learner_actions.js";
import { t } from "../messages.js";

/** @typedef {import("../learner.js").Learner} Learner */

const TEXTS = /** @type {const} */ (["first_name", "last_name", "username", "email", "external_id"]);
const MEMBERS = /** @type {const} */ ([...TEXTS, "expires_on"]);

/**
 * @param {Learner} learner
 * @param {() => void} onDone saved or left
 * @returns {{element: HTMLElement, renew: (learner: Learner) => void, isChanged: () => boolean}} `renew` takes on what
 *   others have changed; `isChanged`: whether there is something to save
 */
export function learnerForm(learner, onDone) {
  let known = learner;
  const inputs = Object.fromEntries(
    TEXTS.map((name) => [
      name,
      h("input", { value: learner[name] ?? "", autocomplete: "off", spellcheck: "false", inputmode: name === "email" && "email" }),
    ]),
  );
  const expiration = expirationField({ label: t("learner.expires_on"), value: learner.expires_on });
  const element = form(
    save,
    ...TEXTS.map((name) => field({ name, label: t(`learner.${name}`), control: inputs[name] })),
    expiration.element,
    h(
      "div",
      { class: "actions" },
      h("button", { type: "submit", class: "primary" }, t("learner.save")),
      h("button", { type: "button", onclick: onDone }, t("cancel")),
    ),
  );
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation(); // it leaves the form, not the panel
    onDone();
  });

  /** @param {typeof MEMBERS[number]} name */
  function entered(name) {
    if (name === "expires_on") return expiration.chosen();
    const text = inputs[name].value.trim();
    return name === "username" ? text : text || null;
  }

  const changed = () => MEMBERS.filter((name) => entered(name) !== known[name]);

  async function save() {
    expiration.wanted();
    const changes = Object.fromEntries(changed().map((name) => [name, entered(name)]));
    try {
      if (Object.keys(changes).length > 0) await update(known, changes);
    } catch (error) {
      if (error instanceof api.Problem && error.code === "version-mismatch") announce(await api.get(`/learners/${known.id}`));
      throw error;
    }
    onDone();
  }

  /** @param {Learner} now */
  function renew(now) {
    for (const name of MEMBERS.filter((name) => now[name] !== known[name])) {
      const value = now[name];
      const isKept = entered(name) !== known[name] && entered(name) !== value;
      if (!isKept && name === "expires_on") expiration.choose(value);
      else if (!isKept) inputs[name].value = value ?? "";
      const shown = value === null ? t(name === "expires_on" ? "never" : "none") : name === "expires_on" ? date(value) : value;
      const place = element.querySelector(`[data-error-of="${name}"]`);
      if (place !== null) fill(place, t(isKept ? "learner.meanwhile" : "learner.taken_on", { value: shown }));
    }
    known = now;
  }

  return { element, renew, isChanged: () => changed().length > 0 };
}

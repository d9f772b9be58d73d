// @ts-check
/** The form for one learner's details. It sends only what was changed, and overwrites no one else's change unasked. */
import { get } from "../api/client.js";
import { isProblem } from "../api/problem.js";
import { formatDate } from "../language/format.js";
import { fill, h } from "../ui/dom.js";
import { field, form, submitButton } from "../ui/form.js";
import { updateLearner } from "./actions.js";
import { announceChange } from "./changes.js";
import { expirationField } from "./expiration_field.js";
import { t } from "./messages.js";

/** @typedef {import("./learner.js").Learner} Learner */

const TEXTS = /** @type {const} */ (["first_name", "last_name", "username", "email", "external_id"]);
const MEMBERS = /** @type {const} */ ([...TEXTS, "expires_on"]);

/**
 * @param {Learner} learner
 * @param {() => void} onDone saved or cancelled
 * @returns {{element: HTMLElement, merge: (learner: Learner) => void, isChanged: () => boolean}} `merge` shows what
 *   others have changed and keeps what the user has entered; `isChanged`: whether there is something to save
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
    h("div", { class: "actions" }, submitButton(t("save")), h("button", { type: "button", onclick: onDone }, t("cancel"))),
  );
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation(); // leave the form, not the panel
    onDone();
  });

  /** @param {typeof MEMBERS[number]} name */
  function readEntry(name) {
    if (name === "expires_on") return expiration.chosen();
    const text = inputs[name].value.trim();
    return name === "username" ? text : text || null;
  }

  const findChanged = () => MEMBERS.filter((name) => readEntry(name) !== known[name]);

  async function save() {
    expiration.read();
    const changes = Object.fromEntries(findChanged().map((name) => [name, readEntry(name)]));
    try {
      if (Object.keys(changes).length > 0) await updateLearner(known, changes);
    } catch (error) {
      if (isProblem(error, "version-mismatch")) announceChange(await get(`/learners/${known.id}`));
      throw error;
    }
    onDone();
  }

  /** @param {Learner} now */
  function merge(now) {
    for (const name of MEMBERS.filter((name) => now[name] !== known[name])) {
      const value = now[name];
      const isKept = readEntry(name) !== known[name] && readEntry(name) !== value;
      if (!isKept && name === "expires_on") expiration.choose(value);
      else if (!isKept) inputs[name].value = value ?? "";
      const shown = value === null ? t(name === "expires_on" ? "never" : "none") : name === "expires_on" ? formatDate(value) : value;
      const place = element.querySelector(`[data-error-of="${name}"]`);
      if (place !== null) fill(place, isKept ? t("form.conflict", { value: shown }) : t("form.changed_by_other"));
    }
    known = now;
  }

  return { element, merge, isChanged: () => findChanged().length > 0 };
}

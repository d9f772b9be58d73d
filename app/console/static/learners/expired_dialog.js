// @ts-check
/** Explains why an expired learner cannot be activated, and offers a new expiration date. */
import { formatDate, today } from "../language/format.js";
import { may } from "../shell/session.js";
import { openDialog } from "../ui/dialog.js";
import { h } from "../ui/dom.js";
import { form, submitButton } from "../ui/form.js";
import { findStatusControl, updateLearner } from "./actions.js";
import { expirationField } from "./expiration_field.js";
import { nameOf, statusLabel } from "./learner.js";
import { t } from "./messages.js";

/** @typedef {import("./learner.js").Learner} Learner */

/** @param {Learner} learner */
export function openExpiredDialog(learner) {
  const dialog = openDialog({
    title: t("expired.title", { name: nameOf(learner) }),
    content: [
      h("p", {}, t("expired.since", { date: formatDate(learner.expires_on ?? "") })),
      h("p", {}, t("expired.restores"), " ", statusLabel(learner.restores_to ?? "activated")),
      may("learners:write") && expirationForm(learner, () => dialog.close()),
    ],
    returnTo: () => findStatusControl(learner),
  });
}

/** @param {Learner} learner @param {() => void} onDone */
function expirationForm(learner, onDone) {
  const expiration = expirationField({ label: t("expiration.new"), min: today() });
  return form(
    async () => {
      await updateLearner(learner, { expires_on: expiration.read() });
      onDone();
    },
    expiration.element,
    h("div", { class: "actions" }, h("button", { type: "button", onclick: onDone }, t("cancel")), submitButton(t("expiration.submit"))),
  );
}

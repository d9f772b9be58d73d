// @ts-check
/** The status as a button: one click activates or deactivates, wherever a learner is shown. */
import { may } from "../shell/session.js";
import { h } from "../ui/dom.js";
import { applyAction } from "./actions.js";
import { openExpiredDialog } from "./expired_dialog.js";
import { nameOf, statusLabel } from "./learner.js";
import { t } from "./messages.js";

/** @typedef {import("./learner.js").Learner} Learner */

/**
 * Create the status. A click deactivates a learner who can log in, activates a deactivated one, and explains an expired
 * one. Without the scope for changes, only the last of these.
 * @param {Learner} learner
 */
export function statusControl(learner) {
  const { id, status } = learner;
  const action = chooseAction(learner);
  if (action === null) return statusLabel(status);
  return h(
    "button",
    {
      type: "button",
      class: "status-control",
      title: t(`action.${action}`),
      "aria-label": t(`action.${action}.label`, { status: t(`status.${status}`), name: nameOf(learner) }),
      dataset: { key: `status-${id}` },
      onclick: () => (action === "activate" || action === "deactivate" ? applyAction(learner, action) : openExpiredDialog(learner)),
    },
    statusLabel(status),
  );
}

/** @param {Learner} learner */
function chooseAction({ status }) {
  const mayChange = may("learners:write");
  if (status === "expired") return mayChange ? "restore" : "explain";
  if (!mayChange) return null;
  return status === "deactivated" ? "activate" : "deactivate";
}

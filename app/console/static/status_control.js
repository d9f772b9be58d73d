// @ts-check
/** The status as a control: one click activates or deactivates, wherever a learner is shown. */
import { h } from "./dom.js";
import { nameOf, statusLabel } from "./learner.js";
import { act, explainExpired } from "./learner_actions.js";
import { t } from "./messages.js";
import { may } from "./session.js";

/**
 * The status, which a click changes: who may log in is deactivated, who is deactivated is activated, and who has
 * expired is explained. Without the scope for it, only the last of these.
 * @param {import("./learner.js").Learner} learner
 */
export function statusControl(learner) {
  const { id, status } = learner;
  const hasExpired = status === "expired";
  if (!hasExpired && !may("learners:write")) return statusLabel(status);
  const action = hasExpired ? "explain" : status === "deactivated" ? "activate" : "deactivate";
  return h(
    "button",
    {
      type: "button",
      class: "status-control",
      title: t(`learner.${action}`),
      "aria-label": t(`learner.${action}.label`, { status: t(`status.${status}`), name: nameOf(learner) }),
      dataset: { key: `status-${id}` },
      onclick: () => (action === "explain" ? explainExpired(learner) : act(learner, action)),
    },
    statusLabel(status),
  );
}

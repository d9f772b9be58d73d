// @ts-check
/** Revoking an API key, with a warning when it is the user's own or the last one for administration. */
import { pages, remove } from "../api/client.js";
import { isAborted, Problem } from "../api/problem.js";
import { signOut } from "../shell/session.js";
import { openDialog } from "../ui/dialog.js";
import { fill, h } from "../ui/dom.js";
import { form } from "../ui/form.js";
import { icon } from "../ui/icons.js";
import { toast } from "../ui/toast.js";
import { isOwn, isValid, PATH, timeOrNever } from "./api_key.js";
import { t } from "./messages.js";

/** @typedef {import("./api_key.js").ApiKey} ApiKey */

const KEYS_PER_PAGE = 1000;

/**
 * @param {ApiKey} key
 * @param {{onRevoked: (key: ApiKey) => void, returnTo: () => HTMLElement | null, leaving: AbortSignal}} options
 */
export function openRevokeDialog(key, { onRevoked, returnTo, leaving }) {
  const { name, prefix, scopes, last_used_at } = key;
  const warning = h("div");
  const submit = async () => {
    await remove(`${PATH}/${key.id}`);
    if (isOwn(key)) signOut();
    else onRevoked({ ...key, revoked_at: new Date().toISOString() });
    toast(t("revoked", { name }));
    dialog.close();
  };
  const actions = [
    h("button", { type: "button", onclick: () => dialog.close() }, t("cancel")),
    h("button", { type: "submit", class: "danger" }, t(isOwn(key) ? "revoke.own.submit" : "revoke.submit")),
  ];
  const dialog = openDialog({
    title: t("revoke.title", { name }),
    content: [
      h("p", {}, h("code", {}, `${prefix}…`), ` (${scopes.join(", ")})`),
      h("p", {}, t("last_used_at"), ": ", timeOrNever(last_used_at)),
      h("p", {}, t("revoke.effect")),
      warning,
      form(submit, h("div", { class: "actions" }, ...actions)),
    ],
    returnTo,
  });
  if (isOwn(key)) warn(warning, leaving);
}

/** Warn the user about revoking their own key. @param {HTMLElement} place @param {AbortSignal} signal */
async function warn(place, signal) {
  showWarning(place, t("revoke.own"));
  const isOtherAdmin = (/** @type {ApiKey} */ key) => isValid(key) && !isOwn(key) && key.scopes.includes("admin");
  try {
    for await (const keys of pages(PATH, { query: { limit: KEYS_PER_PAGE }, signal })) if (keys.some(isOtherAdmin)) return;
    showWarning(place, t("revoke.own"), t("revoke.last"));
  } catch (error) {
    if (!(error instanceof Problem || isAborted(error))) throw error; // revoking shows the problem
  }
}

/** @param {HTMLElement} place @param {...string} texts */
function showWarning(place, ...texts) {
  fill(place, h("div", { class: "notice error" }, icon("warning"), h("div", {}, ...texts.map((text) => h("p", {}, text)))));
}

// @ts-check
/** Everything around the views: signing in, the navigation, and the way from an address to its view. */
import { Problem } from "../api/problem.js";
import { languageChoice } from "../language/choice.js";
import { fill, h } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { toastRegion } from "../ui/toast.js";
import { addressOf, go, here, onMove } from "./location.js";
import { t } from "./messages.js";
import { may, onEnd, onRefresh, resume, signOut, whoAmI } from "./session.js";
import { SignInView } from "./sign_in.js";
import { View } from "./view.js";

/**
 * A view as main.js lists it.
 * @typedef {object} Entry
 * @property {string} path the first part of its address
 * @property {Parameters<typeof t>[0]} name the key of its name
 * @property {import("../api_keys/scopes.js").Scope[]} scopes any one of them is enough
 * @property {() => Promise<{default: typeof View}>} load
 */

const app = /** @type {HTMLElement} */ (document.getElementById("app"));

/** @type {Entry[]} */
let entries = [];
/** The view on the page, and its entry. @type {{entry: Entry, view: View} | null} */
let shown = null;

/** Start with the key stored in this tab, else with the sign-in page. @param {Entry[]} views */
export async function start(views) {
  entries = views;
  toastRegion();
  onEnd(showSignIn);
  onMove(show);
  onRefresh(showOrganizationName);
  // The first view and its data load while the key is checked.
  const loading = (views.find(({ path }) => path === here().path) ?? views[0])?.load();
  const resuming = resume();
  loading?.then(({ default: FirstView }) => FirstView.prefetch(here()));
  try {
    if (await resuming) showShell();
    else showSignIn(null);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    showSignIn(error);
  }
}

/** @param {Problem | null} problem the reason, if there is one */
function showSignIn(problem) {
  shown = null;
  document.title = t("product");
  // An open dialog would block the page behind it.
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
  fill(app, new SignInView(problem, showShell));
}

function showShell() {
  const main = h("main", { id: "main", tabindex: "-1" });
  fill(app, h("div", { class: "shell" }, skipLink(main), header(), h("div", { class: "frame" }, main)));
  show();
}

/** @param {HTMLElement} main */
function skipLink(main) {
  /** @param {Event} event */
  const skip = (event) => {
    event.preventDefault(); // the part after the # is the place
    main.focus();
  };
  return h("a", { class: "skip", href: "#main", onclick: skip }, t("skip"));
}

function header() {
  const { organization, actor } = whoAmI();
  return h(
    "header",
    { class: "top" },
    h("div", { class: "brand" }, icon("rollcall"), h("span", {}, h("b", {}, t("product")), h("bdi", { id: "organization" }, organization.name))),
    h(
      "nav",
      { "aria-label": t("nav") },
      ...visibleEntries().map(({ path, name }) => h("a", { href: addressOf(path), dataset: { path } }, t(name))),
    ),
    h(
      "div",
      { class: "account" },
      h("span", { title: t("account.key") }, h("bdi", {}, actor.name)),
      languageChoice(),
      h("button", { type: "button", class: "quiet", onclick: signOut }, t("account.sign_out")),
    ),
  );
}

function showOrganizationName() {
  const place = document.getElementById("organization");
  if (place !== null) fill(place, whoAmI().organization.name);
}

function visibleEntries() {
  return entries.filter(({ scopes }) => may(...scopes));
}

/** Show the view of the current place. */
async function show() {
  const main = document.getElementById("main");
  if (main === null) return; // not signed in
  const place = here();
  const visible = visibleEntries();
  const [first] = visible;
  if (first === undefined) {
    fill(main, h("h1", {}, t("nothing.title")), h("p", {}, t("nothing.detail")));
    return;
  }
  const entry = visible.find(({ path }) => path === place.path);
  if (entry === undefined) {
    go(first.path, {}, { replace: true });
    return;
  }
  if (shown?.entry !== entry) {
    const { default: ViewOfEntry } = await entry.load();
    if (here().path !== entry.path || !main.isConnected) return; // the user has moved on
    replaceView(main, entry, new ViewOfEntry());
  }
  shown?.view.show(here());
}

/** @param {HTMLElement} main @param {Entry} entry @param {View} view */
function replaceView(main, entry, view) {
  const isFirst = shown === null;
  shown = { entry, view };
  document.title = t("title", { view: t(entry.name), product: t("product") });
  for (const link of document.querySelectorAll("nav a")) {
    const isCurrent = link instanceof HTMLElement && link.dataset.path === entry.path;
    if (isCurrent) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  fill(main, view);
  if (!isFirst) main.focus({ preventScroll: true });
}

// @ts-check
/** What surrounds the views: signing in, the navigation that the scopes allow, and the way from place to view. */
import { Problem } from "./api.js";
import { fill, h } from "./dom.js";
import { icon } from "./icons.js";
import { languageChoice } from "./language.js";
import { addressOf, go, here, onMove } from "./location.js";
import { t } from "./messages.js";
import { may, onEnd, onRefresh, resume, signOut, whoAmI } from "./session.js";
import { region } from "./toast.js";
import { View } from "./view.js";
import { SignInView } from "./views/sign_in.js";

/**
 * A view as main.js names it.
 * @typedef {object} Entry
 * @property {string} path the first part of its address
 * @property {string} name the key of the message with its name
 * @property {string[]} scopes any one of them lets it be seen
 * @property {() => Promise<{default: typeof View}>} load
 */

const app = /** @type {HTMLElement} */ (document.getElementById("app"));

/** @type {Entry[]} */
let entries = [];
/** The view on the page, and its entry. @type {{entry: Entry, view: View} | null} */
let shown = null;

/** Begin: with the key that this tab has kept, else by asking for one. @param {Entry[]} views */
export async function start(views) {
  entries = views;
  region();
  onEnd(askForKey);
  onMove(show);
  onRefresh(nameOrganization);
  // The first view, and what it shows, come while the key is being checked.
  const loading = (views.find(({ path }) => path === here().path) ?? views[0])?.load();
  const resuming = resume();
  loading?.then(({ default: FirstView }) => FirstView.ahead(here()));
  try {
    if (await resuming) enter();
    else askForKey(null);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    askForKey(error);
  }
}

/** @param {Problem | null} problem why it has to be asked for again */
function askForKey(problem) {
  shown = null;
  document.title = t("product");
  // A dialog may stand open still, and it would keep the page behind it from being used.
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
  fill(app, new SignInView(problem, enter));
}

function enter() {
  const main = h("main", { id: "main", tabindex: "-1" });
  fill(app, h("div", { class: "shell" }, skipLink(main), header(), h("div", { class: "frame" }, main)));
  show();
}

/** @param {HTMLElement} main */
function skipLink(main) {
  /** @param {Event} event */
  const skip = (event) => {
    event.preventDefault(); // what follows the # is the place
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
      ...visible().map(({ path, name }) => h("a", { href: addressOf(path), dataset: { path } }, t(name))),
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

function nameOrganization() {
  const place = document.getElementById("organization");
  if (place !== null) fill(place, whoAmI().organization.name);
}

function visible() {
  return entries.filter(({ scopes }) => may(...scopes));
}

/** Show the view of the place where the reader is. */
async function show() {
  const main = document.getElementById("main");
  if (main === null) return; // nobody is signed in
  const place = here();
  const [first] = visible();
  if (first === undefined) {
    fill(main, h("h1", {}, t("nothing.title")), h("p", {}, t("nothing.detail")));
    return;
  }
  const entry = visible().find(({ path }) => path === place.path);
  if (entry === undefined) {
    go(first.path, {}, { replace: true });
    return;
  }
  if (shown?.entry !== entry) {
    const { default: ViewOfEntry } = await entry.load();
    if (here().path !== entry.path || !main.isConnected) return; // gone on while it was loading
    change(main, entry, new ViewOfEntry());
  }
  shown?.view.show(here());
}

/** @param {HTMLElement} main @param {Entry} entry @param {View} view */
function change(main, entry, view) {
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

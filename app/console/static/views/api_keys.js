// @ts-check
/** API keys: which there are, issuing and revoking them. */
import * as api from "../api.js";
import { fill, h } from "../dom.js";
import { openDialog } from "../dialog.js";
import { form } from "../form.js";
import { dayOf, instant } from "../format.js";
import { icon } from "../icons.js";
import { t } from "../messages.js";
import { problemNotice } from "../notice.js";
import { signOut, whoAmI } from "../session.js";
import { Table } from "../table.js";
import { toast } from "../toast.js";
import { View } from "../view.js";
import { askForNewKey } from "./new_api_key.js";

/**
 * A key as the API answers, without its secret.
 * @typedef {{id: string, name: string, prefix: string, scopes: string[], created_at: string, expires_at: string | null,
 *   last_used_at: string | null, revoked_at: string | null}} ApiKey
 */

const PATH = "/api-keys";

export default class ApiKeysView extends View {
  /** @type {string | null} */
  #cursor = null;

  problem = h("div");
  more = h("div", { class: "actions" });
  table = new Table({
    label: t("nav.api_keys"),
    columns: this.#columns(),
    keyOf: (/** @type {ApiKey} */ { id }) => id,
  });

  static ahead() {
    api.ahead(PATH);
  }

  connectedCallback() {
    const issue = () => askForNewKey(() => this.#load(null));
    fill(
      this,
      h(
        "div",
        { class: "heading" },
        h("h1", {}, t("nav.api_keys")),
        h("button", { type: "button", class: "primary", onclick: issue }, t("keys.new")),
      ),
      this.problem,
      this.table.element,
      this.more,
    );
    this.table.element.classList.add("keys");
    this.#load(null);
  }

  /** @param {string | null} cursor null = from the newest on */
  async #load(cursor) {
    this.table.busy(true);
    try {
      const page = await api.get(PATH, { query: { cursor }, signal: this.leaving });
      this.#cursor = page.next_cursor;
      this.table.show([...(cursor === null ? [] : this.table.items), ...page.items]);
      fill(this.problem);
      const showMore = () => this.#load(this.#cursor);
      fill(this.more, this.#cursor !== null && h("button", { type: "button", onclick: showMore }, t("keys.more")));
      if (cursor !== null) this.#nameOf(page.items[0])?.focus(); // the button that had the focus is another now, or gone
    } catch (error) {
      if (api.isAborted(error)) return;
      fill(this.problem, problemNotice(error, h("button", { type: "button", onclick: () => this.#load(cursor) }, t("try_again"))));
    } finally {
      this.table.busy(false);
    }
  }

  /** @returns {import("../table.js").Column<ApiKey>[]} */
  #columns() {
    return [
      { name: "name", title: t("keys.name"), isHeading: true, cell: nameCell },
      { name: "prefix", title: t("keys.prefix"), cell: ({ prefix }) => h("code", {}, `${prefix}…`) },
      { name: "scopes", title: t("keys.scopes"), cell: ({ scopes }) => h("ul", { class: "tags" }, ...scopes.map((scope) => h("li", {}, scope))) },
      { name: "created", title: t("keys.created_at"), cell: ({ created_at }) => h("time", { datetime: created_at }, dayOf(created_at)) },
      { name: "used", title: t("keys.last_used_at"), cell: ({ last_used_at }) => moment(last_used_at) },
      { name: "expires", title: t("keys.expires_at"), cell: endCell },
      {
        name: "revoke",
        title: h("span", { class: "unseen" }, t("keys.revoke")),
        cell: (key) =>
          isValid(key) &&
          h(
            "button",
            { type: "button", class: "quiet", "aria-label": t("keys.revoke.label", { name: key.name }), onclick: () => this.#askToRevoke(key) },
            t("keys.revoke"),
          ),
      },
    ];
  }

  /** @param {ApiKey} key @returns {HTMLElement | null} */
  #nameOf({ id }) {
    return this.querySelector(`[data-key="key-${CSS.escape(id)}"]`);
  }

  /** @param {ApiKey} key */
  #askToRevoke(key) {
    const { name, prefix, scopes, last_used_at } = key;
    const warning = h("div");
    const dialog = openDialog({
      title: t("keys.revoke.title", { name }),
      content: [
        h("p", {}, h("code", {}, `${prefix}…`), ` (${scopes.join(", ")})`),
        h("p", {}, t("keys.last_used_at"), ": ", moment(last_used_at)),
        h("p", {}, t("keys.revoke.effect")),
        warning,
        form(
          async () => {
            await this.#revoke(key);
            dialog.close();
          },
          h(
            "div",
            { class: "actions" },
            h("button", { type: "button", onclick: () => dialog.close() }, t("cancel")),
            h("button", { type: "submit", class: "danger" }, t(isOwn(key) ? "keys.revoke.own.submit" : "keys.revoke.submit")),
          ),
        ),
      ],
      returnTo: () => this.#nameOf(key),
    });
    if (isOwn(key)) this.#warn(warning);
  }

  /** What becomes of whoever revokes the key with which they are here. @param {HTMLElement} place */
  async #warn(place) {
    const say = (/** @type {string[]} */ ...keys) =>
      fill(place, h("div", { class: "notice error" }, icon("warning"), h("div", {}, ...keys.map((key) => h("p", {}, t(key))))));
    say("keys.revoke.own");
    const other = (/** @type {ApiKey} */ key) => isValid(key) && !isOwn(key) && key.scopes.includes("admin");
    try {
      for await (const items of api.pages(PATH, { query: { limit: 1000 }, signal: this.leaving })) if (items.some(other)) return;
      say("keys.revoke.own", "keys.revoke.last");
    } catch (error) {
      if (!(error instanceof api.Problem || api.isAborted(error))) throw error; // revoking will say it
    }
  }

  /** @param {ApiKey} key */
  async #revoke(key) {
    await api.remove(`${PATH}/${key.id}`);
    if (isOwn(key)) signOut();
    else this.table.update({ ...key, revoked_at: new Date().toISOString() });
    toast(t("keys.revoked", { name: key.name }));
  }
}

/** @param {ApiKey} key */
function isOwn({ id }) {
  return whoAmI().actor.id === id;
}

/** @param {ApiKey} key */
function hasExpired({ expires_at }) {
  return expires_at !== null && Date.parse(expires_at) <= Date.now();
}

/** @param {ApiKey} key */
function isValid(key) {
  return key.revoked_at === null && !hasExpired(key);
}

/** @param {ApiKey} key */
function nameCell(key) {
  return [
    h("bdi", { tabindex: "-1", class: isValid(key) ? "" : "faint", dataset: { key: `key-${key.id}` } }, key.name),
    isOwn(key) && h("span", { class: "tag" }, t("keys.own")),
  ];
}

/** @param {ApiKey} key */
function endCell(key) {
  const { expires_at, revoked_at } = key;
  if (revoked_at !== null) return h("span", { class: "ended" }, t("keys.revoked_at", { date: dayOf(revoked_at) }));
  if (hasExpired(key)) return h("span", { class: "ended" }, t("keys.expired_at", { date: dayOf(expires_at ?? "") }));
  return moment(expires_at);
}

/** @param {string | null} at null = never */
function moment(at) {
  return at === null ? h("span", { class: "faint" }, t("never")) : h("time", { datetime: at }, instant(at));
}

customElements.define("api-keys-view", ApiKeysView);

// @ts-check
/** API keys: the list, with the ways to create and revoke them. */
import * as api from "../api/client.js";
import { isAborted } from "../api/problem.js";
import { formatDay } from "../language/format.js";
import { View } from "../shell/view.js";
import { fill, h } from "../ui/dom.js";
import { problemNotice, tryAgainButton } from "../ui/notice.js";
import { Table } from "../ui/table.js";
import { hasExpired, isOwn, isValid, PATH, timeOrNever } from "./api_key.js";
import { openNewKeyDialog } from "./form.js";
import { t } from "./messages.js";
import { openRevokeDialog } from "./revoke_dialog.js";

/** @typedef {import("./api_key.js").ApiKey} ApiKey */

export default class ApiKeysView extends View {
  problem = h("div");
  more = h("div", { class: "actions" });
  /** @type {Table<ApiKey>} */
  table = new Table({
    label: t("nav.api_keys"),
    columns: [
      { name: "name", title: t("name"), isHeading: true, cell: nameCell },
      { name: "prefix", title: t("prefix"), cell: ({ prefix }) => h("code", {}, `${prefix}…`) },
      { name: "scopes", title: t("scopes"), cell: ({ scopes }) => h("ul", { class: "tags" }, ...scopes.map((scope) => h("li", {}, scope))) },
      { name: "created", title: t("created_at"), cell: ({ created_at }) => h("time", { datetime: created_at }, formatDay(created_at)) },
      { name: "used", title: t("last_used_at"), cell: ({ last_used_at }) => timeOrNever(last_used_at) },
      { name: "expires", title: t("expires_at"), cell: endCell },
      { name: "revoke", title: h("span", { class: "unseen" }, t("revoke")), cell: (key) => this.#revokeCell(key) },
    ],
    keyOf: ({ id }) => id,
  });

  static prefetch() {
    api.prefetch(PATH);
  }

  connectedCallback() {
    const create = () => openNewKeyDialog(() => this.#load(null));
    fill(
      this,
      h(
        "div",
        { class: "heading" },
        h("h1", {}, t("nav.api_keys")),
        h("button", { type: "button", class: "primary", onclick: create }, t("new")),
      ),
      this.problem,
      this.table.element,
      this.more,
    );
    this.table.element.classList.add("keys");
    this.#load(null);
  }

  /** @param {string | null} cursor null = the newest */
  async #load(cursor) {
    this.table.setBusy(true);
    try {
      const { items, next_cursor } = await api.get(PATH, { query: { cursor }, signal: this.leaving });
      this.table.show([...(cursor === null ? [] : this.table.items), ...items]);
      fill(this.problem);
      const showMore = () => this.#load(next_cursor);
      fill(this.more, next_cursor !== null && h("button", { type: "button", onclick: showMore }, t("show_older")));
      if (cursor !== null) this.#findName(items[0])?.focus(); // the button that had the focus is gone
    } catch (error) {
      if (isAborted(error)) return;
      fill(this.problem, problemNotice(error, tryAgainButton(() => this.#load(cursor))));
    } finally {
      this.table.setBusy(false);
    }
  }

  /** @param {ApiKey} key */
  #revokeCell(key) {
    const revoke = () =>
      openRevokeDialog(key, {
        onRevoked: (revoked) => this.table.update(revoked),
        returnTo: () => this.#findName(key),
        leaving: this.leaving,
      });
    const attributes = { type: "button", class: "quiet", "aria-label": t("revoke.label", { name: key.name }), onclick: revoke };
    return isValid(key) && h("button", attributes, t("revoke"));
  }

  /** @param {ApiKey} key @returns {HTMLElement | null} */
  #findName({ id }) {
    return this.querySelector(`[data-key="key-${CSS.escape(id)}"]`);
  }
}

/** @param {ApiKey} key */
function nameCell(key) {
  return [
    h("bdi", { tabindex: "-1", class: isValid(key) ? "" : "faint", dataset: { key: `key-${key.id}` } }, key.name),
    isOwn(key) && h("span", { class: "tag" }, t("own")),
  ];
}

/** @param {ApiKey} key */
function endCell(key) {
  const { expires_at, revoked_at } = key;
  if (revoked_at !== null) return h("span", { class: "ended" }, t("revoked_at", { date: formatDay(revoked_at) }));
  if (expires_at !== null && hasExpired(key)) return h("span", { class: "ended" }, t("expired_at", { date: formatDay(expires_at) }));
  return timeOrNever(expires_at);
}

customElements.define("api-keys-view", ApiKeysView);

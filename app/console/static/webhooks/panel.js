// @ts-check
/** One webhook in the side panel: its details, its actions and its deliveries. */
import * as api from "../api/client.js";
import { isAborted } from "../api/problem.js";
import { formatInstant } from "../language/format.js";
import { confirmDialog } from "../ui/dialog.js";
import { fill, h, keepFocus } from "../ui/dom.js";
import { problemNotice } from "../ui/notice.js";
import { showSecret } from "../ui/secret_dialog.js";
import { toast, toastProblem } from "../ui/toast.js";
import { DeliveryList } from "./delivery_list.js";
import { openEditDialog } from "./form.js";
import { t } from "./messages.js";
import { eventTypesLabel, PATH, stateLabel } from "./webhook.js";

/** @typedef {import("./webhook.js").Webhook} Webhook */

export class WebhookPanel extends HTMLElement {
  #leaving = new AbortController();
  #path;
  #setTitle;
  #onChange;
  #onRemoved;
  #controls = h("div", { class: "actions" });
  #details = h("dl", { class: "facts" });
  #deliveries;

  /**
   * @param {string} id
   * @param {object} options
   * @param {import("../ui/panel.js").SetTitle} options.setTitle
   * @param {(webhook: Webhook) => void} options.onChange
   * @param {() => void} options.onRemoved
   */
  constructor(id, { setTitle, onChange, onRemoved }) {
    super();
    this.#path = `${PATH}/${encodeURIComponent(id)}`;
    this.#setTitle = setTitle;
    this.#onChange = onChange;
    this.#onRemoved = onRemoved;
    this.#deliveries = new DeliveryList(this.#path, {
      signal: this.#leaving.signal,
      run: (run) => this.#run(run),
      onRefresh: () => this.#reload(),
    });
  }

  disconnectedCallback() {
    this.#leaving.abort();
  }

  /** Fill the panel, once it is on the page. */
  async start() {
    fill(this, this.#controls, this.#details, this.#deliveries.element);
    try {
      await this.#reload();
    } catch (error) {
      if (isAborted(error)) return;
      this.#setTitle(t("nav.webhooks"));
      fill(this, problemNotice(error));
    }
  }

  async #reload() {
    const loading = api.get(this.#path, { signal: this.#leaving.signal });
    const [webhook] = await Promise.all([loading, this.#deliveries.load()]);
    this.#show(webhook);
  }

  /** @param {Webhook} webhook */
  #show(webhook) {
    this.#draw(webhook);
    this.#onChange(webhook);
  }

  /** @param {Webhook} webhook */
  #draw(webhook) {
    const { url, description, last_delivered_at, created_at } = webhook;
    this.#setTitle(h("bdi", {}, url));
    fill(
      this.#details,
      fact(t("state"), stateLabel(webhook)),
      description && fact(t("description"), h("bdi", {}, description)),
      fact(t("event_types"), eventTypesLabel(webhook)),
      fact(t("last_delivered_at"), last_delivered_at ? formatInstant(last_delivered_at) : t("never")),
      fact(t("created_at"), formatInstant(created_at)),
    );
    const button = (/** @type {string} */ key, /** @type {string} */ label, /** @type {() => void} */ run) =>
      h("button", { type: "button", onclick: run, dataset: { key } }, label);
    keepFocus(this.#controls, () =>
      fill(
        this.#controls,
        button("test", t("test"), () => this.#run(() => this.#test())),
        button("edit", t("edit"), () => openEditDialog(webhook, (saved) => this.#show(saved))),
        button("toggle", t(webhook.enabled ? "disable" : "enable"), () => this.#run(() => this.#toggle(webhook))),
        button("rotate", t("rotate"), () => this.#askToRotate()),
        button("remove", t("remove"), () => this.#askToRemove()),
      ),
    );
  }

  /** Run it and show its problem. @param {() => Promise<any>} run */
  async #run(run) {
    try {
      await run();
    } catch (error) {
      if (!isAborted(error)) toastProblem(error);
    }
  }

  async #test() {
    const { body } = await api.post(`${this.#path}/test`, { signal: this.#leaving.signal });
    const isError = body.state !== "delivered";
    toast(isError ? `${t("test.failed")} ${body.error}` : t("test.delivered"), { isError });
    await this.#reload();
  }

  /** @param {Webhook} webhook */
  async #toggle({ enabled }) {
    const { body } = await api.patch(this.#path, { body: { enabled: !enabled } });
    this.#show(body);
    toast(t(enabled ? "disable.done" : "enable.done"));
  }

  #askToRotate() {
    const rotate = async () => {
      const { body } = await api.post(`${this.#path}/rotate-secret`);
      showSecret(t("rotate.done"), body.secret, t("secret.warning"));
    };
    confirmDialog({ title: t("rotate.title"), text: t("rotate.effect"), submit: t("rotate") }, () => this.#run(rotate));
  }

  #askToRemove() {
    const remove = async () => {
      await api.remove(this.#path);
      toast(t("remove.done"));
      this.#onRemoved();
    };
    confirmDialog({ title: t("remove.title"), text: t("remove.effect"), submit: t("remove") }, () => this.#run(remove));
  }
}

/** @param {string} name @param {import("../ui/dom.js").Child} value */
function fact(name, value) {
  return h("div", {}, h("dt", {}, name), h("dd", {}, value));
}

customElements.define("webhook-panel", WebhookPanel);

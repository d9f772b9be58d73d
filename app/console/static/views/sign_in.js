// @ts-check
/** Signing in with an API key. */
import { fill, h } from "../dom.js";
import { field, fieldProblem, form } from "../form.js";
import { icon } from "../icons.js";
import { languageChoice } from "../language.js";
import { t } from "../messages.js";
import { problemNotice } from "../notice.js";
import { signIn } from "../session.js";
import { View } from "../view.js";

export class SignInView extends View {
  /**
   * @param {import("../api.js").Problem | null} problem why the key is asked for again
   * @param {() => void} onSignedIn
   */
  constructor(problem, onSignedIn) {
    super();
    this.problem = problem;
    this.onSignedIn = onSignedIn;
  }

  connectedCallback() {
    const attributes = {
      type: "password",
      required: true,
      autocomplete: "current-password",
      autocapitalize: "off",
      spellcheck: "false",
      placeholder: "rollcall_…",
    };
    const asking = form(
      (values) => this.#signIn(String(values.get("key")).trim()),
      field({ name: "key", label: t("sign_in.key"), hint: t("sign_in.hint"), attributes }),
      h("button", { type: "submit", class: "primary" }, t("sign_in.submit")),
    );
    fill(
      this,
      h(
        "main",
        { class: "sign-in" },
        icon("rollcall"),
        h("h1", {}, t("sign_in.title")),
        this.problem && problemNotice(this.problem),
        asking,
        languageChoice(),
      ),
    );
    asking.querySelector("input")?.focus();
  }

  /** @param {string} key */
  async #signIn(key) {
    this.querySelector(".sign-in > .notice")?.remove();
    if (!key) throw fieldProblem("key", t("sign_in.missing.title"), t("sign_in.missing"));
    await signIn(key);
    this.onSignedIn();
  }
}

customElements.define("sign-in-view", SignInView);

// @ts-check
/** The sign-in page, which asks for an API key. */
import { languageChoice } from "../language/choice.js";
import { fill, h } from "../ui/dom.js";
import { field, fieldProblem, form, submitButton } from "../ui/form.js";
import { icon } from "../ui/icons.js";
import { problemNotice } from "../ui/notice.js";
import { t } from "./messages.js";
import { signIn } from "./session.js";
import { View } from "./view.js";

export class SignInView extends View {
  /**
   * @param {import("../api/problem.js").Problem | null} problem that ended the session
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
    const question = form(
      (values) => this.#signIn(String(values.get("key")).trim()),
      field({ name: "key", label: t("sign_in.key"), hint: t("sign_in.hint"), attributes }),
      submitButton(t("sign_in.submit")),
    );
    fill(
      this,
      h(
        "main",
        { class: "sign-in" },
        icon("rollcall"),
        h("h1", {}, t("sign_in.title")),
        this.problem && problemNotice(this.problem),
        question,
        languageChoice(),
      ),
    );
    question.querySelector("input")?.focus();
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

// @ts-check
/** The warnings of an operation. */
import { h } from "../ui/dom.js";
import { t } from "./messages.js";

/** @param {import("./operation.js").Operation} operation */
export function warningsNotice({ warnings }) {
  const items = warnings.map(({ detail }) => h("li", {}, detail));
  const content = [h("strong", {}, t("operation.warnings")), h("ul", { lang: "en" }, ...items)];
  return items.length > 0 && h("div", { class: "notice" }, h("div", {}, ...content));
}

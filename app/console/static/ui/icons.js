// @ts-check
/** The icons, drawn from the symbols in index.html. They are decoration: words beside them say the same. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * @typedef {"active" | "activated" | "deactivated" | "expired" | "rollcall" | "search" | "close" | "up" | "down" | "both"
 *   | "warning" | "left" | "right"} IconName
 */

/** @param {IconName} name */
export function icon(name) {
  const image = document.createElementNS(SVG, "svg");
  image.setAttribute("class", `icon icon-${name}`);
  image.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#icon-${name}`);
  image.append(use);
  return image;
}

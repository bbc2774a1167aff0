// Making elements. Text enters the page only as text nodes, so nothing that a person or a file name
// says is ever read as HTML; the one exception is the model card, which the server has checked.

import { isForeign, isSource, t, translated } from "./language.js";

const SVG = "http://www.w3.org/2000/svg";

/**
 * One element.
 *
 * Keys of `properties`: `class`, `data` (data attributes), a property of the element (listeners such as
 * `onclick` included), or else an attribute. Children are elements, strings, numbers, or nothing at all.
 */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") element.className = value;
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name in element && !name.startsWith("aria") && name !== "role" && name !== "list") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
    if (isForeign(value)) element.lang = "en";
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false).map(marked));
  return element;
}

/** A text as it is; one that the catalogue lacks is marked as English. */
const marked = (child) => (isForeign(child) && child ? make("span", { lang: "en", dir: "ltr" }, document.createTextNode(child)) : child);

/** A text of the server in this language; marked as English where the catalogue does not have it. */
export function spoken(text, shape = (found) => found) {
  const found = translated(text);
  return found === null ? english(shape(text)) : shape(found);
}

/** A text that exists in English only. */
export const english = (text) => (isSource() ? text : make("span", { lang: "en", dir: "ltr" }, text));

/** A name that a person gave, in its own direction. */
export const named = (text) => make("bdi", {}, text);

/** A drawing of the page's own set; a screen reader skips it and reads the word beside it. */
export function icon(name) {
  const drawing = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#icon-${name}`);
  drawing.setAttribute("class", "icon");
  drawing.setAttribute("aria-hidden", "true");
  drawing.append(use);
  return drawing;
}

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/** Say something to a screen reader without moving the focus. */
export function announce(text) {
  byId("live").textContent = text;
}

let count = 0;

/** An id that no other element has. */
export const freshId = (stem) => `${stem}-${++count}`;

/** A card with a heading; a region of the page where the heading has an id. */
export const card = (heading, kind, ...children) =>
  make("section", { class: `card ${kind}`.trim(), "aria-labelledby": heading.id || undefined }, heading, ...children);

/** A paragraph; without a class if none is given. */
export const p = (text, kind) => make("p", { class: kind }, text);

/** A button that does `run`. */
export const button = (properties, run, ...children) =>
  make("button", { type: "button", onclick: run, ...properties }, ...children);

/** A control with its label above it. */
export const field = (label, control, kind = "") =>
  make("label", { class: `field ${kind}`.trim() }, make("span", {}, label), control);

/** A list to choose from; `options` are pairs of value and text. */
export const select = (properties, options) =>
  make("select", properties, ...options.map(([value, text]) => make("option", { value }, text)));

/** A row of a table: cells of one kind, the first a row header where `header` says so. */
export const row = (properties, ...cells) => make("tr", properties, ...cells);
export const head = (names, isNumber = () => false) =>
  row({}, ...names.map((name, at) => make("th", { scope: "col", class: isNumber(name, at) ? "number" : undefined }, name)));
export const rowHeader = (...children) => make("th", { scope: "row" }, ...children);
export const number = (text) => make("td", { class: "number" }, text);

/** A table that scrolls sideways where it is too wide; `kind` is its look. */
export const scrolling = (name, table, kind = "scroll") =>
  make("div", { class: kind, tabIndex: 0, role: "group", "aria-label": name }, table);

/** A list of facts, and one of them: a term and its value. */
export const facts = (...children) => make("dl", { class: "facts" }, ...children);
export const fact = (term, ...value) => make("div", { class: "fact" }, make("dt", {}, term), make("dd", {}, ...value));

/** An identifier or hash. */
export const code = (text) => make("code", {}, text);

/** The mark of a malignant diagnosis: word, icon and colour. */
export const malignantTag = () => make("span", { class: "tag malignant" }, icon("malignant"), t("diagnosis.malignant_tag"));

/** A share as a length; the number beside it tells a screen reader the same. */
export function bar(share, malignant) {
  const fill = make("span", { class: malignant ? "fill malignant" : "fill" });
  fill.style.width = `${100 * share}%`;
  return make("span", { class: "bar", "aria-hidden": "true" }, fill);
}

/** Hand a blob to the browser's downloads. */
export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = make("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

// Making elements. Text enters the page only as text nodes, so nothing that a person or a file
// name says is ever read as HTML.

const SVG = "http://www.w3.org/2000/svg";

/**
 * One element.
 *
 * Keys of `properties`: `class`, `on` (listeners by event), `data` (data attributes), a property of
 * the element, or else an attribute. Children are elements, strings, numbers, or nothing at all.
 */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") element.className = value;
    else if (name === "on") for (const [event, run] of Object.entries(value)) element.addEventListener(event, run);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name in element && !name.startsWith("aria") && name !== "role" && name !== "list") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A drawing of the page's own set; it says nothing to a screen reader, the word beside it does. */
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

let made = 0;

/** An id that no other element has. */
export const freshId = (stem) => `${stem}-${++made}`;

/** Hand a blob to the browser's downloads. */
export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = make("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** A table row of a fact: a term and its value. */
export const fact = (term, ...value) => make("div", { class: "fact" }, make("dt", {}, term), make("dd", {}, ...value));

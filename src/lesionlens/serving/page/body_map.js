// A body, front and back, on which a site is chosen with a mouse, a finger or the arrow keys. The list beside it has the
// same sites, and those that are no place on a drawing.

import { choiceName } from "./format.js";
import { t } from "./language.js";

/** Sites as HAM10000 names them; `core.metadata.SITES` in Python, and a test compares them. */
export const SITES = [
  "abdomen", "acral", "back", "chest", "ear", "face", "foot", "genital", "hand", "head/neck", "lower extremity", "neck",
  "scalp", "trunk", "upper extremity",
];

const SVG = "http://www.w3.org/2000/svg";
const LIMB = "upper extremity";
const LEG = "lower extremity";
// Shapes of a figure 100 wide and 240 high, from the top down: the order of the arrow keys.
const HEAD = { scalp: ["M38 22a12 15 0 0 1 24 0Z"], ear: ["M38 22a4 5 0 1 0 0 9Z", "M62 22a4 5 0 1 1 0 9Z"] };
const LIMBS = {
  [LIMB]: ["M30 57 20 62 14 104 23 106 32 72Z", "M70 57 80 62 86 104 77 106 68 72Z"],
  hand: ["M14 104 23 106 22 122 12 120Z", "M86 104 77 106 78 122 88 120Z"],
  [LEG]: ["M33 128 49 136 48 212 37 212Z", "M67 128 51 136 52 212 63 212Z"],
  foot: ["M37 212h11v10l-18 4v-6Z", "M63 212h-11v10l18 4v-6Z"],
};
const FRONT = {
  ...HEAD,
  face: ["M38 22h24v12q-4 12-12 12t-12-12Z"],
  neck: ["M44 46h12v8h-12Z"],
  chest: ["M32 54h36l-1 30h-34Z"],
  abdomen: ["M33 84h34l-1 34h-32Z"],
  genital: ["M34 118h32l1 10-17 8-17-8Z"],
  ...LIMBS,
};
const BACK = {
  scalp: ["M38 22a12 15 0 0 1 24 0v10q-3 10-12 10t-12-10Z"],
  neck: ["M44 44h12v10h-12Z"],
  back: ["M32 54h36l-1 74-17 8-17-8Z"],
  ...LIMBS,
};
const FIGURES = { front: FRONT, back: BACK };
const STEPS = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 };

function draw(tag, properties, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(properties)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/**
 * The map as an element; `chosen` is called with a site, or an empty text when it is chosen again and so taken back.
 * Its `show(site)` marks a site that was chosen elsewhere.
 */
export function bodyMap(chosen) {
  const parts = [];
  let current = "";
  const show = (site) => {
    current = site;
    for (const part of parts) part.setAttribute("aria-checked", String(part.dataset.site === site));
    const stop = parts.find((part) => part.dataset.site === site) ?? parts[0];
    for (const part of parts) part.setAttribute("tabindex", part === stop ? "0" : "-1");
  };
  const choose = (part) => {
    show(part.dataset.site === current ? "" : part.dataset.site);
    chosen(current);
  };
  const move = (event, part) => {
    const step = STEPS[event.key];
    if (event.key === "Enter" || event.key === " ") choose(part);
    else if (step) parts[(parts.indexOf(part) + step + parts.length) % parts.length].focus();
    else return;
    event.preventDefault();
  };
  const region = (view, [site, shapes]) => {
    const name = t(`body.${view}`, { site: choiceName(site) });
    const part = draw("g", { role: "radio", "aria-label": name, "aria-checked": "false", class: "region" });
    part.append(draw("title", {}, name), ...shapes.map((d) => draw("path", { d })));
    part.dataset.site = site;
    part.addEventListener("click", () => choose(part));
    part.addEventListener("keydown", (event) => move(event, part));
    parts.push(part);
    return part;
  };
  const figures = Object.entries(FIGURES).map(([view, regions], at) =>
    draw("g", { transform: `translate(${100 * at} 0)` }, ...Object.entries(regions).map((each) => region(view, each)), label(view)),
  );
  const element = draw("svg", { viewBox: "8 4 184 234", class: "body-map", role: "radiogroup", "aria-label": t("body.title") });
  element.append(...figures);
  show("");
  return Object.assign(element, { show });
}

const label = (view) => draw("text", { x: 50, y: 236, "text-anchor": "middle", "aria-hidden": "true" }, t(`body.${view}.label`));

// Places of the page that are drawn again when another language is chosen, with what a person has typed and opened in them.

import { byId, make } from "./dom.js";
import { NAMES, choose, isForeign, isSource, language, onLanguage, t } from "./language.js";

const draws = new WeakMap(); // how the content of a place is made
let places = [];

/** Put what `draw` returns into a place, now and whenever another language is chosen. */
export function fill(place, draw) {
  if (!draws.has(place)) places.push(new WeakRef(place));
  draws.set(place, draw);
  place.replaceChildren(...[draw()].flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return place;
}

/** A place of its own for such content. */
export const drawn = (tag, properties, draw) => fill(make(tag, properties), draw);

/** The fixed texts of the page, the menu of languages, and all places from now on. */
export function watchLanguage() {
  const menu = byId("language");
  menu.append(...Object.entries(NAMES).map(([tag, name]) => make("option", { value: tag, lang: tag }, name)));
  menu.onchange = () => choose(menu.value).catch(() => (menu.value = language().tag));
  onLanguage(redraw);
  redraw();
}

function redraw() {
  for (const element of document.querySelectorAll("[data-text], [data-label]")) fixed(element);
  byId("language").value = language().tag;
  const notice = byId("translation");
  notice.hidden = isSource() || Boolean(language().reviewed_by);
  notice.textContent = t("translation.unread");
  places = places.filter((reference) => reference.deref());
  for (const reference of [...places]) {
    const place = reference.deref();
    if (!place?.isConnected) continue;
    const putBack = kept(place);
    fill(place, draws.get(place));
    putBack();
  }
}

function fixed(element) {
  const { text, label } = element.dataset;
  if (text) element.textContent = t(text);
  if (label) element.setAttribute("aria-label", t(label));
  if (isForeign(t(text ?? label))) element.lang = "en";
  else element.removeAttribute("lang");
}

/** Remember what is typed, chosen and unfolded in a place; returns what puts it back. */
function kept(place) {
  const controls = () => [...place.querySelectorAll("input:not([type=file]), select, textarea, details")];
  const of = (control) => (control.tagName === "DETAILS" ? "open" : "value");
  const before = controls().map((control) => control[of(control)]);
  return () => {
    const after = controls();
    if (after.length !== before.length) return;
    after.forEach((control, at) => {
      if (control[of(control)] === before[at]) return;
      control[of(control)] = before[at];
      if (of(control) === "value") control.dispatchEvent(new Event("change")); // what follows it, such as the body map
    });
  };
}

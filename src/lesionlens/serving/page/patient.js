// What the page asks of the patient, where the model takes it. Every field may stay empty; what was missing is said
// beside the prediction.

import { announce, button, byId, field, make, select } from "./dom.js";
import { choiceName, listed } from "./format.js";
import { isSource, isolated, t } from "./language.js";
import { fill } from "./redraw.js";

const OLDEST = 120;

/** Show the fields that the model takes (`metadata` of /v1/model); nothing where it takes none. */
export function showPatient(info) {
  const place = byId("patient");
  if (!place) return;
  place.hidden = !info;
  if (!info || place.dataset.fields === info.fields.join()) return; // what was typed stays when the server comes back
  place.dataset.fields = info.fields.join();
  fill(place, () => [
    make("legend", {}, t("patient.title")),
    make("div", { class: "patient-fields" }, ...info.fields.filter((name) => !isAsked(name)).map((name) => field(label(name), control(name, info.choices[name])))),
    make("p", { class: "sub" }, t("patient.note")),
    button({ class: "quiet", id: "patient-clear" }, () => clearPatient(true), t("patient.clear")),
  ]);
}

/** The values as they stand, without the empty ones. */
export function patient() {
  const controls = [...document.querySelectorAll("#patient [name], #subject [name]")];
  return Object.fromEntries(controls.filter(({ value }) => value.trim()).map(({ name, value }) => [name, value.trim()]));
}

/** Forget the patient, before another one. */
export function clearPatient(said = false) {
  for (const each of document.querySelectorAll("#patient [name], #subject [name]")) {
    each.value = "";
    each.dispatchEvent(new Event("change")); // the body map follows its list
  }
  if (said) announce(t("patient.empty"));
}

/** What a prediction was told of the patient and what was missing, in one sentence; empty where the model takes nothing. */
export function toldOf(metadata) {
  if (!metadata) return "";
  const field = (name) => t(`patient.${name}.in_sentence`);
  const used = Object.entries(metadata.used).map(([name, value]) => `${field(name)} ${typeof value === "number" ? isolated(value) : isSource() ? value : choiceName(value)}`);
  const missing = metadata.missing.length ? t("patient.missing", { fields: listed(metadata.missing.map(field)) }) : "";
  return [used.length ? t("patient.used", { facts: listed(used) }) : t("patient.unknown"), missing].filter(Boolean).join(" ");
}

/** Whether the form of case and lesion asks for it already, as for the site. */
const isAsked = (name) => Boolean(byId("subject")) && name === "site";

const label = (name) => t(`patient.${name}`);

function control(name, choices) {
  if (!choices) return make("input", { name, type: "number", min: 0, max: OLDEST, step: "any", inputMode: "decimal" });
  return select({ name }, [["", t("word.not_given")], ...choices.map((value) => [value, choiceName(value)])]);
}

// What the page asks of the patient, where the model takes it. Every field may stay empty; what was missing is said
// beside the prediction.

import { announce, button, byId, field, make, select } from "./dom.js";
import { words } from "./format.js";

const OLDEST = 120;
const NOTE = "For the images that are added next. An empty field counts as unknown.";

/** Show the fields that the model takes (`metadata` of /v1/model); nothing where it takes none. */
export function showPatient(info) {
  const place = byId("patient");
  if (!place) return;
  place.hidden = !info;
  if (!info || place.dataset.fields === info.fields.join()) return; // what was typed stays when the server comes back
  place.dataset.fields = info.fields.join();
  place.replaceChildren(
    make("legend", {}, "Patient (optional)"),
    make("div", { class: "patient-fields" }, ...info.fields.filter((name) => !isAsked(name)).map((name) => field(label(name), control(name, info.choices[name])))),
    make("p", { class: "sub" }, NOTE),
    button({ class: "quiet", id: "patient-clear" }, () => clearPatient(true), "Clear patient"),
  );
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
  if (said) announce("The patient's fields are empty.");
}

/** What a prediction was told of the patient and what was missing, in one sentence; empty where the model takes nothing. */
export function toldOf(metadata) {
  if (!metadata) return "";
  const used = Object.entries(metadata.used).map(([name, value]) => `${name} ${value}`);
  const missing = metadata.missing.length ? `Not given: ${metadata.missing.join(", ")}.` : "";
  return [used.length ? `Patient: ${used.join(", ")}.` : "Nothing was known of the patient.", missing].filter(Boolean).join(" ");
}

/** Whether the form of case and lesion asks for it already, as for the site. */
const isAsked = (name) => Boolean(byId("subject")) && name === "site";

const label = (name) => (name === "age" ? "Age, years" : words(name));

function control(name, choices) {
  if (!choices) return make("input", { name, type: "number", min: 0, max: OLDEST, step: "any", inputMode: "decimal" });
  return select({ name }, [["", "Not given"], ...choices.map((value) => [value, words(value)])]);
}

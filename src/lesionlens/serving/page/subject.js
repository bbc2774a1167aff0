// What the images show that are added next: case, lesion, site and day, by pseudonyms.

import { announce, button, byId, field, make, select } from "./dom.js";
import { SITES, bodyMap } from "./body_map.js";
import { callJson } from "./api.js";
import { words } from "./format.js";
import { problemNotice } from "./notices.js";
import { clearPatient } from "./patient.js";
import { lesionLink } from "./worklist.js";

const PSEUDONYM = "[0-9A-Za-z][0-9A-Za-z._\\-]{0,63}";
const RULE = "1 to 64 letters, digits, . _ or -; a pseudonym, never a name or a date of birth";
const NOTE = "For the images that are added next. Use pseudonyms, never names or dates of birth; all fields may stay empty.";

/** Show the fields, once. */
export function showSubject() {
  const place = byId("subject");
  if (place.childElementCount) return;
  const text = (name) => make("input", { name, maxLength: 64, pattern: PSEUDONYM, title: RULE, autocomplete: "off", spellcheck: false });
  const site = siteField("site");
  place.replaceChildren(
    make("legend", { class: "unseen" }, "Case and lesion (optional)"),
    make("div", { class: "patient-fields" }, field("Case", text("case")), field("Lesion", text("lesion")), site.list, field("Photographed on", make("input", { name: "taken", type: "date" }))),
    site.map,
    make("p", { class: "sub" }, NOTE),
    button({ class: "quiet", id: "subject-clear" }, () => clearPatient(true), "Clear case and patient"),
  );
}

/** The list of sites and the body map that choose the same; both as elements, the map behind a summary. */
export function siteField(name, value = "") {
  const list = select({ name }, [["", "Not given"], ...SITES.map((site) => [site, words(site)])]);
  list.value = value;
  const drawing = bodyMap((site) => {
    list.value = site;
    announce(site ? `Site: ${words(site)}.` : "No site.");
  });
  list.onchange = () => drawing.show(list.value);
  drawing.show(value);
  return { list: field("Site", list), map: make("details", { class: "body" }, make("summary", {}, "Body map"), drawing) };
}

/** What the image of a prediction shows, to be read and, with the role review, corrected; `changed` is called with what is stored. */
export function subjectForm(prediction, model, changed) {
  const { case: of, lesion, site, taken } = prediction;
  const facts = [of && `case ${of}`, lesion && `lesion ${lesion}`, site && words(site), taken && `photographed on ${taken}`].filter(Boolean);
  const link = lesion && make("a", { href: lesionLink(prediction) }, "This lesion over time");
  const told = make("p", {}, facts.length ? `${facts.join(", ")}. ` : "No case is given. ", link);
  if (model?.access?.role === "predict") return told;
  const text = (name, value) => make("input", { name, value: value ?? "", maxLength: 64, pattern: PSEUDONYM, title: RULE, autocomplete: "off", spellcheck: false });
  const where = siteField("site", site ?? "");
  const problem = make("div");
  const send = async (event) => {
    event.preventDefault();
    const body = JSON.stringify(Object.fromEntries([...new FormData(form)].filter(([, value]) => value)));
    try {
      const options = { method: "PUT", body, headers: { "Content-Type": "application/json" } };
      const stored = await callJson(`predictions/${encodeURIComponent(prediction.id)}/subject`, options);
      announce("Case and lesion are stored.");
      changed({ case: stored.case, lesion: stored.lesion, site: stored.site, taken: stored.taken });
    } catch (error) {
      problem.replaceChildren(problemNotice(error));
    }
  };
  const fields = [field("Case", text("case", of)), field("Lesion", text("lesion", lesion)), where.list, field("Photographed on", make("input", { name: "taken", type: "date", value: taken ?? "" }))];
  const form = make("form", { class: "assign", onsubmit: send }, make("div", { class: "patient-fields" }, ...fields), where.map, make("button", {}, "Store case and lesion"), problem);
  return make("div", { class: "assigned" }, told, make("details", {}, make("summary", {}, "Assign to a case or lesion"), form));
}

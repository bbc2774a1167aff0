// What the images show that are added next: case, lesion, site and day, by pseudonyms.

import { announce, button, byId, field, make, select } from "./dom.js";
import { SITES, bodyMap } from "./body_map.js";
import { callJson } from "./api.js";
import { choiceName, day, listed } from "./format.js";
import { t } from "./language.js";
import { problemNotice } from "./notices.js";
import { clearPatient } from "./patient.js";
import { drawn, fill } from "./redraw.js";
import { lesionLink } from "./worklist.js";

const PSEUDONYM = "[0-9A-Za-z][0-9A-Za-z._\\-]{0,63}";

/** Show the fields, once. */
export function showSubject() {
  const place = byId("subject");
  if (place.childElementCount) return;
  fill(place, () => {
    const site = siteField("site");
    return [
      make("legend", { class: "unseen" }, t("subject.title")),
      make("div", { class: "patient-fields" }, ...fieldsOf(site)),
      site.map,
      make("p", { class: "sub" }, t("subject.note")),
      button({ class: "quiet", id: "subject-clear" }, () => clearPatient(true), t("subject.clear")),
    ];
  });
}

function fieldsOf(site, { case: of, lesion, taken } = {}) {
  const rule = { maxLength: 64, pattern: PSEUDONYM, title: t("subject.rule"), autocomplete: "off", spellcheck: false, dir: "auto" };
  const text = (name, value) => make("input", { name, value: value ?? "", ...rule });
  const date = make("input", { name: "taken", type: "date", value: taken ?? "" });
  return [field(t("subject.case"), text("case", of)), field(t("subject.lesion"), text("lesion", lesion)), site.list, field(t("subject.taken"), date)];
}

/** The list of sites and the body map that choose the same; both as elements, the map behind a summary. */
export function siteField(name, value = "") {
  const list = select({ name }, [["", t("word.not_given")], ...SITES.map((site) => [site, choiceName(site)])]);
  list.value = value;
  const drawing = bodyMap((site) => {
    list.value = site;
    announce(site ? t("subject.site_is", { site: choiceName(site) }) : t("subject.no_site"));
  });
  list.onchange = () => drawing.show(list.value);
  drawing.show(value);
  return { list: field(t("patient.site"), list), map: make("details", { class: "body" }, make("summary", {}, t("body.map")), drawing) };
}

/** What the image of a prediction shows, to be read and, with the role review, corrected; `changed` is called with what is stored. */
export const subjectForm = (prediction, model, changed) =>
  drawn("div", { class: "assigned" }, () => [toldOf(prediction), model?.access?.role !== "predict" && assignment(prediction, changed)]);

function toldOf({ case: of, lesion, site, taken }) {
  const facts = [
    of && t("subject.of_case", { case: of }),
    lesion && t("subject.of_lesion", { lesion }),
    site && choiceName(site),
    taken && t("subject.taken_on", { day: day(taken) }),
  ];
  const link = lesion && make("a", { href: lesionLink({ case: of, lesion }) }, t("subject.over_time"));
  return make("p", {}, facts.some(Boolean) ? `${listed(facts)}. ` : `${t("subject.none")} `, link);
}

function assignment(prediction, changed) {
  const where = siteField("site", prediction.site ?? "");
  const problem = make("div");
  const send = async (event) => {
    event.preventDefault();
    const body = JSON.stringify(Object.fromEntries([...new FormData(form)].filter(([, value]) => value)));
    try {
      const options = { method: "PUT", body, headers: { "Content-Type": "application/json" } };
      const stored = await callJson(`predictions/${encodeURIComponent(prediction.id)}/subject`, options);
      announce(t("subject.stored"));
      changed({ case: stored.case, lesion: stored.lesion, site: stored.site, taken: stored.taken });
    } catch (error) {
      fill(problem, () => problemNotice(error));
    }
  };
  const fields = make("div", { class: "patient-fields" }, ...fieldsOf(where, prediction));
  const form = make("form", { class: "assign", onsubmit: send }, fields, where.map, make("button", {}, t("subject.store")), problem);
  return make("details", {}, make("summary", {}, t("subject.assign")), form);
}

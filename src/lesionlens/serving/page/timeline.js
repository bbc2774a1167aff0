// One lesion over time: predictions of every visit with their spread, two photographs compared, histology.

import { callJson, postJson } from "./api.js";
import { Blink } from "./blink.js";
import { announce, byId, card, field, head, icon, make, named, number, p, row, rowHeader, scrolling, select } from "./dom.js";
import { CONCLUSIONS, choiceName, conclusionName, day as dayText, diagnosisName, inShort, listed, nameOf, number as figure, percent, when } from "./format.js";
import { isRightToLeft, numeral, t } from "./language.js";
import { problemNotice } from "./notices.js";
import { fill } from "./redraw.js";

const SVG = "http://www.w3.org/2000/svg";
const [WIDE, HIGH, EDGE] = [600, 200, 44];
let blink = null;

/** Show the lesion in the view; `model` is the response of /v1/model. */
export async function showLesion(id, name, model) {
  const place = byId("lesion-detail");
  leaveLesion();
  fill(byId("lesion-title"), () => t("timeline.title", { case: id, lesion: name }));
  byId("lesion-back").href = `#case/${encodeURIComponent(id)}`;
  fill(place, () => []);
  try {
    const lesion = await callJson(`lesions/${encodeURIComponent(id)}/${encodeURIComponent(name)}`);
    const again = () => showLesion(id, name, model);
    fill(place, () => [comparisonOf(lesion), visitsOf(lesion), imagesOf(lesion), histologyOf(lesion, model, again)]);
  } catch (error) {
    fill(place, () => problemNotice(error, () => showLesion(id, name, model)));
  }
}

/** Stop what blinks. */
export function leaveLesion() {
  blink?.dispose();
  blink = null;
}

const dayOf = (image) => dayText(image.taken ?? image.created.slice(0, 10));

function comparisonOf({ images, site }) {
  const title = make("h2", { id: "comparison-title" }, t("compare.title"));
  const where = p(site ? t("subject.site_is", { site: choiceName(site) }) : t("compare.no_site"), "sub");
  if (images.length < 2) return card(title, "", where, p(t("compare.one_only"), "none"));
  const options = images.map((image, at) => [image.id, t("compare.option", { number: at + 1, day: dayOf(image), name: nameOf(image) })]);
  const place = make("div");
  const show = () => {
    leaveLesion();
    const pair = [first, second].map(({ value }) => images.find((image) => image.id === value));
    blink = new Blink(...pair, pair.map((image) => `${dayOf(image)}: ${inShort(image)}`));
    place.replaceChildren(blink.element); // drawn again with all around it
  };
  const choice = (name, value) => Object.assign(select({ name, onchange: show }, options), { value });
  const first = choice("first", images[0].id);
  const second = choice("second", images.at(-1).id);
  const form = make("div", { class: "row pair" }, field(t("compare.earlier"), first), field(t("compare.later"), second));
  show();
  return card(title, "compare", where, form, place);
}

function visitsOf({ visits }) {
  const title = make("h2", { id: "visits-title" }, t("visits.title"));
  const line = ({ day, images, malignant_share: share }) =>
    row(
      {},
      rowHeader(dayText(day)),
      number(figure(images.length)),
      number(percent(share?.mean)),
      number(share?.count > 1 ? t("visits.from_to", { low: percent(share.low), high: percent(share.high) }) : "\u2013"),
      number(share?.sd === null || share?.sd === undefined ? "\u2013" : percent(share.sd)),
    );
  const names = ["day", "images", "mean", "range", "sd"].map((name) => t(`visits.${name}`));
  const table = make("table", { class: "history visits", "aria-labelledby": title.id }, make("thead", {}, head(names, (name, at) => at > 0)), make("tbody", {}, ...visits.map(line)));
  return card(title, "", chart(visits), scrolling(t("visits.title"), table, "sideways"), p(t("visits.note"), "sub"));
}

/** A dot for the mean of each day, a line for its range; the table below says the same. Time runs as the language is read. */
function chart(visits) {
  const known = visits.filter(({ malignant_share: share }) => share);
  if (known.length < 2) return "";
  const days = known.map(({ day }) => Date.parse(day));
  const [from, to] = [Math.min(...days), Math.max(...days)];
  const across = (place) => (isRightToLeft() ? WIDE - place : place);
  const x = (day) => across(EDGE + ((day - from) / (to - from)) * (WIDE - 2 * EDGE));
  const y = (share) => HIGH - EDGE - share * (HIGH - 2 * EDGE);
  const drawing = draw("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, class: "chart", "aria-hidden": "true" });
  for (const share of [0, 0.5, 1]) {
    drawing.append(draw("line", { class: "grid", x1: EDGE, x2: WIDE - EDGE, y1: y(share), y2: y(share) }), text(across(0), y(share) + 4, numeral(100 * share), isRightToLeft() ? "end" : "start"));
  }
  const means = known.map(({ malignant_share: { mean } }, at) => `${x(days[at])},${y(mean)}`);
  drawing.append(draw("polyline", { class: "path", points: means.join(" ") }));
  known.forEach(({ day, malignant_share: { low, high, mean } }, at) => {
    const place = x(days[at]);
    drawing.append(draw("line", { class: "range", x1: place, x2: place, y1: y(low), y2: y(high) }), draw("circle", { class: "mean", cx: place, cy: y(mean), r: 5 }));
    if (!at || at === known.length - 1) drawing.append(text(place, HIGH - 6, dayText(day), Boolean(at) === isRightToLeft() ? "start" : "end"));
  });
  return drawing;
}

function imagesOf({ images }) {
  const title = make("h2", { id: "lesion-images-title" }, t("view.images"));
  const line = (image) =>
    row(
      { data: { id: image.id } },
      make("td", { data: { column: "day" } }, dayOf(image)),
      make("td", { data: { column: "file" } }, make("a", { href: `#prediction/${image.id}` }, named(nameOf(image))), image.same_image && make("span", { class: "sub" }, t("timeline.same_image"))),
      make("td", { data: { column: "outcome" } }, inShort(image)),
      make("td", { class: "number", data: { column: "share", before: t("column.share.before") } }, percent(image.malignant_share)),
    );
  const table = make("table", { class: "history", "aria-labelledby": title.id }, make("thead", {}, head([t("visits.day"), t("word.image"), t("word.outcome"), t("word.malignant_share")], (name, at) => at === 3)), make("tbody", {}, ...images.map(line)));
  return card(title, "", table);
}

function histologyOf(lesion, model, again) {
  const title = make("h2", { id: "histology-title" }, t("histology.title"));
  const labels = model?.labels ?? [];
  const entries = lesion.histology.map(({ dx, note, who, created, correction }) =>
    make("li", {}, make("strong", {}, conclusionName(dx, labels)), correction && ` (${t("histology.is_correction")})`, make("span", { class: "sub" }, named(who), t("word.comma"), when(created)), note && make("p", { dir: "auto" }, note)),
  );
  const list = entries.length ? make("ul", { class: "plain histology" }, ...entries) : p(t("histology.none"), "none");
  if (model?.access?.role === "predict") return card(title, "", list, p(t("histology.no_role"), "none"));
  const options = [["", t("histology.choose")], ...labels.map((label) => [label.code, diagnosisName(label)]), [CONCLUSIONS[0], t("conclusion.other")]];
  const dx = select({ required: true, name: "dx" }, options);
  const note = make("input", { name: "note", maxLength: 4000, dir: "auto" });
  const correction = select({ name: "correction" }, [["", t("histology.new_report")], ["true", t("histology.correction")]]);
  const problem = make("div");
  const send = async (event) => {
    event.preventDefault();
    problem.replaceChildren();
    try {
      const body = { dx: dx.value, note: note.value, correction: Boolean(correction.value) };
      await postJson(`lesions/${encodeURIComponent(lesion.case)}/${encodeURIComponent(lesion.lesion)}/histology`, body);
      announce(t("histology.stored"));
      await again();
    } catch (error) {
      fill(problem, () => problemNotice(error));
    }
  };
  const form = make("form", { class: "histology-form", "aria-labelledby": title.id, onsubmit: send }, field(t("histology.dx"), dx), field(t("histology.kind"), correction), field(t("histology.note"), note, "grow"), make("button", { class: "primary" }, icon("review"), t("histology.enter")));
  return card(title, "", list, form, problem);
}

function draw(tag, properties) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(properties)) element.setAttribute(name, value);
  return element;
}

function text(x, y, content, anchor = "start") {
  const element = draw("text", { x, y, "text-anchor": anchor });
  element.append(content);
  return element;
}

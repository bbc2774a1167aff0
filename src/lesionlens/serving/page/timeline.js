// One lesion over time: predictions of every visit with their spread, two photographs compared, histology.

import { callJson, postJson } from "./api.js";
import { Blink } from "./blink.js";
import { announce, byId, card, field, head, icon, make, number, p, row, rowHeader, select } from "./dom.js";
import { conclusionName, inShort, nameOf, percent, when, words } from "./format.js";
import { problemNotice } from "./notices.js";

const SVG = "http://www.w3.org/2000/svg";
const [WIDE, HIGH, EDGE] = [600, 200, 44];
const NO_ROLE = "To enter histology, use a token with the role review.";
let blink = null;

/** Show the lesion in the view; `model` is the response of /v1/model. */
export async function showLesion(id, name, model) {
  const place = byId("lesion-detail");
  leaveLesion();
  byId("lesion-title").textContent = `Case ${id}, lesion ${name}`;
  byId("lesion-back").href = `#case/${encodeURIComponent(id)}`;
  place.replaceChildren();
  try {
    const lesion = await callJson(`lesions/${encodeURIComponent(id)}/${encodeURIComponent(name)}`);
    const again = () => showLesion(id, name, model);
    place.replaceChildren(comparisonOf(lesion), visitsOf(lesion), imagesOf(lesion), histologyOf(lesion, model, again));
  } catch (error) {
    place.replaceChildren(problemNotice(error, () => showLesion(id, name, model)));
  }
}

/** Stop what blinks. */
export function leaveLesion() {
  blink?.dispose();
  blink = null;
}

const dayOf = (image) => image.taken ?? image.created.slice(0, 10);

function comparisonOf({ images, site }) {
  const title = make("h2", { id: "comparison-title" }, "Compare two photographs");
  const where = p(site ? `Site: ${words(site)}.` : "Site not given.", "sub");
  if (images.length < 2) return card(title, "", where, p("There is one image of this lesion; send another one to compare them.", "none"));
  const options = images.map((image, at) => [image.id, `${at + 1}: ${dayOf(image)}, ${nameOf(image)}`]);
  const place = make("div");
  const show = () => {
    leaveLesion();
    const pair = [first, second].map(({ value }) => images.find((image) => image.id === value));
    blink = new Blink(...pair, pair.map((image) => `${dayOf(image)}: ${inShort(image)}`));
    place.replaceChildren(blink.element);
  };
  const choice = (name, value) => Object.assign(select({ name, onchange: show }, options), { value });
  const first = choice("first", images[0].id);
  const second = choice("second", images.at(-1).id);
  const form = make("div", { class: "row pair" }, field("Earlier", first), field("Later", second));
  show();
  return card(title, "compare", where, form, place);
}

function visitsOf({ visits }) {
  const title = make("h2", { id: "visits-title" }, "Malignant share over time");
  const line = ({ day, images, malignant_share: share }) =>
    row(
      {},
      rowHeader(day),
      number(String(images.length)),
      number(percent(share?.mean)),
      number(share?.count > 1 ? `${percent(share.low)} to ${percent(share.high)}` : "\u2013"),
      number(share?.sd === null || share?.sd === undefined ? "\u2013" : percent(share.sd)),
    );
  const names = ["Day", "Images", "Mean", "Lowest to highest", "Standard deviation"];
  const table = make("table", { class: "history visits", "aria-labelledby": title.id }, make("thead", {}, head(names, (name, at) => at > 0)), make("tbody", {}, ...visits.map(line)));
  const note = "Several photographs of one day show how far a prediction repeats; a change smaller than that is none.";
  return card(title, "", chart(visits), table, p(note, "sub"));
}

/** A dot for the mean of each day, a line for its range; the table below says the same. */
function chart(visits) {
  const known = visits.filter(({ malignant_share: share }) => share);
  if (known.length < 2) return "";
  const days = known.map(({ day }) => Date.parse(day));
  const [from, to] = [Math.min(...days), Math.max(...days)];
  const x = (day) => EDGE + ((day - from) / (to - from)) * (WIDE - 2 * EDGE);
  const y = (share) => HIGH - EDGE - share * (HIGH - 2 * EDGE);
  const drawing = draw("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, class: "chart", "aria-hidden": "true" });
  for (const share of [0, 0.5, 1]) {
    drawing.append(draw("line", { class: "grid", x1: EDGE, x2: WIDE - EDGE, y1: y(share), y2: y(share) }), text(0, y(share) + 4, `${100 * share}`));
  }
  const means = known.map(({ malignant_share: { mean } }, at) => `${x(days[at])},${y(mean)}`);
  drawing.append(draw("polyline", { class: "path", points: means.join(" ") }));
  known.forEach(({ day, malignant_share: { low, high, mean } }, at) => {
    const place = x(days[at]);
    drawing.append(draw("line", { class: "range", x1: place, x2: place, y1: y(low), y2: y(high) }), draw("circle", { class: "mean", cx: place, cy: y(mean), r: 5 }));
    if (!at || at === known.length - 1) drawing.append(text(place, HIGH - 6, day, at ? "end" : "start"));
  });
  return drawing;
}

function imagesOf({ images }) {
  const title = make("h2", { id: "lesion-images-title" }, "Images");
  const line = (image) =>
    row(
      { data: { id: image.id } },
      make("td", { data: { name: "Day" } }, dayOf(image)),
      make("td", { data: { name: "File" } }, make("a", { href: `#prediction/${image.id}` }, nameOf(image)), image.same_image && make("span", { class: "sub" }, "the same image as an earlier one")),
      make("td", { data: { name: "Outcome" } }, inShort(image)),
      make("td", { class: "number", data: { name: "Malignant share" } }, percent(image.malignant_share)),
    );
  const table = make("table", { class: "history", "aria-labelledby": title.id }, make("thead", {}, head(["Day", "Image", "Outcome", "Malignant share"], (name, at) => at === 3)), make("tbody", {}, ...images.map(line)));
  return card(title, "", table);
}

function histologyOf(lesion, model, again) {
  const title = make("h2", { id: "histology-title" }, "Histology");
  const labels = model?.labels ?? [];
  const entries = lesion.histology.map(({ dx, note, who, created, correction }) =>
    make("li", {}, make("strong", {}, conclusionName(dx, labels)), correction && " (correction)", make("span", { class: "sub" }, `${who}, ${when(created)}`), note && p(note)),
  );
  const list = entries.length ? make("ul", { class: "plain histology" }, ...entries) : p("None yet.", "none");
  if (model?.access?.role === "predict") return card(title, "", list, p(NO_ROLE, "none"));
  const options = [["", "Choose a diagnosis"], ...labels.map(({ code, name }) => [code, name]), ["other", "Other diagnosis"]];
  const dx = select({ required: true, name: "dx" }, options);
  const note = make("input", { name: "note", maxLength: 4000 });
  const correction = select({ name: "correction" }, [["", "A new report"], ["true", "A correction; the note says why"]]);
  const problem = make("div");
  const send = async (event) => {
    event.preventDefault();
    problem.replaceChildren();
    try {
      const body = { dx: dx.value, note: note.value, correction: Boolean(correction.value) };
      await postJson(`lesions/${encodeURIComponent(lesion.case)}/${encodeURIComponent(lesion.lesion)}/histology`, body);
      announce("The histology is stored.");
      await again();
    } catch (error) {
      problem.replaceChildren(problemNotice(error));
    }
  };
  const form = make("form", { class: "histology-form", "aria-labelledby": title.id, onsubmit: send }, field("Histological diagnosis", dx), field("This is", correction), field("Note (no names)", note, "grow"), make("button", { class: "primary" }, icon("review"), "Enter histology"));
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

// One prediction, in full: the outcome in words, picture and heat map, probabilities, the image check,
// times and ids, the review.

import { bar, button, card, code, fact, facts, freshId, head, icon, make, malignantTag } from "./dom.js";
import { named, number, p, row, rowHeader, save, spoken } from "./dom.js";
import { explained, reasonText } from "./explanation.js";
import { diagnosisName, figure, leading, listed, milliseconds, nameOf, outcomeWord, percent, ranked, sentence, when } from "./format.js";
import { knows, t } from "./language.js";
import { measureLimit, measureName } from "./measures.js";
import { toldOf } from "./patient.js";
import { Picture } from "./picture.js";
import { fill } from "./redraw.js";
import { fillReport } from "./report.js";
import { reviewForm } from "./review.js";

const REPORT_MS = 100;

/**
 * Show a prediction in `place`.
 *
 * `context` holds `file` (the local image, or nothing), `model` (the response of /v1/model, or null), `reviewed`
 * (called with the prediction once a review is stored), `again` (reads another frame) and `more` (elements for the details).
 * Returns a function that releases it.
 */
export function showPrediction(place, prediction, context) {
  let timer = 0;
  const report = () => {
    clearTimeout(timer); // a moving slider need not redraw the report at every step
    timer = setTimeout(() => fillReport(prediction, picture.shown, context.model), REPORT_MS);
  };
  const picture = new Picture(prediction, context.file, report);
  const reviewed = (review) => {
    prediction.review = review;
    report();
    context.reviewed?.(prediction);
  };
  fill(place, () => {
    const review = reviewForm(prediction, context.model, reviewed);
    const record = card(make("h3", {}, t("details.title")), "", recordOf(prediction), ...(context.more ?? []), actionsOf(prediction), framesOf(prediction, context));
    const check = checkOf(prediction, context.model?.gate);
    const evidence = make("div", { class: "stack" }, probabilitiesOf(prediction), conceptsOf(prediction), check);
    picture.ready.then(() => review.warn(!picture.photo));
    report();
    return [outcomeBanner(prediction, context.model), make("div", { class: "columns" }, picture.element, evidence), review.element, record];
  });
  return () => {
    clearTimeout(timer);
    picture.dispose();
    fill(place, () => []);
    fillReport(null);
  };
}

/** The outcome: word, icon and colour, with one sentence. */
function outcomeBanner(prediction, model) {
  const first = leading(prediction);
  const isNamed = prediction.outcome === "diagnosis" && first;
  return make(
    "section",
    { class: "card outcome", data: { outcome: prediction.outcome }, "aria-label": t("outcome.title") },
    icon(prediction.outcome),
    make(isNamed ? "p" : "h2", { class: "outcome-word" }, outcomeWord(prediction.outcome)),
    isNamed && [
      make("h2", { class: "outcome-name" }, diagnosisName(first), " ", first.malignant && malignantTag()),
      p([make("span", { class: "big" }, percent(first.probability)), make("span", {}, t("probability.of_outcome"))], "outcome-probability"),
    ],
    make("p", { class: "outcome-sentence" }, ...explained(prediction, model)),
    prediction.metadata && p(toldOf(prediction.metadata), "outcome-patient"),
    prediction.same_image && p(t("prediction.same_image"), "same-image"),
    p(named(nameOf(prediction)), "file-name"),
  );
}

/** The probabilities as a table, the most probable first, and the malignant share below. */
function probabilitiesOf(prediction) {
  const rows = ranked(prediction);
  if (!rows.length)
    return card(make("h3", {}, t("probability.title")), "", p(t("probability.none")));
  const line = (each) =>
    row(
      { class: each === leading(prediction) ? "first" : undefined, data: { code: each.code } },
      rowHeader(diagnosisName(each), " ", each.malignant && malignantTag(), bar(each.probability, each.malignant)),
      number(percent(each.probability)),
    );
  const sum = make("span", { class: "sub" }, t("probability.sum_of", { count: rows.filter((each) => each.malignant).length }));
  const share = prediction.malignant_share;
  const id = freshId("probabilities");
  const table = make(
    "table",
    { "aria-labelledby": id },
    make("thead", { class: "unseen" }, head([t("word.diagnosis"), t("word.probability")], (name, at) => at > 0)),
    make("tbody", {}, ...rows.map(line)),
    share !== null && make("tfoot", {}, row({}, rowHeader(t("word.malignant_share"), " ", sum, bar(share, true)), number(percent(share)))),
  );
  return card(make("h3", { id }, t("probability.calibrated")), "probabilities", table);
}

/** Concepts that the diagnosis follows from, with their estimated values; nothing where the model has none. */
function conceptsOf({ concepts }) {
  if (!concepts?.length) return null;
  const id = freshId("concepts");
  const line = ({ name, value, estimate }) =>
    row({}, rowHeader(spoken(name), bar(value, false)), number(estimate == null ? percent(value) : figure(estimate)));
  const table = make(
    "table",
    { "aria-labelledby": id },
    make("thead", { class: "unseen" }, head([t("concepts.concept"), t("concepts.estimate")], (name, at) => at > 0)),
    make("tbody", {}, ...concepts.map(line)),
  );
  return card(make("h3", { id }, t("concepts.title")), "concepts", table);
}

/** The image check: result, reasons, measures and their limits. */
function checkOf({ gate }, limits) {
  const heading = make("h3", {}, t("check.title"));
  if (!gate)
    return card(heading, "check", p(t("check.none")));
  const result = [icon(gate.usable ? "usable" : "not_usable"), make("strong", {}, t(gate.usable ? "check.usable" : "check.not_usable"))];
  const measures = Object.entries(gate.measures).map(([name, value]) =>
    fact(measureName(name), figure(value), make("span", { class: "sub inline" }, measureLimit(name, limits) && `(${measureLimit(name, limits)})`)),
  );
  const check = card(
    heading,
    "check",
    p(result, "result"),
    gate.reasons.length > 0 && make("ul", { class: "reasons" }, ...gate.reasons.map((reason) => make("li", {}, reasonText(reason)))),
    measures.length > 0 && make("details", {}, make("summary", {}, t("check.measures")), facts(...measures)),
  );
  check.dataset.usable = gate.usable;
  return check;
}

/** Where and when the prediction was made; enough to find it again. */
function recordOf({ id, created, image, notes, timings_ms: { total, ...steps }, bundle, input_sha256, request_id }) {
  const { width, height, frames, frame } = image;
  const times = Object.entries(steps).map(([name, value]) => t("details.step", { name: knows(`step.${name}`) ? t(`step.${name}`) : name, time: milliseconds(value) }));
  return facts(
    fact(t("details.predicted"), make("time", { dateTime: created }, when(created))),
    fact(t("word.image"), listed([t("details.pixels", { width, height }), frames > 1 && t("details.frame_of", { frame: frame + 1, frames })]), scaleOf(image)),
    notes?.length > 0 && fact(t("details.decoding"), ...notes.map((note) => make("span", { class: "decoding-note" }, spoken(note, sentence), " "))),
    fact(t("details.time"), milliseconds(total), make("span", { class: "sub" }, listed(times))),
    fact(t("word.prediction"), code(id)),
    fact(t("word.model"), named(`${bundle.name}, ${bundle.variant}`), make("code", { class: "sub" }, bundle.id)),
    input_sha256 && fact(t("details.hash"), code(input_sha256)),
    request_id && fact(t("details.request"), code(request_id)),
  );
}

/** The size of what is seen, where the file states the distance of its pixels. */
function scaleOf({ width, height, pixel_spacing_mm: spacing }) {
  if (!spacing) return null;
  const [across, down] = [width * spacing[1], height * spacing[0]].map(figure);
  return make("span", { class: "sub" }, t("details.scale", { across, down }));
}

function actionsOf(prediction) {
  const saveJson = () => {
    const blob = new Blob([JSON.stringify(prediction, null, 2)], { type: "application/json" });
    save(blob, `lesionlens-${prediction.id}.json`);
  };
  return make(
    "div",
    { class: "row actions" },
    button({ class: "print" }, () => window.print(), icon("print"), t("details.print")),
    button({ class: "save-json" }, saveJson, icon("save"), t("details.save_json")),
  );
}

/** Several frames in one file: the others can be read too. */
function framesOf({ image }, context) {
  if (!(image.frames > 1) || !context.file || !context.again) return null;
  const input = make("input", { type: "number", min: 1, max: image.frames, value: image.frame + 1, required: true });
  const read = (event) => {
    event.preventDefault();
    context.again(Number(input.value) - 1);
  };
  const label = make("label", { class: "field" }, make("span", {}, t("frames.which", { frames: image.frames })), input);
  return make("form", { class: "row frames", onsubmit: read }, label, make("button", {}, t("frames.read")));
}

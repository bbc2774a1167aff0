// One prediction, in full: the outcome in words, picture and heat map, probabilities, the image check,
// times and ids, the review.

import { bar, button, card, code, fact, facts, freshId, head, icon, make, malignantTag } from "./dom.js";
import { number, p, row, rowHeader, save } from "./dom.js";
import { OUTCOMES, explained, figure, leading, milliseconds, nameOf, percent, ranked, sentence, when } from "./format.js";
import { measureLimit, measureName } from "./measures.js";
import { toldOf } from "./patient.js";
import { Picture } from "./picture.js";
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
  const review = reviewForm(prediction, context.model, reviewed);
  const record = card(make("h3", {}, "Details"), "", recordOf(prediction), ...(context.more ?? []), actionsOf(prediction), framesOf(prediction, context));
  const check = checkOf(prediction, context.model?.gate);
  const evidence = make("div", { class: "stack" }, probabilitiesOf(prediction), conceptsOf(prediction), check);
  place.replaceChildren(
    outcomeBanner(prediction),
    make("div", { class: "columns" }, picture.element, evidence),
    review.element,
    record,
  );
  picture.ready.then(() => review.warn(!picture.photo));
  report();
  return () => {
    clearTimeout(timer);
    picture.dispose();
    place.replaceChildren();
    fillReport(null);
  };
}

/** The outcome: word, icon and colour, with one sentence. */
function outcomeBanner(prediction) {
  const first = leading(prediction);
  const named = prediction.outcome === "diagnosis" && first;
  return make(
    "section",
    { class: "card outcome", data: { outcome: prediction.outcome }, "aria-label": "Outcome" },
    icon(prediction.outcome),
    make(named ? "p" : "h2", { class: "outcome-word" }, OUTCOMES[prediction.outcome].word),
    named && [
      make("h2", { class: "outcome-name" }, first.name, " ", first.malignant && malignantTag()),
      p([make("span", { class: "big" }, percent(first.probability)), make("span", {}, "probability")], "outcome-probability"),
    ],
    p(explained(prediction), "outcome-sentence"),
    prediction.metadata && p(toldOf(prediction.metadata), "outcome-patient"),
    prediction.same_image && p("The same image was predicted before.", "same-image"),
    p(nameOf(prediction), "file-name"),
  );
}

/** The probabilities as a table, the most probable first, and the malignant share below. */
function probabilitiesOf(prediction) {
  const rows = ranked(prediction);
  if (!rows.length)
    return card(make("h3", {}, "Probabilities"), "", p("None: the network cannot say anything about an unusable image."));
  const line = (each) =>
    row(
      { class: each === leading(prediction) ? "first" : undefined, data: { code: each.code } },
      rowHeader(each.name, " ", each.malignant && malignantTag(), bar(each.probability, each.malignant)),
      number(percent(each.probability)),
    );
  const sum = make("span", { class: "sub" }, `sum of the ${rows.filter((each) => each.malignant).length} malignant diagnoses`);
  const share = prediction.malignant_share;
  const id = freshId("probabilities");
  const table = make(
    "table",
    { "aria-labelledby": id },
    make("thead", { class: "unseen" }, head(["Diagnosis", "Probability"], (name, at) => at > 0)),
    make("tbody", {}, ...rows.map(line)),
    share !== null && make("tfoot", {}, row({}, rowHeader("Malignant share ", sum, bar(share, true)), number(percent(share)))),
  );
  return card(make("h3", { id }, "Calibrated probabilities"), "probabilities", table);
}

/** Concepts that the diagnosis follows from, with their estimated values; nothing where the model has none. */
function conceptsOf({ concepts }) {
  if (!concepts?.length) return null;
  const id = freshId("concepts");
  const line = ({ name, value, estimate }) =>
    row({}, rowHeader(name, bar(value, false)), number(estimate == null ? percent(value) : figure(estimate)));
  const table = make(
    "table",
    { "aria-labelledby": id },
    make("thead", { class: "unseen" }, head(["Concept", "Estimate"], (name, at) => at > 0)),
    make("tbody", {}, ...concepts.map(line)),
  );
  return card(make("h3", { id }, "Estimated concepts"), "concepts", table);
}

/** The image check: result, reasons, measures and their limits. */
function checkOf({ gate }, limits) {
  const heading = make("h3", {}, "Image check");
  if (!gate)
    return card(heading, "check", p("This model has no image check: whether the image is usable was not tested."));
  const result = [icon(gate.usable ? "usable" : "not_usable"), make("strong", {}, gate.usable ? "Usable" : "Not usable")];
  const measures = Object.entries(gate.measures).map(([name, value]) =>
    fact(measureName(name), figure(value), make("span", { class: "sub inline" }, measureLimit(name, limits))),
  );
  const check = card(
    heading,
    "check",
    p(result, "result"),
    gate.reasons.length > 0 && make("ul", { class: "reasons" }, ...gate.reasons.map(({ text }) => make("li", {}, sentence(text)))),
    measures.length > 0 && make("details", {}, make("summary", {}, "Measures"), facts(...measures)),
  );
  check.dataset.usable = gate.usable;
  return check;
}

/** Where and when the prediction was made; enough to find it again. */
function recordOf({ id, created, image, notes, timings_ms: { total, ...steps }, bundle, input_sha256, request_id }) {
  const { width, height, frames, frame } = image;
  const times = Object.entries(steps).map(([name, value]) => `${name} ${milliseconds(value)}`);
  return facts(
    fact("Predicted", make("time", { dateTime: created }, when(created))),
    fact("Image", `${width} \u00d7 ${height} pixels${frames > 1 ? `, frame ${frame + 1} of ${frames}` : ""}`, scaleOf(image)),
    notes?.length > 0 && fact("Decoding", sentence(notes.join("; "))),
    fact("Time", milliseconds(total), make("span", { class: "sub" }, times.join(", "))),
    fact("Prediction", code(id)),
    fact("Model", `${bundle.name}, ${bundle.variant}`, make("code", { class: "sub" }, bundle.id)),
    input_sha256 && fact("Image SHA\u2011256", code(input_sha256)),
    request_id && fact("Request", code(request_id)),
  );
}

/** The size of what is seen, where the file states the distance of its pixels. */
function scaleOf({ width, height, pixel_spacing_mm: spacing }) {
  if (!spacing) return null;
  const [across, down] = [width * spacing[1], height * spacing[0]].map(figure);
  return make("span", { class: "sub" }, `${across} \u00d7 ${down} mm, as the file states its scale`);
}

function actionsOf(prediction) {
  const saveJson = () => {
    const blob = new Blob([JSON.stringify(prediction, null, 2)], { type: "application/json" });
    save(blob, `lesionlens-${prediction.id}.json`);
  };
  return make(
    "div",
    { class: "row actions" },
    button({ class: "print" }, () => window.print(), icon("print"), "Print or save report"),
    button({ class: "save-json" }, saveJson, icon("save"), "Save prediction as JSON"),
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
  const label = make("label", { class: "field" }, make("span", {}, `Frame, 1 to ${image.frames}`), input);
  return make("form", { class: "row frames", onsubmit: read }, label, make("button", {}, "Read this frame"));
}

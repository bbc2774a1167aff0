// One answer, in full: the outcome in words, picture and heat map, probabilities, the image check,
// times and ids, the review.

import { fact, freshId, icon, make, save } from "./dom.js";
import { OUTCOMES, explained, figure, leading, milliseconds, percent, sentence, when } from "./format.js";
import { measureLimit, measureName } from "./measures.js";
import { Picture } from "./picture.js";
import { fillReport } from "./report.js";
import { reviewForm } from "./review.js";

const REPORT_MS = 100;

/**
 * Show an answer in `place`.
 *
 * `context` holds `file` (the local image, or nothing), `model` (what /v1/model says, or null),
 * `reviewed` (hears the answer once a review is stored) and `again` (reads another frame).
 * Returns what lets go of it.
 */
export function showAnswer(place, answer, context) {
  let picture = { shown: {} };
  let timer = 0;
  const report = () => {
    clearTimeout(timer); // a slider that moves need not redraw the report at every step
    timer = setTimeout(() => fillReport(answer, picture.shown, context.model), REPORT_MS);
  };
  picture = new Picture(answer, context.file, report);
  const reviewed = (review) => {
    answer.review = review;
    report();
    context.reviewed?.(answer);
  };
  place.replaceChildren(
    outcomeBanner(answer),
    make(
      "div",
      { class: "columns" },
      picture.element,
      make("div", { class: "stack" }, probabilitiesOf(answer), checkOf(answer, context.model?.gate)),
    ),
    reviewForm(answer, context.model, reviewed),
    make(
      "div",
      { class: "card" },
      make("h3", {}, "Record"),
      recordOf(answer),
      actionsOf(answer),
      framesOf(answer, context),
    ),
  );
  report();
  return () => {
    clearTimeout(timer);
    picture.dispose();
    place.replaceChildren();
    fillReport(null);
  };
}

/** The outcome: word, icon and colour, with one sentence. */
export function outcomeBanner(answer) {
  const first = leading(answer);
  const named = answer.outcome === "diagnosis" && first;
  return make(
    "section",
    { class: "card outcome", data: { outcome: answer.outcome }, "aria-label": "Outcome" },
    icon(answer.outcome),
    make(named ? "p" : "h2", { class: "outcome-word" }, OUTCOMES[answer.outcome].word),
    named && make("h2", { class: "outcome-name" }, first.name, " ", first.malignant && malignantTag()),
    named &&
      make(
        "p",
        { class: "outcome-figure" },
        make("span", { class: "big" }, percent(first.probability)),
        make("span", {}, "probability"),
      ),
    make("p", { class: "outcome-sentence" }, explained(answer)),
    make("p", { class: "file-name" }, answer.file_name || "Image without a name"),
  );
}

/** The mark of a malignant diagnosis: word, icon and colour. */
export const malignantTag = () => make("span", { class: "tag malignant" }, icon("malignant"), "malignant");

/** A share as a length; the number beside it says the same to a screen reader. */
function bar(share, malignant) {
  const fill = make("span", { class: malignant ? "fill malignant" : "fill" });
  fill.style.width = `${100 * share}%`;
  return make("span", { class: "bar", "aria-hidden": "true" }, fill);
}

/** The probabilities as a table, the most probable first, and the malignant share below. */
export function probabilitiesOf(answer) {
  if (!answer.probabilities.length) {
    return make(
      "section",
      { class: "card" },
      make("h3", {}, "Probabilities"),
      make("p", {}, "None: the network's answer to an image that it cannot read would mean nothing."),
    );
  }
  const first = leading(answer);
  const rows = [...answer.probabilities].sort((a, b) => b.probability - a.probability);
  const line = (row) =>
    make(
      "tr",
      { class: row === first ? "first" : undefined, data: { code: row.code } },
      make("th", { scope: "row" }, row.name, " ", row.malignant && malignantTag(), bar(row.probability, row.malignant)),
      make("td", { class: "number" }, percent(row.probability)),
    );
  const head = make(
    "tr",
    {},
    make("th", { scope: "col" }, "Diagnosis"),
    make("th", { scope: "col", class: "number" }, "Probability"),
  );
  const malignant = answer.probabilities.filter((row) => row.malignant).length;
  const id = freshId("probabilities");
  return make(
    "section",
    { class: "card probabilities", "aria-labelledby": id },
    make("h3", { id }, "Calibrated probabilities"),
    make(
      "table",
      { "aria-labelledby": id },
      make("thead", { class: "unseen" }, head),
      make("tbody", {}, ...rows.map(line)),
      make(
        "tfoot",
        {},
        make(
          "tr",
          {},
          make(
            "th",
            { scope: "row" },
            "Malignant share ",
            make("span", { class: "sub" }, `sum of the ${malignant} malignant diagnoses`),
            bar(answer.malignant_share ?? 0, true),
          ),
          make("td", { class: "number" }, percent(answer.malignant_share)),
        ),
      ),
    ),
  );
}

/** What the gate says of the image: verdict, reasons, measures and their limits. */
export function checkOf(answer, limits) {
  const gate = answer.gate;
  const heading = make("h3", {}, "Image check");
  if (!gate)
    return make(
      "section",
      { class: "card check" },
      heading,
      make("p", {}, "This model has no image check: whether the image is usable was not tested."),
    );
  const measures = Object.entries(gate.measures ?? {});
  return make(
    "section",
    { class: "card check", data: { usable: String(gate.usable) } },
    heading,
    make(
      "p",
      { class: "verdict" },
      icon(gate.usable ? "usable" : "not_usable"),
      make("strong", {}, gate.usable ? "Usable" : "Not usable"),
    ),
    gate.reasons?.length > 0 &&
      make("ul", { class: "reasons" }, ...gate.reasons.map((reason) => make("li", {}, sentence(reason.text)))),
    measures.length > 0 &&
      make(
        "details",
        {},
        make("summary", {}, "Measures"),
        make(
          "dl",
          { class: "facts" },
          ...measures.map(([name, value]) =>
            fact(measureName(name), figure(value), make("span", { class: "sub inline" }, measureLimit(name, limits))),
          ),
        ),
      ),
  );
}

/** Where and when the answer was made; enough to find it again. */
function recordOf(answer) {
  const times = Object.entries(answer.timings_ms ?? {}).filter(([name]) => name !== "total");
  const total = answer.timings_ms?.total;
  const { width, height, frames, frame } = answer.image;
  return make(
    "dl",
    { class: "facts" },
    fact("Answered", make("time", { dateTime: answer.created }, when(answer.created))),
    fact("Image", `${width} \u00d7 ${height} pixels${frames > 1 ? `, frame ${frame + 1} of ${frames}` : ""}`),
    fact(
      "Time",
      total === undefined ? "" : milliseconds(total),
      times.length > 0 &&
        make("span", { class: "sub" }, times.map(([name, value]) => `${name} ${milliseconds(value)}`).join(", ")),
    ),
    fact("Answer", make("code", {}, answer.id)),
    fact("Model", `${answer.bundle.name}, ${answer.bundle.variant}`, make("code", { class: "sub" }, answer.bundle.id)),
    fact("Image SHA\u2011256", make("code", {}, answer.input_sha256)),
    fact("Request", make("code", {}, answer.request_id)),
  );
}

function actionsOf(answer) {
  const asJson = () =>
    save(new Blob([JSON.stringify(answer, null, 2)], { type: "application/json" }), `lesionlens-${answer.id}.json`);
  return make(
    "div",
    { class: "row actions" },
    make(
      "button",
      { type: "button", class: "print", on: { click: () => window.print() } },
      icon("print"),
      "Print or save report",
    ),
    make("button", { type: "button", class: "save-json", on: { click: asJson } }, icon("save"), "Save answer as JSON"),
  );
}

/** Several frames in one file: the others can be read too. */
function framesOf(answer, context) {
  if (!(answer.image.frames > 1) || !context.file || !context.again) return null;
  const number = make("input", {
    type: "number",
    min: 1,
    max: answer.image.frames,
    value: answer.image.frame + 1,
    required: true,
  });
  const read = (event) => {
    event.preventDefault();
    context.again(Number(number.value) - 1);
  };
  return make(
    "form",
    { class: "row frames", on: { submit: read } },
    make("label", { class: "field" }, make("span", {}, `Frame, 1 to ${answer.image.frames}`), number),
    make("button", {}, "Read this frame"),
  );
}

// The one-page report: hidden on a screen, and all that is seen on paper. It is filled as soon as a
// prediction is shown, so that the browser's own print command finds it ready.

import { bar, byId, code, fact, facts, make, number, p, row, rowHeader } from "./dom.js";
import { OUTCOMES, conclusionName, explained, figure, interval, leading, nameOf } from "./format.js";
import { percent, ranked, sentence, when } from "./format.js";
import { measureLimit, measureName } from "./measures.js";
import { Pane } from "./pane.js";
import { toldOf } from "./patient.js";
import { TEXTS } from "./texts.js";

const LIMITS =
  "Research and decision support, not a medical device. Probabilities are calibrated for images like those of the model's " +
  "test data. A heat map shows where the network found evidence, not why, and not that it is right. A person trained to read " +
  "dermoscopic images decides; doubtful lesions need examination and, where indicated, histology.";

/** Fill the report with a prediction, or empty it. */
export function fillReport(prediction, shown = {}, model = null) {
  const place = byId("report");
  document.body.classList.toggle("has-report", Boolean(prediction));
  if (!prediction) return place.replaceChildren();
  const evidence = make("div", {}, probabilities(prediction), check(prediction, model?.gate));
  return place.replaceChildren(
    top(prediction),
    blank(TEXTS.byHand),
    outcome(prediction),
    make("div", { class: "report-columns" }, pictures(prediction, shown), evidence),
    review(prediction, model?.labels ?? prediction.probabilities),
    foot(prediction, model),
  );
}

function top(prediction) {
  const dates = [`Predicted ${when(prediction.created)}`, make("br"), `Printed ${when(new Date().toISOString())}`];
  const title = p("LesionLens report", "report-title");
  return make("header", { class: "report-head" }, title, p(nameOf(prediction)), p(dates, "report-date"));
}

function outcome(prediction) {
  const first = leading(prediction);
  const named = prediction.outcome === "diagnosis" && first;
  const name = named ? `: ${first.name}${first.malignant ? " (malignant)" : ""}` : "";
  const word = p(OUTCOMES[prediction.outcome].word + name, "report-word");
  const patient = prediction.metadata && p(toldOf(prediction.metadata));
  return make("section", { class: "report-outcome" }, word, p(explained(prediction)), patient);
}

/** The lesion first, alone; then with its heat map. */
function pictures({ image, probabilities: rows }, shown) {
  const { photo, map, contours, opacity, code: shownCode } = shown;
  if (!photo) return make("figure", {}, p(TEXTS.notShown, "report-blank"));
  const name = rows.find((each) => each.code === shownCode)?.name ?? "";
  const caption = (text) => make("figcaption", {}, text);
  const plain = [new Pane(image).draw({ photo }).stage, caption("Image")];
  if (!map) return make("figure", {}, ...plain);
  const how = contours ? "lines at 25, 50 and 75 % of the strongest evidence" : `opacity ${opacity} %`;
  return make("figure", {}, ...plain, new Pane(image).draw(shown).stage, caption(`Heat map for ${name}, ${how}`));
}

function probabilities(prediction) {
  const rows = ranked(prediction);
  if (!rows.length) return p("No probabilities: the image was not usable.");
  const line = (name, share, malignant, strong) =>
    row(
      { class: strong ? "first" : undefined },
      rowHeader(name),
      number(percent(share)),
      make("td", { class: "bar-cell" }, bar(share, malignant)),
    );
  const first = leading(prediction);
  const lines = rows.map((each) =>
    line(each.malignant ? `${each.name} *` : each.name, each.probability, each.malignant, each === first),
  );
  return make(
    "table",
    { class: "report-probabilities" },
    make("caption", {}, "Calibrated probabilities (* malignant)"),
    make("tbody", {}, ...lines),
    prediction.malignant_share !== null &&
      make("tfoot", {}, line("Malignant share", prediction.malignant_share, true, true)),
  );
}

function check({ gate }, limits) {
  if (!gate) return null;
  const measures = Object.entries(gate.measures).map(([name, value]) =>
    `${measureName(name)} ${figure(value)} ${measureLimit(name, limits)}`.trim(),
  );
  return make(
    "section",
    { class: "report-check" },
    make("h3", {}, `Image check: ${gate.usable ? "usable" : "not usable"}`),
    ...gate.reasons.map(({ text }) => p(sentence(text))),
    measures.length > 0 && p(measures.join("; "), "report-small"),
  );
}

/** A line to write on. */
const blank = (name) => p(make("span", {}, name), "report-line");

function review({ review: stored }, labels) {
  const by = stored && ` (${[stored.reviewer, when(stored.created)].filter(Boolean).join(", ")})`;
  return make(
    "section",
    { class: "report-review" },
    make("h3", {}, "Review"),
    stored ? p([make("strong", {}, conclusionName(stored.conclusion, labels)), by]) : blank("Conclusion"),
    stored?.note && p(stored.note, "note"),
    blank("Date, name, signature"),
  );
}

function foot({ bundle, id, input_sha256, request_id }, model) {
  const use = model?.intended_use;
  const balanced = model?.scores?.metrics?.balanced_accuracy;
  const lines = [
    use && `For: ${use.for} Not for: ${use.not_for}`,
    balanced && `Balanced accuracy on its test split ${interval(balanced)}.`,
  ];
  return make(
    "footer",
    { class: "report-foot" },
    make("h3", {}, "Model and its limits"),
    p(lines.filter(Boolean).join(" ")),
    p(LIMITS),
    facts(
      fact("Model", `${bundle.name}, ${bundle.variant}`),
      fact("Bundle", code(bundle.id)),
      fact("Prediction", code(id)),
      input_sha256 && fact("Image SHA\u2011256", code(input_sha256)),
      request_id && fact("Request", code(request_id)),
    ),
  );
}

// The one-page report: hidden on a screen, and all that is seen on paper. It is filled as soon as a
// prediction is shown, so that the browser's own print command finds it ready.

import { bar, byId, code, fact, facts, make, named, number, p, row, rowHeader, spoken } from "./dom.js";
import { explained, reasonText } from "./explanation.js";
import { conclusionName, diagnosisName, figure, interval, leading, listed, nameOf, outcomeWord } from "./format.js";
import { perCent, percent, ranked, when } from "./format.js";
import { isSource, language, t } from "./language.js";
import { measureLimit, measureName } from "./measures.js";
import { Pane } from "./pane.js";
import { toldOf } from "./patient.js";
import { placeText } from "./texts.js";

/** Fill the report with a prediction, or empty it. */
export function fillReport(prediction, shown = {}, model = null) {
  const place = byId("report");
  document.body.classList.toggle("has-report", Boolean(prediction));
  if (!prediction) return place.replaceChildren();
  const evidence = make("div", {}, probabilities(prediction), check(prediction, model?.gate));
  return place.replaceChildren(
    top(prediction),
    blank(placeText("by_hand")),
    outcome(prediction, model),
    make("div", { class: "report-columns" }, pictures(prediction, shown), evidence),
    review(prediction, model?.labels ?? prediction.probabilities),
    foot(prediction, model),
  );
}

function top(prediction) {
  const dates = [t("report.predicted", { when: when(prediction.created) }), make("br"), t("report.printed", { when: when(new Date().toISOString()) })];
  const title = p(t("report.title"), "report-title");
  return make("header", { class: "report-head" }, title, p(named(nameOf(prediction))), p(dates, "report-date"));
}

function outcome(prediction, model) {
  const first = leading(prediction);
  const isNamed = prediction.outcome === "diagnosis" && first;
  const name = isNamed ? `: ${diagnosisName(first)}${first.malignant ? ` (${t("diagnosis.malignant_tag")})` : ""}` : "";
  const word = p(outcomeWord(prediction.outcome) + name, "report-word");
  const patient = prediction.metadata && p(toldOf(prediction.metadata));
  return make("section", { class: "report-outcome" }, word, p(explained(prediction, model)), patient);
}

/** The lesion first, alone; then with its heat map. */
function pictures({ image, probabilities: rows }, shown) {
  const { photo, map, contours, opacity, code: shownCode } = shown;
  if (!photo) return make("figure", {}, p(placeText("not_shown"), "report-blank"));
  const found = rows.find((each) => each.code === shownCode);
  const name = found ? diagnosisName(found) : "";
  const caption = (text) => make("figcaption", {}, text);
  const plain = [new Pane(image).draw({ photo }).stage, caption(t("word.image"))];
  if (!map) return make("figure", {}, ...plain);
  const how = contours ? t("report.contours") : t("report.opacity", { value: perCent(opacity) });
  return make("figure", {}, ...plain, new Pane(image).draw(shown).stage, caption(listed([t("map.of", { name }), how])));
}

function probabilities(prediction) {
  const rows = ranked(prediction);
  if (!rows.length) return p(t("report.no_probabilities"));
  const line = (name, share, malignant, strong) =>
    row(
      { class: strong ? "first" : undefined },
      rowHeader(name),
      number(percent(share)),
      make("td", { class: "bar-cell" }, bar(share, malignant)),
    );
  const first = leading(prediction);
  const lines = rows.map((each) =>
    line(each.malignant ? `${diagnosisName(each)} *` : diagnosisName(each), each.probability, each.malignant, each === first),
  );
  return make(
    "table",
    { class: "report-probabilities" },
    make("caption", {}, t("report.probabilities")),
    make("tbody", {}, ...lines),
    prediction.malignant_share !== null &&
      make("tfoot", {}, line(t("word.malignant_share"), prediction.malignant_share, true, true)),
  );
}

function check({ gate }, limits) {
  if (!gate) return null;
  const measures = Object.entries(gate.measures).map(([name, value]) =>
    `${measureName(name)} ${figure(value)} ${measureLimit(name, limits) && `(${measureLimit(name, limits)})`}`.trim(),
  );
  return make(
    "section",
    { class: "report-check" },
    make("h3", {}, t(gate.usable ? "report.check.usable" : "report.check.not_usable")),
    ...gate.reasons.map((reason) => p(reasonText(reason))),
    measures.length > 0 && p(measures.join(t("word.semicolon")), "report-small"),
  );
}

/** A line to write on. */
const blank = (name) => p(make("span", {}, name), "report-line");

function review({ review: stored }, labels) {
  const by = stored && [" (", stored.reviewer && [named(stored.reviewer), t("word.comma")], when(stored.created), ")"].flat();
  return make(
    "section",
    { class: "report-review" },
    make("h3", {}, t("review.title")),
    stored ? p([make("strong", {}, conclusionName(stored.conclusion, labels)), ...by]) : blank(t("report.conclusion")),
    stored?.note && make("p", { class: "note", dir: "auto" }, stored.note),
    blank(t("report.signature")),
  );
}

function foot({ bundle, id, input_sha256, request_id }, model) {
  const use = model?.intended_use;
  const balanced = model?.scores?.metrics?.balanced_accuracy;
  const uses = use && [t("model.for"), ": ", spoken(use.for), " ", t("model.not_for"), ": ", spoken(use.not_for), " "];
  const unread = !isSource() && !language().reviewed_by && p(t("translation.unread"));
  return make(
    "footer",
    { class: "report-foot" },
    make("h3", {}, t("report.model")),
    make("p", {}, uses, balanced && t("report.balanced_accuracy", { value: interval(balanced) })),
    p(t("report.limits")),
    unread,
    facts(
      fact(t("word.model"), named(`${bundle.name}, ${bundle.variant}`)),
      fact(t("word.bundle"), code(bundle.id)),
      fact(t("word.prediction"), code(id)),
      input_sha256 && fact(t("details.hash"), code(input_sha256)),
      request_id && fact(t("details.request"), code(request_id)),
    ),
  );
}

// About this model: what it is for and not for, how good it is and where that was measured, its limits.

import { card, code, fact, facts, head, make, number, p, row, rowHeader, scrolling } from "./dom.js";
import { brackets, bytes, figure, interval, percent, sentence } from "./format.js";
import { MEASURES, measureLimit, measureName } from "./measures.js";

const METRICS = {
  accuracy: "Accuracy",
  balanced_accuracy: "Balanced accuracy",
  macro_f1: "Macro F1",
  macro_auc: "Macro AUC",
  ece: "Calibration error (ECE)",
  brier: "Brier score",
};
const PER_CLASS = { recall: "Sensitivity", specificity: "Specificity", precision: "Precision", auc: "AUC" };
const NOT =
  " It does not examine a patient, knows nothing of history, site or change over time, and knows only the diagnoses " +
  "listed here: a lesion of any other kind is given one of them. It does not replace a physician or histology.";
const ELSEWHERE =
  "These metrics hold for images like those of the test split. At another centre, with other devices or skin types, " +
  "measure again.";
const LEAKS = "This split leaks: images of one lesion are in training and in test. The metrics are too good.";

const section = (title, ...children) => card(make("h2", {}, title), "", ...children);

/** Show the response of /v1/model. */
export function showModel(place, model) {
  place.replaceChildren(
    make("div", { class: "columns even" }, useOf(model), identityOf(model)),
    scoresOf(model.scores, model.labels),
    make("div", { class: "columns even" }, decisionOf(model.decision, model.labels), gateOf(model.gate)),
    cardOf(model.card_html),
  );
}

function useOf({ intended_use: use }) {
  const texts = { For: use.for ?? "", "Not for": use.not_for ?? "" };
  return section(
    "Intended use",
    ...Object.entries(texts).flatMap(([title, text]) => [make("h3", {}, title), p(text)]),
    make("h3", {}, "What it is not"),
    p([make("strong", {}, "Not a medical device."), NOT]),
  );
}

function identityOf({ bundle, input, limits, labels }) {
  const line = ({ name, malignant }) => make("li", {}, name, " ", malignant && make("span", { class: "sub" }, "malignant"));
  return section(
    "Identity and limits",
    facts(
      fact("Model", [bundle.name, bundle.variant, bundle.runtime].join(", ")),
      fact("Bundle", code(bundle.id)),
      fact("Input", `${input.size} \u00d7 ${input.size} pixels`),
      fact("Largest file", bytes(limits.upload_bytes, Math.floor)),
      fact("Largest image", `${(limits.pixels / 1e6).toFixed(0)} million pixels`),
      fact("Diagnoses", make("ul", { class: "plain" }, ...labels.map(line))),
    ),
  );
}

function scoresOf(scores, labels) {
  const title = "Measured performance";
  if (!scores) return section(title, p("This model was not measured. Measure it on your own images before use."));
  const where = [
    `${scores.n_images} images`,
    `${scores.n_lesions} lesions`,
    `${scores.split} split`,
    scores.protocol && `protocol ${scores.protocol}`,
  ];
  const tile = ([name, text]) => {
    const metric = scores.metrics[name];
    const spread = make("span", { class: "sub" }, brackets(metric) || metric.reason || "");
    return make("div", { class: "tile" }, make("span", {}, text), make("strong", {}, metric.value.toFixed(3)), spread);
  };
  const known = Object.entries(METRICS).filter(([name]) => scores.metrics[name]);
  const level = figure(100 * (scores.confidence ?? 0.95));
  return section(
    title,
    p(`${where.filter(Boolean).join(", ")}. In brackets: ${level} % intervals by lesion.`),
    scores.leaks && p(LEAKS, "problem"),
    make("div", { class: "tiles" }, ...known.map(tile)),
    scores.per_class && perDiagnosis(scores.per_class, labels),
    p(ELSEWHERE, "sub"),
  );
}

function perDiagnosis(metrics, labels) {
  const name = "Metrics of each diagnosis";
  const line = (label) => {
    const values = metrics[label.code];
    return row({}, rowHeader(label.name), ...[values.n, ...Object.keys(PER_CLASS).map((key) => interval(values[key]))].map(number));
  };
  const table = make(
    "table",
    { class: "plain-table" },
    make("caption", { class: "unseen" }, name),
    make("thead", {}, head(["Diagnosis", "Images", ...Object.values(PER_CLASS)], (_, at) => at > 0)),
    make("tbody", {}, ...labels.filter((label) => metrics[label.code]).map(line)),
  );
  return scrolling(name, table);
}

/** When the outcome is "not sure", and what that did on the validation split. */
function decisionOf(decision, labels) {
  const title = "When the outcome is \u201cnot sure\u201d";
  if (typeof decision?.threshold !== "number") {
    const why = sentence(decision?.reason || "it was exported without one");
    return section(title, p(`Never: this bundle has no threshold for it. ${why}`));
  }
  const names = decision.watched.map((each) => labels.find((label) => label.code === each)?.name ?? each);
  const watched = names.join(", ").toLowerCase();
  const measured = decision.validation ?? {};
  const from = `${measured.n_images} images of the ${measured.split} split, ${measured.n_watched} of them ${watched}`;
  return section(
    title,
    p(
      `When another diagnosis leads, but the probability of ${watched} is ${percent(decision.threshold, 2)} or more. The threshold ` +
        `was chosen so that ${percent(decision.sensitivity)} of such lesions are named or left to a person.`,
    ),
    facts(
      measured.n_images && fact("Chosen on", from),
      measured.sensitivity && fact("Not missed there", interval(measured.sensitivity)),
      measured.not_sure && fact("Not sure there", `${interval(measured.not_sure)} of all images`),
      measured.accuracy_answered && fact("Accuracy of the rest", interval(measured.accuracy_answered)),
    ),
  );
}

/** What an image must meet before it is read. */
function gateOf(gate) {
  const title = "Image check";
  if (!gate) return section(title, p("None: this bundle does not check whether an image is usable, nor whether it is dermoscopic."));
  const limits = MEASURES.map((name) => [measureName(name), measureLimit(name, gate).replace(/^\(|\)$/g, "")]);
  const rejected = gate.validation?.share_rejected;
  const there = typeof rejected === "number" ? `; on the validation split it was ${percent(rejected)}` : "";
  return section(
    title,
    p(
      `Images outside these limits get no diagnosis. They were set so that about ${percent(gate.rejection_rate)} of good images ` +
        `are rejected${there}.`,
    ),
    facts(...limits.filter(([, limit]) => limit).map(([name, limit]) => fact(name, limit))),
  );
}

/** The model card, which the server rendered, or checked to hold nothing but plain elements. */
function cardOf(html) {
  const text = make("div", { innerHTML: html });
  for (const table of text.querySelectorAll("table")) {
    const names = [...table.querySelectorAll("th")].slice(0, 3).map((cell) => cell.textContent);
    table.setAttribute("aria-label", `Table: ${names.join(", ")}`);
    const place = scrolling(table.getAttribute("aria-label"));
    table.replaceWith(place);
    place.append(table);
  }
  return make("details", { class: "card card-text" }, make("summary", {}, "Model card"), text);
}

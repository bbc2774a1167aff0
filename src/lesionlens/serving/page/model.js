// About this model: what it is for and not for, how good it is and where that was measured, its limits.

import { fact, make } from "./dom.js";
import { bytes, figure, interval, percent, sentence } from "./format.js";
import { markdown } from "./markdown.js";
import { MEASURES, measureLimit, measureName } from "./measures.js";

const FIGURES = {
  accuracy: "Accuracy",
  balanced_accuracy: "Balanced accuracy",
  macro_f1: "Macro F1",
  macro_auc: "Macro AUC",
  ece: "Calibration error (ECE)",
  brier: "Brier score",
};

const NOT =
  " It does not examine a patient, knows nothing of history, site or change over time, and knows only the diagnoses " +
  "listed here: a lesion of any other kind is given one of them. It does not replace a physician or histology.";
const ELSEWHERE =
  "These figures hold for images like those of the test split. At another centre, with other devices or skin types, " +
  "measure again.";

/** Show what /v1/model says. */
export function showModel(place, model) {
  place.replaceChildren(
    make("div", { class: "columns even" }, useOf(model), identityOf(model)),
    scoresOf(model.scores, model.labels),
    make("div", { class: "columns even" }, decisionOf(model.decision, model.labels), gateOf(model.gate)),
    make("details", { class: "card card-text" }, make("summary", {}, "Model card"), ...markdown(model.card ?? "")),
  );
}

function useOf(model) {
  const use = model.intended_use;
  const lines =
    typeof use === "string"
      ? [make("p", {}, use)]
      : [
          make("h3", {}, "For"),
          make("p", {}, use?.for ?? ""),
          make("h3", {}, "Not for"),
          make("p", {}, use?.not_for ?? ""),
        ];
  return make(
    "section",
    { class: "card" },
    make("h2", {}, "Intended use"),
    ...lines,
    make("h3", {}, "What it is not"),
    make("p", {}, make("strong", {}, "Not a medical device."), NOT),
  );
}

function identityOf(model) {
  const { bundle, input, limits } = model;
  return make(
    "section",
    { class: "card" },
    make("h2", {}, "Identity and limits"),
    make(
      "dl",
      { class: "facts" },
      fact("Model", [bundle.name, bundle.variant, bundle.runtime].filter(Boolean).join(", ")),
      fact("Bundle", make("code", {}, bundle.id)),
      input?.size && fact("Looks at", `${input.size} \u00d7 ${input.size} pixels`),
      limits?.upload_bytes && fact("Largest file", bytes(limits.upload_bytes, Math.floor)),
      limits?.pixels && fact("Largest image", `${(limits.pixels / 1e6).toFixed(0)} million pixels`),
      fact(
        "Diagnoses",
        make(
          "ul",
          { class: "plain" },
          ...model.labels.map((label) =>
            make("li", {}, label.name, " ", label.malignant && make("span", { class: "sub" }, "malignant")),
          ),
        ),
      ),
    ),
  );
}

function scoresOf(scores, labels) {
  const heading = make("h2", {}, "Measured performance");
  const values = scores?.metrics ?? scores;
  const known = Object.entries(FIGURES).filter(([name]) => values?.[name]);
  if (!known.length)
    return make(
      "section",
      { class: "card" },
      heading,
      make("p", {}, "No figures were measured for this model. Measure it on your own images before use."),
    );
  const per = scores.per_class ?? values.per_class;
  const where = [
    scores.n_images && `${scores.n_images} images`,
    scores.n_lesions && `${scores.n_lesions} lesions`,
    scores.split && `${scores.split} part`,
    scores.protocol && `protocol ${scores.protocol}`,
  ]
    .filter(Boolean)
    .join(", ");
  return make(
    "section",
    { class: "card" },
    heading,
    make(
      "p",
      {},
      `${where || "Test part"}. In brackets: ${figure(100 * (scores.confidence ?? 0.95))} % intervals, resampled by lesion.`,
    ),
    scores.leaks &&
      make(
        "p",
        { class: "problem" },
        "This split leaks: images of one lesion are in training and in test. The figures are too good.",
      ),
    make(
      "div",
      { class: "tiles" },
      ...known.map(([name, title]) =>
        make(
          "div",
          { class: "tile" },
          make("span", {}, title),
          make("strong", {}, values[name].value.toFixed(3)),
          make("span", { class: "sub" }, interval(values[name]).replace(/^\S+ /, "")),
        ),
      ),
    ),
    per && perDiagnosis(per, labels),
    make("p", { class: "sub" }, ELSEWHERE),
  );
}

function perDiagnosis(per, labels) {
  const columns = { recall: "Sensitivity", specificity: "Specificity", precision: "Precision", auc: "AUC" };
  const line = (label) => {
    const row = per[label.code];
    return make(
      "tr",
      {},
      make("th", { scope: "row" }, label.name),
      make("td", { class: "number" }, String(row.n ?? "")),
      ...Object.keys(columns).map((name) => make("td", { class: "number" }, interval(row[name]))),
    );
  };
  const head = ["Diagnosis", "Images", ...Object.values(columns)].map((name, place) =>
    make("th", { scope: "col", class: place ? "number" : undefined }, name),
  );
  return make(
    "div",
    { class: "scroll", tabIndex: 0, role: "group", "aria-label": "Figures of each diagnosis" },
    make(
      "table",
      { class: "plain-table" },
      make("caption", { class: "unseen" }, "Figures of each diagnosis"),
      make("thead", {}, make("tr", {}, ...head)),
      make("tbody", {}, ...labels.filter((label) => per[label.code]).map(line)),
    ),
  );
}

/** When the answer is "not sure", and what that did on the validation split. */
function decisionOf(decision, labels) {
  const heading = make("h2", {}, "When the answer is \u201cnot sure\u201d");
  if (typeof decision?.threshold !== "number") {
    return make(
      "section",
      { class: "card" },
      heading,
      make(
        "p",
        {},
        `Never: this bundle has no threshold for it. ${sentence(decision?.reason || "it was exported without one")}`,
      ),
    );
  }
  const watched = decision.watched.map((code) => labels.find((label) => label.code === code)?.name ?? code).join(", ");
  const found = decision.validation ?? {};
  return make(
    "section",
    { class: "card" },
    heading,
    make(
      "p",
      {},
      `When another diagnosis leads, but the probability of ${watched.toLowerCase()} is ${figure(decision.threshold)} ` +
        `or more. The threshold was chosen so that ${percent(decision.sensitivity)} of such lesions are named or left ` +
        "to a person.",
    ),
    make(
      "dl",
      { class: "facts" },
      found.n_images &&
        fact(
          "Chosen on",
          `${found.n_images} images of the ${found.split ?? "validation"} part, ` +
            `${found.n_watched} of them ${watched.toLowerCase()}`,
        ),
      found.sensitivity && fact("Not missed there", interval(found.sensitivity)),
      found.not_sure && fact("Not sure there", `${interval(found.not_sure)} of all images`),
      found.accuracy_answered && fact("Accuracy of the rest", interval(found.accuracy_answered)),
    ),
  );
}

/** What an image must fulfil before it is read. */
function gateOf(gate) {
  const heading = make("h2", {}, "Image check");
  if (!gate)
    return make(
      "section",
      { class: "card" },
      heading,
      make("p", {}, "None: this bundle does not check whether an image is usable, nor whether it is dermoscopic."),
    );
  const limits = MEASURES.map((name) => [measureName(name), measureLimit(name, gate).replace(/^\(|\)$/g, "")]).filter(
    ([, limit]) => limit,
  );
  const rejected = gate.validation?.share_rejected;
  const seen = typeof rejected === "number" ? `; on the validation split it was ${percent(rejected)}` : "";
  return make(
    "section",
    { class: "card" },
    heading,
    make(
      "p",
      {},
      "Images outside these limits get no diagnosis. They were set so that about " +
        `${percent(gate.rejection_rate)} of good images are turned away${seen}.`,
    ),
    make("dl", { class: "facts" }, ...limits.map(([name, limit]) => fact(name, limit))),
  );
}

// The one-page report: hidden on a screen, all that is seen on paper. It is filled as soon as an answer
// is shown, so that the browser's own print command finds it ready.

import { byId, fact, make } from "./dom.js";
import { OUTCOMES, conclusionName, explained, figure, interval, leading, percent, sentence, when } from "./format.js";
import { measureLimit, measureName } from "./measures.js";

const LIMITS =
  "Research and decision support, not a medical device. Probabilities are calibrated for images like those of the model's " +
  "test data. A heat map shows where the network found evidence, not why, and not that it is right. A person trained to read " +
  "dermoscopic images decides; doubtful lesions need examination and, where indicated, histology.";

/** Fill the report with an answer, or empty it. */
export function fillReport(answer, shown = {}, model = null) {
  const place = byId("report");
  document.body.classList.toggle("has-report", Boolean(answer));
  if (!answer) return place.replaceChildren();
  return place.replaceChildren(
    head(answer),
    blank("Patient, site of the lesion (by hand; the server knows neither)"),
    outcome(answer),
    make(
      "div",
      { class: "report-columns" },
      pictures(answer, shown),
      make("div", {}, probabilities(answer), check(answer, model?.gate)),
    ),
    review(answer, model?.labels ?? answer.probabilities),
    foot(answer, model),
  );
}

function head(answer) {
  return make(
    "header",
    { class: "report-head" },
    make("p", { class: "report-title" }, "LesionLens report"),
    make("p", {}, answer.file_name || "Image without a name"),
    make(
      "p",
      { class: "report-date" },
      `Answered ${when(answer.created)}`,
      make("br"),
      `Printed ${when(new Date().toISOString())}`,
    ),
  );
}

function outcome(answer) {
  const first = leading(answer);
  const named = answer.outcome === "diagnosis" && first;
  return make(
    "section",
    { class: "report-outcome" },
    make(
      "p",
      { class: "report-word" },
      OUTCOMES[answer.outcome].word,
      named ? `: ${first.name}${first.malignant ? " (malignant)" : ""}` : "",
    ),
    make("p", {}, explained(answer)),
  );
}

function pictures(answer, shown) {
  const { width, height } = answer.image;
  const stage = (...images) => {
    const element = make("div", { class: shown.blended ? "stage blended" : "stage" }, ...images);
    element.style.setProperty("--ratio", width / height);
    return element;
  };
  const photo = () => make("img", { class: "photo", src: shown.photo, alt: "" });
  const name = answer.probabilities.find((row) => row.code === shown.code)?.name ?? "";
  if (!shown.photo)
    return make("figure", {}, make("p", { class: "report-blank" }, "The picture is not kept on the server."));
  if (!shown.map)
    return make(
      "figure",
      {},
      stage(photo()),
      make("figcaption", {}, shown.blended && name ? `Image with heat map for ${name}` : "Image"),
    );
  const map = make("img", { class: "map", src: shown.map, alt: "" });
  map.style.opacity = shown.opacity / 100;
  return make(
    "figure",
    {},
    stage(photo()),
    make("figcaption", {}, "Image"),
    stage(photo(), map),
    make("figcaption", {}, `Heat map for ${name}, opacity ${shown.opacity} %`),
  );
}

function probabilities(answer) {
  if (!answer.probabilities.length) return make("p", {}, "No probabilities: the image was not usable.");
  const rows = [...answer.probabilities].sort((a, b) => b.probability - a.probability);
  const line = (name, share, malignant, strong) => {
    const fill = make("span", { class: malignant ? "fill malignant" : "fill" });
    fill.style.width = `${100 * share}%`;
    return make(
      "tr",
      { class: strong ? "first" : undefined },
      make("th", { scope: "row" }, name),
      make("td", { class: "number" }, percent(share)),
      make("td", { class: "bar-cell" }, make("span", { class: "bar" }, fill)),
    );
  };
  return make(
    "table",
    { class: "report-probabilities" },
    make("caption", {}, "Calibrated probabilities (* malignant)"),
    make(
      "tbody",
      {},
      ...rows.map((row) =>
        line(row.malignant ? `${row.name} *` : row.name, row.probability, row.malignant, row === leading(answer)),
      ),
    ),
    make("tfoot", {}, line("Malignant share", answer.malignant_share ?? 0, true, true)),
  );
}

function check(answer, limits) {
  if (!answer.gate) return null;
  const measures = Object.entries(answer.gate.measures ?? {}).map(([name, value]) =>
    `${measureName(name)} ${figure(value)} ${measureLimit(name, limits)}`.trim(),
  );
  return make(
    "section",
    { class: "report-check" },
    make("h3", {}, `Image check: ${answer.gate.usable ? "usable" : "not usable"}`),
    ...(answer.gate.reasons ?? []).map((reason) => make("p", {}, sentence(reason.text))),
    measures.length > 0 && make("p", { class: "report-small" }, measures.join("; ")),
  );
}

/** A line to write on. */
const blank = (name) => make("p", { class: "report-line" }, make("span", {}, name));

function review(answer, labels) {
  const said = answer.review;
  return make(
    "section",
    { class: "report-review" },
    make("h3", {}, "Review"),
    said
      ? make(
          "p",
          {},
          make("strong", {}, conclusionName(said.conclusion, labels)),
          ` (${[said.reviewer, when(said.created)].filter(Boolean).join(", ")})`,
        )
      : blank("Conclusion"),
    said?.note && make("p", { class: "note" }, said.note),
    blank("Date, name, signature"),
  );
}

function foot(answer, model) {
  const use = model?.intended_use;
  const scores = model?.scores?.metrics;
  const balanced = scores?.balanced_accuracy;
  const measured = balanced && `Balanced accuracy on its test split ${interval(balanced)}.`;
  return make(
    "footer",
    { class: "report-foot" },
    make("h3", {}, "Model and its limits"),
    make(
      "p",
      {},
      [typeof use === "string" ? use : use?.for && `For: ${use.for} Not for: ${use.not_for}`, measured]
        .filter(Boolean)
        .join(" "),
    ),
    make("p", {}, LIMITS),
    make(
      "dl",
      { class: "facts" },
      fact("Model", `${answer.bundle.name}, ${answer.bundle.variant}`),
      fact("Bundle", make("code", {}, answer.bundle.id)),
      fact("Answer", make("code", {}, answer.id)),
      fact("Image SHA\u2011256", make("code", {}, answer.input_sha256)),
      fact("Request", make("code", {}, answer.request_id)),
    ),
  );
}

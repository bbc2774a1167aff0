// About this model: what it is for and not for, how good it is and where that was measured, its limits.

import { card, code, fact, facts, head, make, malignantTag, named, number, p, row, rowHeader, scrolling, spoken } from "./dom.js";
import { brackets, bytes, diagnosisAbout, diagnosisName, figure, interval, listed, number as numberText, perCent, percent, sentence } from "./format.js";
import { ICD11 } from "./icd11.js";
import { knows, t } from "./language.js";
import { MEASURES, measureLimit, measureName } from "./measures.js";
import { fill } from "./redraw.js";

const METRICS = ["accuracy", "balanced_accuracy", "macro_f1", "macro_auc", "ece", "brier"];
const PER_CLASS = ["recall", "specificity", "precision", "auc"];

const section = (title, ...children) => card(make("h2", {}, title), "", ...children);

/** Show the response of /v1/model. */
export function showModel(place, model) {
  fill(place, () => [
    make("div", { class: "columns even" }, useOf(model), identityOf(model)),
    diagnosesOf(model.labels),
    scoresOf(model.scores, model.labels),
    make("div", { class: "columns even" }, decisionOf(model.decision, model.labels), gateOf(model.gate)),
    cardOf(model.card_html),
  ]);
}

function useOf({ intended_use: use }) {
  const part = (name, text) => [make("h3", {}, t(`model.${name}`)), p(spoken(text ?? ""))];
  return section(
    t("model.use"),
    ...part("for", use.for),
    ...part("not_for", use.not_for),
    make("h3", {}, t("model.is_not")),
    p([make("strong", {}, t("model.no_device")), " ", t("model.does_not")]),
  );
}

function identityOf({ bundle, input, limits }) {
  return section(
    t("model.identity"),
    facts(
      fact(t("word.model"), named(listed([bundle.name, bundle.variant, bundle.runtime]))),
      fact(t("word.bundle"), code(bundle.id)),
      fact(t("model.input"), t("details.pixels", { width: input.size, height: input.size })),
      fact(t("model.largest_file"), bytes(limits.upload_bytes, Math.floor)),
      fact(t("model.largest_image"), t("model.megapixels", { count: Math.round(limits.pixels / 1e6) })),
    ),
  );
}

/** What it can name: names in this language, codes of ICD-11, and a sentence about each. */
function diagnosesOf(labels) {
  const line = (label) =>
    row(
      {},
      rowHeader(diagnosisName(label), " ", label.malignant && malignantTag(), make("span", { class: "sub" }, diagnosisAbout(label))),
      make("td", {}, code(label.code)),
      make("td", {}, ICD11[label.code] ? code(ICD11[label.code]) : "\u2013"),
    );
  const title = make("h2", { id: "diagnoses-title" }, t("model.diagnoses"));
  const names = [t("word.diagnosis"), t("model.short_code"), t("model.icd11")];
  const table = make("table", { class: "plain-table diagnoses", "aria-labelledby": title.id }, make("thead", {}, head(names)), make("tbody", {}, ...labels.map(line)));
  return card(title, "", table, p(t("model.icd11_note"), "sub"));
}

function scoresOf(scores, labels) {
  const title = t("model.performance");
  if (!scores) return section(title, p(t("model.unmeasured")));
  const where = [
    t("list.images", { count: scores.n_images }),
    t("model.lesions", { count: scores.n_lesions }),
    t("model.split", { split: splitName(scores.split) }),
    scores.protocol && t("model.protocol", { protocol: scores.protocol }),
  ];
  const tile = (name) => {
    const metric = scores.metrics[name];
    const spread = make("span", { class: "sub" }, brackets(metric) || (metric.reason && spoken(metric.reason)) || "");
    return make("div", { class: "tile" }, make("span", {}, t(`metric.${name}`)), make("strong", {}, numberText(metric.value.toFixed(3))), spread);
  };
  const known = METRICS.filter((name) => scores.metrics[name]);
  const level = perCent(Number((100 * (scores.confidence ?? 0.95)).toPrecision(4)));
  return section(
    title,
    p(`${listed(where)}. ${t("model.intervals", { level })}`),
    scores.leaks && p(t("model.leaks"), "problem"),
    make("div", { class: "tiles" }, ...known.map(tile)),
    scores.per_class && perDiagnosis(scores.per_class, labels),
    p(t("model.elsewhere"), "sub"),
  );
}

function perDiagnosis(metrics, labels) {
  const name = t("model.per_diagnosis");
  const line = (label) => {
    const values = metrics[label.code];
    return row({}, rowHeader(diagnosisName(label)), ...[figure(values.n), ...PER_CLASS.map((key) => interval(values[key]))].map(number));
  };
  const table = make(
    "table",
    { class: "plain-table" },
    make("caption", { class: "unseen" }, name),
    make("thead", {}, head([t("word.diagnosis"), t("view.images"), ...PER_CLASS.map((key) => t(`metric.${key}`))], (_, at) => at > 0)),
    make("tbody", {}, ...labels.filter((label) => metrics[label.code]).map(line)),
  );
  return scrolling(name, table);
}

const splitName = (split) => (knows(`split.${split}`) ? t(`split.${split}`) : split);

/** When the outcome is "not sure", and what that did on the validation split. */
function decisionOf(decision, labels) {
  const title = t("decision.title");
  if (typeof decision?.threshold !== "number") {
    const why = decision?.reason ? spoken(decision.reason, sentence) : sentence(t("known.no_threshold"));
    return section(title, p([t("decision.never"), " ", why]));
  }
  const watched = listed(decision.watched.map((each) => diagnosisName(labels.find(({ code: known }) => known === each) ?? { code: each, name: each })));
  const measured = decision.validation ?? {};
  const from = () => t("decision.chosen_from", { images: measured.n_images, split: splitName(measured.split), watched: measured.n_watched });
  const values = { watched, threshold: percent(decision.threshold, 2), sensitivity: percent(decision.sensitivity) };
  return section(
    title,
    p(t("decision.rule", values)),
    facts(
      measured.n_images && fact(t("decision.chosen_on"), from()),
      measured.sensitivity && fact(t("decision.not_missed"), interval(measured.sensitivity)),
      measured.not_sure && fact(t("decision.not_sure"), t("decision.of_all", { share: interval(measured.not_sure) })),
      measured.accuracy_answered && fact(t("decision.accuracy"), interval(measured.accuracy_answered)),
    ),
  );
}

/** What an image must meet before it is read. */
function gateOf(gate) {
  const title = t("check.title");
  if (!gate) return section(title, p(t("gate.none")));
  const limits = MEASURES.map((name) => [measureName(name), measureLimit(name, gate)]);
  const rejected = gate.validation?.share_rejected;
  const there = typeof rejected === "number" && t("gate.rejected_there", { share: percent(rejected) });
  return section(
    title,
    p([t("gate.rule", { share: percent(gate.rejection_rate) }), there].filter(Boolean).join(" ")),
    facts(...limits.filter(([, limit]) => limit).map(([name, limit]) => fact(name, limit))),
  );
}

/** The model card in English, which the server rendered, or checked to hold nothing but plain elements. */
function cardOf(html) {
  const text = make("div", { lang: "en", dir: "ltr", innerHTML: html });
  for (const table of text.querySelectorAll("table")) {
    const names = [...table.querySelectorAll("th")].slice(0, 3).map((cell) => cell.textContent);
    table.setAttribute("aria-label", t("model.table", { columns: names.join(", ") }));
    const place = scrolling(table.getAttribute("aria-label"));
    table.replaceWith(place);
    place.append(table);
  }
  return make("details", { class: "card card-text" }, make("summary", {}, t("model.card")), text);
}

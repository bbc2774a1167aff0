// One of three outcomes and the sentence that explains it, as `bundle.outcome` makes them, from the sentences of model.json.

import { roundedPercent } from "./share.js";

const fill = (sentence, values) => sentence.replace(/\{(\w+)\}/g, (_, name) => values[name]);

/** The page's rule for probabilities, as Python's sentences write them. */
function words(share, decimals) {
  const { sign, number } = roundedPercent(share, decimals);
  return `${sign}${number} %`;
}

const rounded = (value, digits) => Number(value.toFixed(digits));

/** The probability that a decision watches, in single precision as in Python. */
function watchedProbability({ watched }, labels, probabilities) {
  const parts = watched.map((code) => probabilities[labels.findIndex((label) => label.code === code)]);
  return parts.reduce((sum, value) => Math.fround(sum + value), 0);
}

/** Which outcome applies: `gate` is the result of the check or null, `probabilities` a Float32Array. */
export function outcomeOf(model, probabilities, gate) {
  const { decision, about: { labels } } = model;
  if (gate && !gate.usable) return "not_usable";
  if (typeof decision?.threshold !== "number") return "diagnosis";
  const first = labels[indexOfLargest(probabilities)].code;
  const reached = watchedProbability(decision, labels, probabilities) >= Math.fround(decision.threshold);
  return reached && !decision.watched.includes(first) ? "not_sure" : "diagnosis";
}

/** The outcome in one or two sentences, for people. */
export function explanationOf(model, probabilities, gate) {
  const { sentences, decision, about: { labels } } = model;
  const outcome = outcomeOf(model, probabilities, gate);
  if (outcome === "not_usable") return fill(sentences.not_usable, { reasons: gate.reasons.map(({ text }) => text).join("; ") });
  const number = indexOfLargest(probabilities);
  const { name, code } = labels[number];
  const first = fill(sentences.first, { name, code, probability: words(probabilities[number]) });
  const unchecked = gate ? "" : ` ${sentences.not_checked}`;
  if (outcome === "not_sure") {
    const numbers = { probability: words(watchedProbability(decision, labels, probabilities), 2), threshold: words(decision.threshold, 2) };
    return fill(sentences.not_sure, { first, watched: decision.name, ...numbers, notes: unchecked });
  }
  const sum = malignantShare(labels, probabilities);
  const share = sum === null ? sentences.none_malignant : fill(sentences.share, { probability: words(sum) });
  return fill(sentences.diagnosis, { first, share, notes: sentences.caution + unchecked });
}

/** What a server would respond about these outputs, without what belongs to the request. */
export function predictionBody(model, probabilities, gate) {
  const { labels } = model.about;
  const digits = model.prediction.digits;
  const outcome = outcomeOf(model, probabilities, gate);
  const usable = outcome !== "not_usable";
  const share = malignantShare(labels, probabilities);
  const rows = labels.map((label, at) => ({ ...label, probability: rounded(probabilities[at], digits) }));
  const measures = gate && Object.fromEntries(Object.entries(gate.measures).map(([name, value]) => [name, rounded(value, 4)]));
  return {
    outcome,
    explanation: explanationOf(model, probabilities, gate),
    diagnosis: outcome === "diagnosis" ? labels[indexOfLargest(probabilities)].code : null,
    malignant_share: usable && share !== null ? rounded(share, digits) : null,
    probabilities: usable ? rows : [],
    gate: gate && { ...gate, measures },
  };
}

function malignantShare(labels, probabilities) {
  if (!labels.some((label) => label.malignant)) return null;
  return Math.min(1, labels.reduce((sum, label, at) => (label.malignant ? Math.fround(sum + probabilities[at]) : sum), 0));
}

const indexOfLargest = (values) => values.indexOf(Math.max(...values));

// Why an image got its outcome, in a sentence or two. In English it is the server's own; in other languages the page says the
// same from the numbers of the prediction.

import { spoken } from "./dom.js";
import { diagnosisName, leading, listed, outcomeWord, percent, sentence } from "./format.js";
import { isSource, knows, t } from "./language.js";

/** The sentences of a prediction as children of an element; `model` is the response of /v1/model, or null. */
export function explained(prediction, model) {
  if (isSource()) return [withoutOutcome(prediction)];
  const { outcome, gate, probabilities } = prediction;
  if (outcome === "not_usable") {
    const reasons = (gate?.reasons ?? []).map(reasonText);
    return [t("explanation.not_usable"), ...reasons.flatMap((reason) => [" ", reason])];
  }
  const made = model?.bundle.id === prediction.bundle.id ? model : null; // thresholds belong to the bundle that predicted
  const first = leading(prediction);
  const values = { first: t("explanation.first", { name: diagnosisName(first), probability: percent(first.probability) }) };
  const main = outcome === "not_sure" ? notSure(made?.decision, probabilities, values) : t("explanation.diagnosis", { ...values, share: shareText(prediction) });
  const caution = made && outcome === "diagnosis" && typeof made.decision?.threshold !== "number" && t("explanation.no_threshold");
  return [[main, caution, !gate && t("explanation.not_checked")].filter(Boolean).join(" ")];
}

/** A reason of the image check as a sentence. */
export const reasonText = ({ code, text }) => (knows(`reason.${code}`) && !isSource() ? sentence(t(`reason.${code}`)) : spoken(text, sentence));

function notSure(decision, probabilities, values) {
  if (typeof decision?.threshold !== "number") return t("explanation.not_sure.short", values);
  const watched = probabilities.filter(({ code }) => decision.watched.includes(code));
  const sum = watched.reduce((total, { probability }) => total + probability, 0);
  const numbers = { probability: percent(sum, 2), threshold: percent(decision.threshold, 2) };
  return t("explanation.not_sure", { ...values, watched: listed(watched.map(diagnosisName)), ...numbers });
}

const shareText = ({ malignant_share: share }) => (share === null ? t("explanation.none_malignant") : t("explanation.share", { probability: percent(share) }));

/** The server's sentence, without the outcome where the heading has said it already. */
function withoutOutcome({ outcome, explanation }) {
  const said = `${outcomeWord(outcome)}. `;
  return explanation.startsWith(said) ? explanation.slice(said.length) : explanation;
}

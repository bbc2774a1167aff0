// Numbers, dates and names as people read them. Every number is exact to its last digit.

const THIN = "\u202f"; // a narrow space that does not break
const WHEN = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
const WHEN_SHORT = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });

export const OUTCOMES = {
  diagnosis: { word: "Suggested diagnosis", short: "Diagnosis" },
  not_sure: { word: "Not sure: have a person look", short: "Not sure" },
  not_usable: { word: "Image not usable", short: "Not usable" },
};

export const CONCLUSIONS = { other: "Other diagnosis", unusable: "Image unusable" };

/** A share in [0, 1] in per cent; what would round to 0.0 or 100.0 shows that it is not quite. */
export function percent(share) {
  if (share === null || share === undefined || !Number.isFinite(share)) return "\u2013";
  if (share > 0 && share < 0.0005) return `<0.1${THIN}%`;
  if (share < 1 && share >= 0.9995) return `>99.9${THIN}%`;
  return `${(100 * share).toFixed(1)}${THIN}%`;
}

/** A time of the server (ISO 8601) in this browser's time zone. */
export function when(created, short = false) {
  const date = new Date(created);
  if (Number.isNaN(date.getTime())) return String(created ?? "");
  return (short ? WHEN_SHORT : WHEN).format(date);
}

/** Milliseconds, exact enough to compare. */
export const milliseconds = (value) => `${value < 10 ? value.toFixed(1) : value.toFixed(0)}${THIN}ms`;

/** Bytes in the unit that people use for files; round limits down, and what exceeds them up. */
export function bytes(count, round = Math.round) {
  if (count >= 1e6) return `${round(count / 1e5) / 10}${THIN}MB`;
  return count >= 1e3 ? `${round(count / 1e3)}${THIN}kB` : `${count}${THIN}bytes`;
}

/** A measure of the image check: four significant digits. */
export function figure(value) {
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value !== "number") return String(value);
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
}

/** A score with its interval, three decimals; with its count where it has no interval. */
export function interval(score) {
  if (!score || typeof score.value !== "number") return "\u2013";
  return [score.value.toFixed(3), brackets(score)].filter(Boolean).join(" ");
}

/** The interval of a score in brackets, or its count; empty without either. */
export function brackets(score) {
  if (typeof score.low === "number") return `[${score.low.toFixed(3)}, ${score.high.toFixed(3)}]`;
  return score.of ? `(${score.count} of ${score.of})` : "";
}

/** `snake_case` as words. */
export function words(name) {
  const text = String(name).replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** A clause as a sentence. */
export const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;

/** The probabilities, the highest first. */
export const ranked = (prediction) => [...prediction.probabilities].sort((a, b) => b.probability - a.probability);

/** The most probable diagnosis, whatever the outcome; null where there are no probabilities. */
export const leading = (prediction) =>
  prediction.probabilities.find((row) => row.code === prediction.diagnosis) ?? ranked(prediction)[0] ?? null;

/** The server's sentence, without the outcome where the heading has said it already. */
export function explained(prediction) {
  const said = `${OUTCOMES[prediction.outcome].word}. `;
  return prediction.explanation.startsWith(said) ? prediction.explanation.slice(said.length) : prediction.explanation;
}

/** The outcome in a few words: the diagnosis with its probability, or why there is none. */
export function inShort(prediction) {
  const first = leading(prediction);
  const named = prediction.outcome === "diagnosis" && first;
  return named ? `${first.name}, ${percent(first.probability)}` : OUTCOMES[prediction.outcome].short;
}

/** The file name of a prediction. */
export const nameOf = (prediction) => prediction.file_name || "Image without a name";

/** What a reviewer concluded, in full. */
export const conclusionName = (conclusion, labels) =>
  CONCLUSIONS[conclusion] ?? labels.find((label) => label.code === conclusion)?.name ?? conclusion;

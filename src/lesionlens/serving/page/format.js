// Numbers, dates and names as people read them. Every number is exact to its last digit.

const THIN = "\u202f"; // a narrow space that does not break
const MINUTE = { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short" };
const WHEN = new Intl.DateTimeFormat("en-GB", { ...MINUTE, second: "2-digit" });
const WHEN_SHORT = new Intl.DateTimeFormat("en-GB", MINUTE);

export const OUTCOMES = {
  diagnosis: { word: "Suggested diagnosis", short: "Diagnosis" },
  not_sure: { word: "Not sure: have a person look", short: "Not sure" },
  not_usable: { word: "Image not usable", short: "Not usable" },
};

export const CONCLUSIONS = { other: "Other diagnosis", unusable: "Image unusable" };

/**
 * A share in [0, 1] in per cent. Nothing reads as 0 or 100: nobody has that certainty.
 *
 * `core.percent` in Python follows the same rule, for sentences and pictures.
 */
export function percent(share, decimals = 1) {
  if (share === null || share === undefined || !Number.isFinite(share)) return "\u2013";
  const rounded = (100 * Number(share.toFixed(6))).toFixed(decimals);
  if (Number(rounded) >= 100) return `>${(100 - 10 ** -decimals).toFixed(decimals)}${THIN}%`;
  if (Number(rounded) <= 0) return `<${(10 ** -decimals).toFixed(decimals)}${THIN}%`;
  return `${rounded}${THIN}%`;
}

/** A time of the server (ISO 8601) in this browser's time zone, which it names. */
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

const COUNTED = {
  diagnosis: ["diagnosis", "diagnoses"],
  not_sure: ["not sure", "not sure"],
  not_usable: ["not usable", "not usable"],
  failed: ["refused", "refused"],
};

/** How many images ended how, in words: `{ diagnosis: 3, failed: 1 }` gives "3 diagnoses, 1 refused". */
export const counted = (counts) =>
  Object.entries(COUNTED)
    .filter(([kind]) => counts[kind])
    .map(([kind, [one, many]]) => `${counts[kind]} ${counts[kind] === 1 ? one : many}`)
    .join(", ");

/** The file name of a prediction. */
export const nameOf = (prediction) => prediction.file_name || "Image without a name";

/** What a reviewer concluded, in full. */
export const conclusionName = (conclusion, labels) =>
  CONCLUSIONS[conclusion] ?? labels.find((label) => label.code === conclusion)?.name ?? conclusion;

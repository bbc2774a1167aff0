// Numbers, dates and names as people read them. Every number is exact to its last digit.

import { isSame, isSource, isolated, knows, language, numeral, t } from "./language.js";
import { roundedPercent } from "./share.js";

const THIN = "\u202f"; // a narrow space that does not break
const NONE = "\u2013";
const DAY = { day: "numeric", month: "short", year: "numeric" };
const MINUTE = { ...DAY, hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZoneName: "short" };
const SECOND = { ...MINUTE, second: "2-digit" };

export const OUTCOMES = ["diagnosis", "not_sure", "not_usable"];
export const CONCLUSIONS = ["other", "unusable"];

/** A number, written as English does, in this language. */
export const number = (text) => isolated(numeral(text));

/** A share in [0, 1] in per cent, by the rule of `roundedPercent`. */
export function percent(share, decimals = 1) {
  if (share === null || share === undefined || !Number.isFinite(share)) return NONE;
  const { sign, number: rounded } = roundedPercent(share, decimals);
  return perCent(`${sign}${rounded}`);
}

/** A number of per cent, as text. */
export const perCent = (text) => isolated(`${numeral(text)}${THIN}%`);

/** A number with a unit that is the same in every language. */
export const quantity = (text, unit) => isolated(`${numeral(text)}${THIN}${unit}`);

/** A time of the server (ISO 8601) in this browser's time zone, which it names. */
export function when(created, short = false) {
  const date = new Date(created);
  if (Number.isNaN(date.getTime())) return String(created ?? "");
  return written(date, short ? MINUTE : SECOND);
}

/** A day (ISO 8601), which has no time zone. */
export function day(text) {
  const date = new Date(`${text}T00:00:00Z`);
  return Number.isNaN(date.getTime()) ? String(text) : written(date, { ...DAY, timeZone: "UTC" });
}

/** A date by Intl; months by the catalogue, where it names them because browsers do not. */
function written(date, options) {
  const { locale, months } = language();
  const at = options.timeZone ? date.getUTCMonth() : date.getMonth();
  const parts = new Intl.DateTimeFormat(locale, options).formatToParts(date);
  return isolated(parts.map(({ type, value }) => (type === "month" && months ? months[at] : value)).join(""));
}

/** Milliseconds, exact enough to compare. */
export const milliseconds = (value) => quantity(value < 10 ? value.toFixed(1) : value.toFixed(0), "ms");

/** Bytes in the unit that people use for files; round limits down, and what exceeds them up. */
export function bytes(count, round = Math.round) {
  if (count >= 1e6) return quantity(round(count / 1e5) / 10, "MB");
  return count >= 1e3 ? quantity(round(count / 1e3), "kB") : t("number.bytes", { count });
}

/** A measure of the image check: four significant digits. */
export function figure(value) {
  if (typeof value === "boolean") return t(value ? "word.yes" : "word.no");
  if (typeof value !== "number") return String(value);
  return number(Number.isInteger(value) ? value : Number(value.toPrecision(4)));
}

/** A score with its interval, three decimals; with its count where it has no interval. */
export function interval(score) {
  if (!score || typeof score.value !== "number") return NONE;
  return [number(score.value.toFixed(3)), brackets(score)].filter(Boolean).join(" ");
}

/** The interval of a score in brackets, or its count; empty without either. */
export function brackets(score) {
  if (typeof score.low === "number") return between(score.low.toFixed(3), score.high.toFixed(3));
  return score.of ? t("number.count_of", { count: score.count, all: score.of }) : "";
}

/** Two numbers as an interval; a semicolon where the comma is a decimal sign. */
export const between = (low, high) => isolated(`[${numeral(low)}${numeral("0.0")[1] === "," ? ";" : ","} ${numeral(high)}]`);

/** `snake_case` as words. */
export function words(name) {
  const text = String(name).replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** A place on the body, a sex, or whatever else a model asks for, by its name in the API. */
export const choiceName = (value) => (knows(`choice.${value}`) ? t(`choice.${value}`) : words(value));

/** A clause as a sentence. */
export const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?؟]$/.test(text) ? "" : "."}`;

/** Words as a list. */
export const listed = (parts) => parts.filter(Boolean).join(t("word.comma"));

/** The probabilities, the highest first. */
export const ranked = (prediction) => [...prediction.probabilities].sort((a, b) => b.probability - a.probability);

/** The most probable diagnosis, whatever the outcome; null where there are no probabilities. */
export const leading = (prediction) =>
  prediction.probabilities.find((row) => row.code === prediction.diagnosis) ?? ranked(prediction)[0] ?? null;

/** A diagnosis in this language, where the catalogue means the same by its code as the model; otherwise the model's own name. */
export function diagnosisName({ code, name }) {
  const key = `diagnosis.${code}`;
  return !isSource() && knows(key) && isSame(key, name) ? t(key) : name;
}

/** What the catalogue says of a diagnosis in a sentence; empty where it does not know it. */
export const diagnosisAbout = ({ code, name }) => (knows(`diagnosis.${code}`) && isSame(`diagnosis.${code}`, name) ? t(`about.${code}`) : "");

/** The outcome's word, and its shorter one. */
export const outcomeWord = (outcome) => t(`outcome.${outcome}`);
export const outcomeShort = (outcome) => t(`outcome.${outcome}.short`);

/** The outcome in a few words: the diagnosis with its probability, or why there is none. */
export function inShort(prediction) {
  const first = leading(prediction);
  const isNamed = prediction.outcome === "diagnosis" && first;
  return isNamed ? listed([diagnosisName(first), percent(first.probability)]) : outcomeShort(prediction.outcome);
}

const COUNTED = ["diagnosis", "not_sure", "not_usable", "failed"];

/** How many images ended how, in words: `{ diagnosis: 3, failed: 1 }` gives "3 diagnoses, 1 refused". */
export const counted = (counts) => listed(COUNTED.filter((kind) => counts[kind]).map((kind) => t(`counted.${kind}`, { count: counts[kind] })));

/** The file name of a prediction. */
export const nameOf = (prediction) => prediction.file_name || t("image.without_name");

/** What a reviewer concluded, in full. */
export function conclusionName(conclusion, labels) {
  if (CONCLUSIONS.includes(conclusion)) return t(`conclusion.${conclusion}`);
  const label = labels.find(({ code }) => code === conclusion);
  return label ? diagnosisName(label) : conclusion;
}

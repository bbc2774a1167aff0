// The page's language: which one, its texts, and its numerals. A text that a catalogue lacks is shown in English and marked so.

const STORED = "lesionlens-language";
const SOURCE = "en";
const [FIRST_STRONG, LEFT_TO_RIGHT, RIGHT_TO_LEFT, END] = ["\u2068", "\u2066", "\u2067", "\u2069"]; // isolates, so that a name does not turn a sentence

/** The languages that have a catalogue, each by its own name. */
export const NAMES = { en: "English", de: "Deutsch", fr: "Français", es: "Español", ar: "العربية", ckb: "کوردی (سۆرانی)" };

const listeners = new Set();
const inEnglish = new Set(); // texts that the catalogue in use lacks, as they were shown
let source = null;
let current = null;
let keys = new Map(); // by English text
let numerals = { digits: [], decimal: "." };

/** What the catalogue in use says of itself: `tag`, `name`, `direction`, `locale`, `status`, `reviewed_by`, perhaps `months`. */
export const language = () => current.language;
export const isSource = () => current === source;
export const isRightToLeft = () => current.language.direction === "rtl";

/** Whether a text is in English because the catalogue in use lacks it. */
export const isForeign = (text) => inEnglish.has(text);

/** Call `run` whenever another language is chosen. */
export const onLanguage = (run) => listeners.add(run);

/** The text of a key. `values` fill its places; `count` among them chooses the plural. Never empty: English, at worst the key. */
export function t(key, values = {}) {
  const own = current.texts[key];
  const { language: { locale }, texts } = own ? current : source;
  const entry = texts[key] ?? key;
  const text = typeof entry === "string" ? entry : (entry[new Intl.PluralRules(locale).select(values.count)] ?? entry.other);
  const filled = text.replace(/\{(\w+)\}/g, (place, name) => isolated(values[name] ?? place));
  if (!own) inEnglish.add(filled);
  return filled;
}

/** Whether there is such a text. */
export const knows = (key) => key in source.texts;

/** Whether the English text of a key is this one. */
export const isSame = (key, text) => source.texts[key] === text;

/** A sentence of the server in this language, where the catalogue has it; otherwise null. */
export const translated = (text) => (keys.has(text) ? t(keys.get(text)) : isSource() ? text : null);

/** A decimal number, as English writes it, with this language's digits and decimal sign. */
export const numeral = (text) =>
  String(text).replace(/[0-9]/g, (digit) => numerals.digits[digit]).replace(".", numerals.decimal);

/** What must keep its own direction: a name, or a number with its sign and unit. */
export function isolated(value) {
  const text = typeof value === "number" ? numeral(value) : String(value);
  if (!isRightToLeft() || !text) return text;
  const mark = /\p{Script=Arabic}/u.test(text) ? RIGHT_TO_LEFT : /\p{L}/u.test(text) ? FIRST_STRONG : LEFT_TO_RIGHT;
  return `${mark}${text}${END}`;
}

/** Show the page in another language, and remember it. */
export async function choose(tag) {
  adopt(await load(tag));
  try {
    localStorage.setItem(STORED, tag);
  } catch {
    // storage is forbidden: the choice holds until the page is loaded again
  }
}

/** Use a catalogue: direction, numerals, the fixed texts of the page, and all that listens. */
export function adopt(catalogue) {
  current = catalogue;
  inEnglish.clear();
  const { tag, direction, locale } = current.language;
  Object.assign(document.documentElement, { lang: tag, dir: direction });
  const plain = new Intl.NumberFormat(locale, { useGrouping: false });
  const decimal = plain.formatToParts(0.5).find(({ type }) => type === "decimal").value;
  numerals = { digits: Array.from({ length: 10 }, (_, digit) => plain.format(digit)), decimal };
  for (const run of listeners) run();
}

async function load(tag) {
  if (tag === SOURCE && source) return source;
  const response = await fetch(new URL(`language.${tag}.json`, import.meta.url));
  if (!response.ok) throw new Error(`language.${tag}.json: ${response.status}`);
  return response.json();
}

/** What a person chose here, the clinic's own language, then those of the browser. */
function preferred() {
  let stored = null;
  try {
    stored = localStorage.getItem(STORED);
  } catch {
    // storage is forbidden: nothing was chosen
  }
  const tags = [stored, document.documentElement.dataset.language, ...navigator.languages].filter(Boolean);
  return tags.map((tag) => tag.split("-")[0]).find((tag) => tag in NAMES) ?? SOURCE;
}

source = await load(SOURCE);
keys = new Map(Object.entries(source.texts).filter(([, text]) => typeof text === "string" && !text.includes("{")).map(([key, text]) => [text, key]));
adopt(await load(preferred()).catch(() => source));

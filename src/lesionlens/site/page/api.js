// The calls of the server's `api.js`, computed on this device by a worker that runs the network.

import { checkBrowser } from "./engine.js";
import { mapFacts } from "./heat_map.js";
import { Problem } from "./problem.js";

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"; // of identifiers that sort by time, as the server makes them
const predictions = new Map(); // by id: `prediction`, `maps`, `file`, `shownUpright`
const waiting = new Map(); // requests to the worker by number
let worker = null;
let count = 0;
let opened = null;
let model = null;
let progress = () => {};

/** Load model and network; `told` is called with the share that has arrived. Resolves to what is said about the model. */
export function open(told) {
  progress = told;
  opened ??= load().catch((error) => {
    opened = null; // another try may succeed
    throw error;
  });
  return opened;
}

async function load() {
  checkBrowser();
  const response = await fetch("model.json").catch(() => null);
  if (!response?.ok) throw new Problem({ key: "problem.no_model" });
  model = await response.json();
  worker ??= startWorker();
  const { backend, differences } = await ask("open", model);
  const about = { ...model.about, bundle: { ...model.about.bundle } };
  about.bundle.runtime += ` (${backend})`;
  return { ...about, differences };
}

function startWorker() {
  const started = new Worker("predictor.js", { type: "module" });
  started.onmessage = ({ data: { id, result, problem, progress: share } }) => {
    if (share !== undefined) return progress(share);
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (problem) reject(new Problem(problem));
    else resolve(result);
  };
  started.onerror = ({ message }) => {
    const problem = new Problem({ key: "problem.no_worker", detail: message || "" });
    for (const { reject } of waiting.values()) reject(problem);
    waiting.clear();
    worker = null; // another try starts another one
  };
  return started;
}

function ask(operation, input) {
  const id = ++count;
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject });
    worker.postMessage({ id, operation, input });
  });
}

/** Predict one image; it stays on this device. */
export async function sendImage(file, frame, told, signal) {
  await opened;
  if (!opened) throw new Problem({ key: "problem.not_loaded" });
  told(1); // nothing is sent: reading and computing have no known share
  const { body, maps, shownUpright } = await ask("predict", { file });
  if (signal.aborted) throw new DOMException("taken back", "AbortError");
  const created = new Date();
  const prediction = {
    schema: model.prediction.schema,
    id: identifier(created),
    request_id: "",
    created: created.toISOString(),
    file_name: file.name || null,
    input_sha256: await sha256(file),
    ...body,
    bundle: { id: model.about.bundle.id, name: model.about.bundle.name, variant: model.about.bundle.variant },
    maps: { codes: maps ? model.about.labels.map(({ code }) => code) : [], available: Boolean(maps), expires: null },
    review: null,
  };
  predictions.set(prediction.id, { prediction, maps, file, shownUpright });
  return prediction;
}

/** The heat map for a diagnosis alone, as PNG in the picture's shape. */
export async function mapPicture({ id, image: { width, height }, maps: { codes } }, code) {
  return ask("map", { maps: predictions.get(id).maps, number: codes.indexOf(code), width, height });
}

/** Its raw values, as rows, with the highest of all maps and the part of the picture that they cover. */
export async function mapValues({ id, image: { width, height }, maps: { codes } }, code) {
  return { code, ...mapFacts(model, predictions.get(id).maps, codes.indexOf(code), width, height) };
}

/** What an image element can show of a file: the file, or a copy where it would not turn it upright. */
export const shownFile = async (prediction, file) => (predictions.get(prediction.id).shownUpright ? file : pictureCopy(prediction, file));

/** The picture as this page reads it, upright; `side` bounds its longest side, pixels. */
export const pictureCopy = async (prediction, file, side = 2048) => ask("upright", { file, side });

/** Keep a review with its prediction: it is in the report and in the saved JSON, and gone with the tab. */
export async function postJson(path, { conclusion, note }) {
  const [, id] = /^predictions\/(\w+)\/review$/.exec(path);
  const review = { conclusion, note, reviewer: "", created: new Date().toISOString() };
  predictions.get(id).prediction.review = review;
  return review;
}

/** The network's input of a file, for tests. */
export const prepared = async (file) => ask("prepared", { file });

/** The raw maps of a prediction, for tests. */
export const mapsOf = (id) => predictions.get(id).maps;

/** 48 bits of time and 80 random bits, as 26 letters and digits. */
function identifier(date) {
  let rest = date.getTime();
  let text = "";
  for (let n = 0; n < 10; n++, rest = Math.floor(rest / 32)) text = ALPHABET[rest % 32] + text;
  for (const byte of crypto.getRandomValues(new Uint8Array(16))) text += ALPHABET[byte % 32];
  return text;
}

/** The hash of a file; empty where the page came over plain HTTP, which browsers do not trust with hashing. */
async function sha256(file) {
  if (!globalThis.crypto?.subtle) return "";
  const digest = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

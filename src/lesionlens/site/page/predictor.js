// The worker that predicts, so that the page stays quick: it opens the network once, then takes one request after the other.

import { keepsPixels, openPicture, prepare } from "./decode.js";
import { cannot, openEngine } from "./engine.js";
import { Gate } from "./gate.js";
import { fitted, mapPicture, uprightCanvas } from "./heat_map.js";
import { predictionBody } from "./outcome.js";
import { Problem } from "./problem.js";

const BLURS =
  "It changes the pixels of images before a page may read them (protection against fingerprinting). Allow this page to read " +
  "canvas data, or use another browser.";
let model = null;
let engine = null;
let gate = null;

let last = Promise.resolve();

const OPERATIONS = { open, predict, map, upright, prepared };

self.onmessage = ({ data }) => {
  last = last.then(() => respond(data)); // the runtime computes one image at a time
};

async function respond({ id, operation, input }) {
  try {
    self.postMessage({ id, result: await OPERATIONS[operation](input) });
  } catch (error) {
    const { title, detail, code, local } = error;
    const failed = { title: "The image could not be processed", detail: String(error?.message ?? error), local: true };
    self.postMessage({ id, problem: error instanceof Problem ? { title, detail, code, local } : failed });
  }
}

/** Load network and image check; returns where the network runs. */
async function open(facts) {
  model = facts;
  engine = await openEngine(model, read);
  gate = model.gate && new Gate(model.gate, await read(model.gate.file));
  if (!(await keepsPixels())) throw cannot(BLURS);
  return { backend: engine.backend, differences: engine.differences };
}

/** Predict one file: what a server says about it, and its raw maps. */
async function predict({ file }) {
  const started = performance.now();
  const { picture, pixels, decoded, resized } = await preparedPicture(file);
  const { width, height, notes, shownUpright } = picture;
  picture.close();
  const outputs = await engine.run(pixels);
  const done = performance.now();
  if (![...outputs.probabilities, ...outputs.features].every(Number.isFinite))
    throw cannot("The network gives NaN for this image; do not use this page on this device.");
  const side = model.about.input.size;
  const checked = gate && gate.check(width, height, pixels, side, outputs.features);
  const timings = { decode: decoded - started, resize: resized - decoded, network: done - resized, total: performance.now() - started };
  const body = {
    ...predictionBody(model, outputs.probabilities, checked),
    notes,
    image: { width, height, frames: 1, frame: 0, pixel_spacing_mm: null },
    timings_ms: Object.fromEntries(Object.entries(timings).map(([name, ms]) => [name, Number(ms.toFixed(2))])),
  };
  return { body, maps: outputs.maps ?? null, shownUpright };
}

async function preparedPicture(file) {
  const picture = await openPicture(file, model);
  const decoded = performance.now();
  const pixels = prepare(picture, model);
  return { picture, pixels, decoded, resized: performance.now() };
}

/** A file turned upright, as PNG, for image elements that do not turn it by themselves. */
async function upright({ file, side }) {
  const picture = await openPicture(file, model);
  const canvas = uprightCanvas(picture, ...fitted(picture.width, picture.height, side));
  picture.close();
  return canvas.convertToBlob({ type: "image/png" });
}

/** The network's input of a file, uint8 (size, size, 3): for tests against Python. */
async function prepared({ file }) {
  const { picture, pixels } = await preparedPicture(file);
  picture.close();
  return pixels;
}

/** The picture of one map, as PNG. */
async function map({ maps, number, width, height }) {
  return mapPicture(model, maps, number, width, height);
}

/** A file of the site; tells the page how much of the network has arrived. */
async function read(file) {
  const response = await fetch(new URL(file, import.meta.url)).catch((error) => ({ ok: false, status: error.message }));
  if (!response.ok) throw new Problem({ title: "A file of this page is missing", detail: `${file}: ${response.status}` });
  if (file !== model.graph.file) return new Uint8Array(await response.arrayBuffer());
  const bytes = new Uint8Array(model.graph.size_bytes);
  let loaded = 0;
  for await (const block of blocks(response.body)) {
    if (loaded + block.length > bytes.length) break;
    bytes.set(block, loaded);
    loaded += block.length;
    self.postMessage({ progress: loaded / bytes.length });
  }
  if (loaded !== bytes.length) throw new Problem({ title: "The network did not arrive whole", detail: "Load the page again." });
  return bytes;
}

async function* blocks(stream) {
  const reader = stream.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
}

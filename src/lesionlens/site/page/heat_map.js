// Heat maps as pictures, transparent where there is no evidence, and as values; see `serving.pictures` and `bundle.overlay`.

import { resizeFloats } from "./resize.js";

/** Rounded as in Python: halves to the even number. */
function rounded(value) {
  const up = Math.round(value);
  return up - value === 0.5 && up % 2 ? up - 1 : up;
}

/** Width and height of the same shape with no side longer than `longest`. */
export function fitted(width, height, longest) {
  const share = Math.min(1, longest / Math.max(width, height));
  return [Math.max(1, rounded(width * share)), Math.max(1, rounded(height * share))];
}

/** A map (rows, columns) laid where the network looked on an image of this size; NaN where it did not look. */
export function spread(map, [rows, columns], { resize, size, frame }, width, height) {
  const [seenWidth, seenHeight] = resize === "squash" ? [width, height] : [Math.min(width, height), Math.min(width, height)];
  const share = size / frame;
  const innerWidth = Math.max(1, rounded(seenWidth * share));
  const innerHeight = Math.max(1, rounded(seenHeight * share));
  const left = Math.floor((width - innerWidth) / 2);
  const top = Math.floor((height - innerHeight) / 2);
  const inner = resizeFloats(map, columns, rows, innerWidth, innerHeight);
  const whole = new Float32Array(width * height).fill(NaN);
  for (let y = 0; y < innerHeight; y++)
    whole.set(inner.subarray(y * innerWidth, (y + 1) * innerWidth), (top + y) * width + left);
  return whole;
}

/** Which part of an image of this size a map covers: left, top, width and height as shares of the image. */
export function seenPart({ resize, size, frame }, width, height) {
  const short = Math.min(width, height);
  const [across, down] = [width, height].map((side) => ((resize === "squash" ? 1 : short / side) * size) / frame);
  return [(1 - across) / 2, (1 - down) / 2, across, down];
}

/** One map as rows of raw values, the highest value of all maps, and the part of the image that it covers. */
export function mapFacts(model, maps, number, width, height) {
  const [, rows, columns] = model.outputs.maps;
  const row = (y) => Array.from(maps.subarray((number * rows + y) * columns, (number * rows + y + 1) * columns));
  return { values: Array.from({ length: rows }, (_, y) => row(y)), limit: highest(maps), part: seenPart(model.about.input, width, height) };
}

const highest = (maps) => maps.reduce((most, value) => Math.max(most, value), 0);

/** The colours of values, RGBA; `limit` is the value of the highest colour, alpha is 0 where there is no evidence. */
export function colourise(values, limit, { colours, fade }) {
  const table = Uint8Array.from(colours.match(/../g), (pair) => parseInt(pair, 16));
  const pixels = new Uint8ClampedArray(values.length * 4);
  for (let at = 0; at < values.length; at++) {
    const share = limit > 0 && values[at] > 0 ? values[at] / limit : 0; // NaN is no evidence
    const place = Math.round(Math.min(1, share) * 255) * 3;
    pixels.set(table.subarray(place, place + 3), at * 4);
    pixels[at * 4 + 3] = Math.round(255 * Math.min(1, share / fade));
  }
  return pixels;
}

/** A map alone, as PNG: transparent where there is no evidence. `maps` are those of all diagnoses, on one scale. */
export function mapPicture(model, maps, number, width, height) {
  return mapCanvas(model, maps, number, fitted(width, height, model.maps.longest_side)).convertToBlob({ type: "image/png" });
}

/** A canvas with a picture, upright and scaled. */
export function uprightCanvas(picture, width, height) {
  const canvas = new OffscreenCanvas(width, height);
  picture.draw(canvas.getContext("2d"), { scale: width / picture.width });
  return canvas;
}

/** A canvas with one map, whose highest colour is the highest value of all maps. */
function mapCanvas(model, maps, number, [width, height]) {
  const [, rows, columns] = model.outputs.maps;
  const limit = highest(maps);
  const map = maps.subarray(number * rows * columns, (number + 1) * rows * columns);
  const pixels = colourise(spread(map, [rows, columns], model.about.input, width, height), limit, model.maps);
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d").putImageData(new ImageData(pixels, width, height), 0, 0);
  return canvas;
}

// Heat maps as pictures: alone and transparent, or over their image with title and colour bar; see `serving.pictures` and
// `bundle.overlay`.

import { resizeFloats } from "./resize.js";

const MARGIN = 10;
const LINE = 23;
const BAR = 16;
const FONT = "15px system-ui, sans-serif";
const INK = "rgb(30 30 30)";

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
  const [canvas] = mapCanvas(model, maps, number, fitted(width, height, model.maps.longest_side));
  return canvas.convertToBlob({ type: "image/png" });
}

/** A map over its image, with the title above and the scale beside it, as PNG. */
export function overlayPicture(model, maps, number, picture, title) {
  const [width, height] = fitted(picture.width, picture.height, model.maps.longest_side);
  const [map, limit] = mapCanvas(model, maps, number, [width, height]);
  const canvas = new OffscreenCanvas(width + 3 * MARGIN + BAR + 60, height + MARGIN + 2 * LINE);
  const pen = canvas.getContext("2d");
  pen.fillStyle = "white";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(uprightCanvas(picture, width, height), MARGIN, LINE);
  pen.globalAlpha = model.maps.opacity;
  pen.drawImage(map, MARGIN, LINE);
  pen.globalAlpha = 1;
  Object.assign(pen, { font: FONT, fillStyle: INK, textBaseline: "middle" });
  pen.fillText(title, MARGIN, LINE / 2, canvas.width - 2 * MARGIN);
  pen.fillText(limit > 0 ? model.maps.unit : model.maps.nothing, MARGIN, LINE + height + LINE / 2, canvas.width - 2 * MARGIN);
  drawBar(pen, model, limit, 2 * MARGIN + width, LINE, height);
  return canvas.convertToBlob({ type: "image/png" });
}

/** A canvas with a picture, upright and scaled. */
export function uprightCanvas(picture, width, height) {
  const canvas = new OffscreenCanvas(width, height);
  picture.draw(canvas.getContext("2d"), { scale: width / picture.width });
  return canvas;
}

/** A canvas with one map, and the value of the highest colour of all maps. */
function mapCanvas(model, maps, number, [width, height]) {
  const [, rows, columns] = model.outputs.maps;
  const limit = maps.reduce((most, value) => Math.max(most, value), 0);
  const map = maps.subarray(number * rows * columns, (number + 1) * rows * columns);
  const pixels = colourise(spread(map, [rows, columns], model.about.input, width, height), limit, model.maps);
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d").putImageData(new ImageData(pixels, width, height), 0, 0);
  return [canvas, limit];
}

function drawBar(pen, model, limit, left, top, height) {
  const ramp = Float32Array.from({ length: height }, (_, y) => limit * (1 - y / Math.max(1, height - 1)));
  const bar = new OffscreenCanvas(1, height);
  bar.getContext("2d").putImageData(new ImageData(colourise(ramp, limit, model.maps), 1, height), 0, 0);
  pen.drawImage(bar, left, top, BAR, height);
  pen.strokeStyle = INK;
  pen.strokeRect(left + 0.5, top + 0.5, BAR - 1, height - 1);
  for (const tick of niceTicks(limit)) {
    const y = top + (height - 1) * (1 - (limit > 0 ? tick / limit : 0));
    pen.fillRect(left + BAR, y, 4, 1);
    pen.fillText(String(Number(tick.toPrecision(6))), left + BAR + 7, Math.min(top + height - 8, Math.max(top + 8, y)));
  }
}

/** Round numbers from 0 to at most `limit`, in at most five steps of 1, 2 or 5 times a power of ten. */
export function niceTicks(limit, most = 5) {
  if (!(limit > 0)) return [0];
  const power = 10 ** Math.floor(Math.log10(limit / most));
  const step = [1, 2, 5, 10, 20].map((factor) => factor * power).find((each) => limit / each <= most);
  return Array.from({ length: Math.floor(limit / step + 1e-9) + 1 }, (_, number) => step * number);
}

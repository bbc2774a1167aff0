// From a file to the network's input: checked, decoded by the browser, turned upright, laid on white, scaled as Pillow does.

import { readableFormat, unreadable } from "./formats.js";
import { readHeader } from "./header.js";
import { Resizer, centreCrop, frameBox } from "./resize.js";
import { Problem } from "./problem.js";

const STRIP = 256; // rows at a time: a canvas as large as a photograph is more than some devices allow
const CONVERTED = "colours were converted to sRGB from the embedded profile, by the browser";
const EXACT = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
const TURNS = {
  // a, b, c, d of a canvas' transformation, and which of width and height shift it across and down
  1: [1, 0, 0, 1, 0, 0],
  2: [-1, 0, 0, 1, 1, 0],
  3: [-1, 0, 0, -1, 1, 1],
  4: [1, 0, 0, -1, 0, 1],
  5: [0, 1, 1, 0, 0, 0],
  6: [0, 1, -1, 0, 1, 0],
  7: [0, -1, -1, 0, 1, 1],
  8: [0, -1, 1, 0, 0, 1],
};

/** A decoded image, upright: its size, its pixels in strips, and the notes on it. `close` frees its memory. */
export class Picture {
  constructor(bitmap, orientation = 1, notes = [], shownUpright = true) {
    const across = orientation >= 5;
    Object.assign(this, { bitmap, orientation, notes, shownUpright });
    this.width = across ? bitmap.height : bitmap.width;
    this.height = across ? bitmap.width : bitmap.height;
  }

  /** Strips of upright pixels, from top to bottom: RGBA rows, the number of the first, how many. */
  *strips() {
    const canvas = new OffscreenCanvas(this.width, Math.min(STRIP, this.height));
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    for (let row = 0; row < this.height; row += STRIP) {
      const count = Math.min(STRIP, this.height - row);
      pen.resetTransform();
      pen.clearRect(0, 0, canvas.width, canvas.height);
      this.draw(pen, { shift: -row });
      yield [pen.getImageData(0, 0, this.width, count).data, row, count];
    }
  }

  /** Draw it upright, scaled, and then `shift` pixels further down; at its own size no pixel changes. */
  draw(pen, { shift = 0, scale = 1 } = {}) {
    const [a, b, c, d, across, down] = TURNS[this.orientation].map((each) => each * scale);
    Object.assign(pen, { imageSmoothingEnabled: scale !== 1, imageSmoothingQuality: "high" });
    pen.setTransform(a, b, c, d, across * this.width, down * this.height + shift);
    pen.drawImage(this.bitmap, 0, 0);
  }

  close() {
    this.bitmap.close();
  }
}

/** Decode a file; throws a Problem where it cannot be used. `model` is the content of model.json. */
export async function openPicture(file, model) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const kind = readableFormat(bytes);
  const header = readHeader(kind, bytes);
  if (header.animated) throw unreadable("The file holds several pictures", "Save the one to predict as an image of its own.");
  if (header.cmyk) throw unreadable("The image has CMYK colours", "Browsers convert them differently; save it with RGB colours.");
  if (header.width) checkSize(header, model);
  const notes = header.otherColours && !header.profile ? [model.notes.no_profile] : [];
  const { bitmap, converted } = await decode(new Blob([header.bytes]), header.profile, model);
  if (converted) notes.push(CONVERTED);
  const picture = new Picture(bitmap, header.orientation, notes, header.shownUpright);
  checkSize({ ...header, width: picture.width, height: picture.height }, model);
  return picture;
}

function checkSize({ width, height, scans }, { images, about: { limits } }) {
  const size = `It has ${width} \u00d7 ${height} pixels`;
  if (width * height > limits.pixels) {
    const detail = `${size}; the most is ${(limits.pixels / 1e6).toFixed(0)} million. Scale it down first.`;
    throw new Problem({ local: true, code: "image_too_large", title: "The image is too large", detail });
  }
  if (Math.min(width, height) < images.least_side)
    throw unreadable("The image is too small", `${size}; the shorter side needs at least ${images.least_side}.`);
  if (scans * width * height > images.most_scanned)
    throw unreadable("The image takes too long to decode", `${size} in ${scans} scans. Save it again as JPEG.`);
}

/** Pixels as stored; where a colour profile changes what is seen, as the browser converts them to sRGB. */
async function decode(blob, hasProfile, { images }) {
  try {
    const bitmap = await createImageBitmap(blob, EXACT);
    if (!hasProfile) return { bitmap, converted: false };
    const other = await createImageBitmap(blob, { ...EXACT, colorSpaceConversion: "default" });
    const converted = differ(bitmap, other, images.same_colour);
    (converted ? bitmap : other).close();
    return { bitmap: converted ? other : bitmap, converted };
  } catch (error) {
    if (error.name === "InvalidStateError" || error.name === "EncodingError")
      throw unreadable("The image cannot be decoded", "It is damaged, or this browser does not know its format; save it as JPEG or PNG.");
    throw error;
  }
}

/** Whether two bitmaps of one size differ by more than `most` grey levels anywhere. */
function differ(one, other, most) {
  const strips = new Picture(other).strips();
  for (const [pixels] of new Picture(one).strips()) {
    const [others] = strips.next().value;
    for (let at = 0; at < pixels.length; at++) if (Math.abs(pixels[at] - others[at]) > most) return true;
  }
  return false;
}

/** The network's input of a picture, uint8 (size, size, 3); adds a note where it was transparent. */
export function prepare(picture, model) {
  const spec = model.about.input;
  const { width, height } = picture;
  const resizer = new Resizer(width, height, frameBox(spec, width, height), spec.frame);
  let transparent = false;
  for (const [pixels, row, count] of picture.strips()) {
    transparent = layOnWhite(pixels) || transparent;
    resizer.add(pixels, row, count);
  }
  if (transparent) picture.notes.push(model.notes.on_white);
  return centreCrop(resizer.finish(), spec.frame, spec.size);
}

/** Lay transparent pixels on white, in place; whether there were any. */
export function layOnWhite(pixels) {
  let any = false;
  for (let at = 0; at < pixels.length; at += 4) {
    const alpha = pixels[at + 3];
    if (alpha === 255) continue;
    any = true;
    for (let channel = at; channel < at + 3; channel++)
      pixels[channel] = Math.round((pixels[channel] * alpha + 255 * (255 - alpha)) / 255);
  }
  return any;
}

/** Whether this browser gives back the pixels that it was given; some blur them against fingerprinting. */
export async function keepsPixels() {
  const side = 64;
  const given = new ImageData(side, side);
  for (let at = 0; at < given.data.length; at++) given.data[at] = at % 4 === 3 ? 255 : (at * 2654435761) >>> 24;
  const picture = new Picture(await createImageBitmap(given, EXACT));
  const [pixels] = picture.strips().next().value;
  picture.close();
  return pixels.every((value, at) => value === given.data[at]);
}

// The image check: is this a usable dermoscopic image at all? The same measures as `bundle.gate` and `bundle.quality`.

const LEVELS = 255;

/** The check of one model; `facts` is `gate` of model.json, `bytes` its file of arrays. */
export class Gate {
  constructor(facts, bytes) {
    const floats = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
    const ranks = facts.directions;
    const vectors = facts.offset === null ? 1 : 2; // the mean, and what photographs without a dermatoscope are told by
    const length = (floats.length - ranks) / (vectors + ranks); // of the features
    this.checks = facts.checks;
    this.rest = facts.rest;
    this.mean = floats.subarray(0, length);
    this.directions = floats.subarray(length, length + length * ranks); // (length, ranks)
    this.spreads = floats.subarray(length + length * ranks, length + length * ranks + ranks);
    this.offset = facts.offset;
    this.normal = floats.subarray(length + length * ranks + ranks);
  }

  /** Check an image: its upright size as sent, its prepared pixels (side, side, 3), the network's features. */
  check(width, height, pixels, side, features) {
    const measures = { ...measure(width, height, pixels, side), distance: this.distance(features) };
    if (this.offset !== null) measures.photograph_score = this.photographScore(features);
    const fails = ({ measure: name, below, threshold }) => !(below ? measures[name] >= threshold : measures[name] <= threshold);
    const reasons = this.checks.filter(fails).map(({ code, text }) => ({ code, text }));
    return { usable: !reasons.length, reasons, measures };
  }

  /** Log odds that features are those of a photograph without a dermatoscope. */
  photographScore(features) {
    return unitLength(features).reduce((sum, value, at) => sum + value * this.normal[at], this.offset);
  }

  /** Squared Mahalanobis distance of features from those of the training images. */
  distance(features) {
    const unit = unitLength(features);
    const centred = Float32Array.from(this.mean, (mean, at) => unit[at] - mean);
    const ranks = this.spreads.length;
    let whole = 0;
    let along = 0;
    let inside = 0;
    for (const value of centred) whole += value * value;
    for (let rank = 0; rank < ranks; rank++) {
      let product = 0;
      for (let at = 0; at < centred.length; at++) product += centred[at] * this.directions[at * ranks + rank];
      along += product * product;
      inside += (product / this.spreads[rank]) ** 2;
    }
    return inside + Math.max(0, whole - along) / this.rest ** 2;
  }
}

function unitLength(features) {
  const scale = features.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
  const scaled = Float32Array.from(features, (value) => value / scale);
  const length = Math.sqrt(scaled.reduce((sum, value) => sum + value * value, 0)) || 1;
  return Float32Array.from(scaled, (value) => value / length);
}

/** Size, sharpness, light and clipping of prepared pixels; see `bundle.quality.measure_quality`. */
export function measure(width, height, pixels, side) {
  const luma = new Uint8Array(side * side);
  const white = [0, 0, 0];
  let sum = 0;
  for (let at = 0, from = 0; at < luma.length; at++, from += 3) {
    const [red, green, blue] = [pixels[from], pixels[from + 1], pixels[from + 2]];
    luma[at] = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16; // Pillow's ITU-R BT.601
    sum += luma[at];
    white[0] += red === LEVELS;
    white[1] += green === LEVELS;
    white[2] += blue === LEVELS;
  }
  return {
    shorter_side_px: Math.min(width, height),
    sharpness: sharpness(luma, side),
    brightness: sum / luma.length,
    clipped_share: Math.max(...white) / luma.length,
  };
}

/** Variance of the Laplacian over all pixels but the border. */
export function sharpness(luma, side) {
  let total = 0;
  let squares = 0;
  for (let y = 1; y < side - 1; y++)
    for (let at = y * side + 1; at < (y + 1) * side - 1; at++) {
      const edge = luma[at - side] + luma[at + side] + luma[at - 1] + luma[at + 1] - 4 * luma[at];
      total += edge;
      squares += edge * edge;
    }
  const count = (side - 2) ** 2;
  return squares / count - (total / count) ** 2;
}

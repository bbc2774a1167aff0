// Pillow's antialiased bilinear resampling (libImaging/Resample.c), operation by operation, so that prepared pixels are
// those of Python: weights in double precision, pixels in fixed point with 22 bits, rounded after rows and after columns.

const PRECISION_BITS = 22;
const HALF = 1 << (PRECISION_BITS - 1);

/**
 * Which inputs make each output, and with which weights.
 *
 * `low` and `high` bound the part of the input, in pixels, that becomes `outSize` outputs. The weights of output i are
 * `weights[i * width]` and the next `counts[i] - 1`, for the inputs from `first[i]` on.
 */
export function coefficients(inSize, low, high, outSize) {
  const scale = (high - low) / outSize;
  const support = Math.max(scale, 1); // of the triangle, on either side
  const width = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(outSize);
  const counts = new Int32Array(outSize);
  const weights = new Float64Array(outSize * width);
  for (let at = 0; at < outSize; at++) {
    const centre = low + (at + 0.5) * scale;
    const begin = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(inSize, Math.trunc(centre + support + 0.5));
    let sum = 0;
    for (let from = begin; from < end; from++) {
      const weight = Math.max(0, 1 - Math.abs((from - centre + 0.5) * (1 / support)));
      weights[at * width + from - begin] = weight;
      sum += weight;
    }
    for (let k = at * width; k < at * width + end - begin && sum !== 0; k++) weights[k] /= sum;
    first[at] = begin;
    counts[at] = end - begin;
  }
  return { first, counts, weights, width };
}

/** The weights in fixed point; those of one output add up to 1 but for their rounding, so no sum of pixels exceeds 31 bits. */
const fixed = (weights) => Int32Array.from(weights, (value) => Math.trunc(value * (1 << PRECISION_BITS) + (value < 0 ? -0.5 : 0.5)));

/** Scales an image, given in strips of rows from top to bottom, to a square of `side` pixels. */
export class Resizer {
  /** `box` is the part of the image that becomes the square: left, top, right, bottom, in pixels. */
  constructor(width, height, box, side) {
    const [left, top, right, bottom] = box;
    const across = coefficients(width, left, right, side);
    const down = coefficients(height, top, bottom, side);
    this.across = { ...across, weights: fixed(across.weights) };
    this.down = { ...down, weights: fixed(down.weights) };
    Object.assign(this, { width, height, side });
    this.columnsFirst = columnsFirst(width, height, side);
    // Rows at their final width, or sums of columns at their final height.
    this.between = this.columnsFirst ? new Int32Array(side * width * 3).fill(HALF) : new Uint8Array(height * side * 3);
  }

  /** Take `count` rows of RGBA or RGBX pixels; `row` is the number of the first. */
  add(pixels, row, count) {
    for (let y = 0; y < count; y++) {
      const start = y * this.width * 4;
      if (this.columnsFirst) this.#addToColumns(pixels, start, row + y);
      else this.#narrow(pixels, start, 4, this.between, (row + y) * this.side * 3);
    }
  }

  /** The square, uint8 (side, side, 3). */
  finish() {
    const square = new Uint8Array(this.side * this.side * 3);
    if (this.columnsFirst) this.#finishRows(square);
    else this.#finishColumns(square);
    return square;
  }

  /** One row at its final width; `step` values lie between two pixels of `pixels`. */
  #narrow(pixels, start, step, target, out) {
    const { first, counts, weights, width } = this.across;
    for (let x = 0; x < this.side; x++) {
      let red = HALF;
      let green = HALF;
      let blue = HALF;
      let k = x * width;
      for (let from = start + first[x] * step, end = from + counts[x] * step; from < end; from += step) {
        const weight = weights[k++];
        red += pixels[from] * weight;
        green += pixels[from + 1] * weight;
        blue += pixels[from + 2] * weight;
      }
      target[out++] = red >> PRECISION_BITS;
      target[out++] = green >> PRECISION_BITS;
      target[out++] = blue >> PRECISION_BITS;
    }
  }

  /** Add row number `row` to every output row that it is part of. */
  #addToColumns(pixels, start, row) {
    const { first, counts, weights, width } = this.down;
    const length = this.width * 3;
    for (let y = 0; y < this.side && first[y] <= row; y++) {
      const k = row - first[y];
      if (k >= counts[y]) continue;
      const weight = weights[y * width + k];
      for (let from = start, at = y * length; at < (y + 1) * length; from += 4, at += 3) {
        this.between[at] += pixels[from] * weight;
        this.between[at + 1] += pixels[from + 1] * weight;
        this.between[at + 2] += pixels[from + 2] * weight;
      }
    }
  }

  #finishRows(square) {
    const levels = Uint8Array.from(this.between, (sum) => sum >> PRECISION_BITS);
    for (let y = 0; y < this.side; y++) this.#narrow(levels, y * this.width * 3, 3, square, y * this.side * 3);
  }

  #finishColumns(square) {
    const { first, counts, weights, width } = this.down;
    const length = this.side * 3; // of a row
    for (let y = 0; y < this.side; y++) {
      for (let x = 0; x < length; x++) {
        let sum = HALF;
        for (let k = 0; k < counts[y]; k++) sum += this.between[(first[y] + k) * length + x] * weights[y * width + k];
        square[y * length + x] = sum >> PRECISION_BITS;
      }
    }
  }
}

/** Whether Pillow 13 scales the columns before the rows: where that shrinks the image far more. Before, it never did. */
const columnsFirst = (width, height, side) => height - side > 2 * Math.max(0, width - side);

/** Which part of an image becomes the network's frame; see `data.image.prepare`. */
export function frameBox({ resize }, width, height) {
  if (resize === "squash") return [0, 0, width, height];
  const short = Math.min(width, height);
  const left = (width - short) / 2;
  const top = (height - short) / 2;
  return [left, top, left + short, top + short];
}

/** The centre of a square of `frame` pixels, uint8 (size, size, 3). */
export function centreCrop(square, frame, size) {
  if (frame === size) return square;
  const start = Math.floor((frame - size) / 2);
  const cropped = new Uint8Array(size * size * 3);
  for (let y = 0; y < size; y++) {
    const from = ((start + y) * frame + start) * 3;
    cropped.set(square.subarray(from, from + size * 3), y * size * 3);
  }
  return cropped;
}

/** Values (height, width) scaled to another size in single precision, as Pillow does images of mode F. */
export function resizeFloats(values, width, height, outWidth, outHeight) {
  const rows = alongRows(values, width, height, outWidth);
  return transposed(alongRows(transposed(rows, outWidth, height), height, outWidth, outHeight), outHeight, outWidth);
}

function alongRows(values, width, height, outWidth) {
  const { first, counts, weights, width: step } = coefficients(width, 0, width, outWidth);
  const out = new Float32Array(height * outWidth);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < outWidth; x++) {
      let sum = 0;
      for (let k = 0; k < counts[x]; k++) sum += values[y * width + first[x] + k] * weights[x * step + k];
      out[y * outWidth + x] = sum;
    }
  }
  return out;
}

function transposed(values, width, height) {
  const out = new Float32Array(values.length);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) out[x * height + y] = values[y * width + x];
  return out;
}

// Small pictures for the list. Each is made when its row comes near the screen, one after the other,
// so that hundreds of large photographs are never decoded at once; the large picture is let go at once. What the browser
// cannot show (TIFF, DICOM), or no longer has, comes small from where the prediction was made.

import { pictureCopy } from "./api.js";

const SIDE = 96; // pixels: 48 on a screen of double density
let line = Promise.resolve();

const seen = new IntersectionObserver(
  (entries) => {
    for (const entry of entries.filter((one) => one.isIntersecting)) {
      seen.unobserve(entry.target);
      line = line.then(() => draw(entry.target));
    }
  },
  { rootMargin: "200px" },
);

const items = new WeakMap();

/** Draw an item of the queue into a canvas once it is near the screen; where there is no picture, it is marked `blank`. */
export function thumbnail(canvas, item) {
  canvas.width = canvas.height = SIDE;
  canvas.classList.remove("blank");
  items.set(canvas, item);
  seen.observe(canvas);
}

/** A row that goes takes its work with it. */
export const forgetThumbnail = (canvas) => {
  seen.unobserve(canvas);
  items.delete(canvas);
};

async function draw(canvas) {
  const item = items.get(canvas);
  if (!item) return;
  try {
    const picture = await bitmapOf(item);
    const side = Math.min(picture.width, picture.height);
    const left = (picture.width - side) / 2;
    const top = (picture.height - side) / 2;
    const pen = canvas.getContext("2d");
    pen.imageSmoothingQuality = "high";
    pen.drawImage(picture, left, top, side, side, 0, 0, SIDE, SIDE);
    picture.close();
  } catch {
    canvas.classList.add("blank");
  }
}

async function bitmapOf({ file, frame, prediction }) {
  try {
    if (file && !frame) return await createImageBitmap(file);
  } catch (error) {
    if (!prediction) throw error;
  }
  if (!prediction) throw new Error("no prediction");
  return createImageBitmap(await pictureCopy(prediction, file, 2 * SIDE));
}

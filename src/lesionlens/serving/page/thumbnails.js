// Small pictures for the list. Each is made when its row comes near the screen, one after the other,
// so that hundreds of large photographs are never decoded at once; the large picture is let go at once.

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

const files = new WeakMap();

/** Draw `file` into a canvas once it is near the screen; what the browser cannot show leaves it marked `blank`. */
export function thumbnail(canvas, file) {
  canvas.width = canvas.height = SIDE;
  files.set(canvas, file);
  seen.observe(canvas);
}

/** A row that goes takes its work with it. */
export const forgetThumbnail = (canvas) => {
  seen.unobserve(canvas);
  files.delete(canvas);
};

async function draw(canvas) {
  const file = files.get(canvas);
  if (!file) return;
  try {
    const picture = await createImageBitmap(file);
    const side = Math.min(picture.width, picture.height);
    const left = (picture.width - side) / 2;
    const top = (picture.height - side) / 2;
    const pen = canvas.getContext("2d");
    pen.imageSmoothingQuality = "high";
    pen.drawImage(picture, left, top, side, side, 0, 0, SIDE, SIDE);
    picture.close();
  } catch {
    canvas.classList.add("blank"); // TIFF, DICOM, or broken
  }
}

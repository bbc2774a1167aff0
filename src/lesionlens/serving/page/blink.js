// Two photographs of one lesion: side by side, or one after the other in the same place. The later one is laid over the
// earlier one where the server is sure how they lie; otherwise the reason stands below and both are shown as they are.

import { callJson, pictureCopy } from "./api.js";
import { button, make, p, spoken } from "./dom.js";
import { figure, listed, percent, quantity, sentence } from "./format.js";
import { isolated, numeral, t } from "./language.js";
import { problemNotice } from "./notices.js";

const BLINK_MS = 700;
const SIDE = 1024; // pixels

/** Both pictures; `labels` names them. `dispose` stops the blinking. */
export class Blink {
  #timer = 0;

  constructor(first, second, labels) {
    Object.assign(this, { first, second, labels, swapped: false, disposed: false });
    const picture = (text) => make("canvas", { class: "compared", role: "img", "aria-label": text });
    this.canvases = labels.map(picture);
    this.captions = labels.map((text) => make("figcaption", {}, text));
    this.panes = this.canvases.map((canvas, at) => make("figure", {}, canvas, this.captions[at]));
    this.place = make("div", { class: "compared-panes", data: { view: "beside" } }, ...this.panes);
    const tool = (view, text) => button({ data: { compare: view }, "aria-pressed": String(view === "beside") }, () => this.#view(view), text);
    this.views = ["beside", "blink", "swap"].map((view) => tool(view, t(`compare.view.${view}`)));
    this.views[1].hidden = matchMedia("(prefers-reduced-motion: reduce)").matches; // by hand it does not move by itself
    this.swap = button({ class: "swap", hidden: true }, () => this.#swap(), t("compare.other"));
    const segments = make("div", { class: "segments", role: "group", "aria-label": t("compare.views") }, ...this.views);
    this.result = make("div", { class: "compared-result", role: "status" }, p(t("compare.working"), "none"));
    this.element = make("div", { class: "comparison" }, make("div", { class: "picture-tools" }, segments, this.swap), this.place, this.result);
    this.ready = this.#begin();
  }

  dispose() {
    this.disposed = true;
    clearInterval(this.#timer);
  }

  async #begin() {
    try {
      const images = await Promise.all([this.first, this.second].map(bitmapOf));
      if (this.disposed) return;
      images.forEach((image, at) => draw(this.canvases[at], image, images[at]));
      const query = new URLSearchParams({ first: this.first.id, second: this.second.id });
      this.found = await callJson(`comparison?${query}`);
      const { matrix } = this.found.registration;
      if (this.disposed) return;
      if (matrix) draw(this.canvases[1], images[1], images[0], matrix);
      this.result.replaceChildren(...told(this.found));
      this.element.dataset.aligned = Boolean(matrix);
    } catch (error) {
      this.result.replaceChildren(problemNotice(error));
    }
  }

  #view(view) {
    clearInterval(this.#timer);
    for (const each of this.views) each.setAttribute("aria-pressed", String(each.dataset.compare === view));
    this.place.dataset.view = view === "beside" ? "beside" : "over";
    this.swap.hidden = view !== "swap";
    this.#show(false);
    if (view === "blink") this.#timer = setInterval(() => this.#show(!this.swapped), BLINK_MS);
  }

  #swap() {
    this.#show(!this.swapped);
  }

  #show(swapped) {
    this.swapped = swapped;
    this.place.dataset.top = swapped ? "second" : "first";
  }
}

async function bitmapOf(prediction) {
  return createImageBitmap(await pictureCopy(prediction, null, SIDE));
}

/** Draw `image` into a canvas in the shape of `frame`; the matrix takes its places to places of the frame, as shares. */
function draw(canvas, image, frame, matrix = [[1, 0, 0], [0, 1, 0]]) {
  const { width, height } = frame;
  Object.assign(canvas, { width, height });
  const [[a, c, e], [b, d, f]] = matrix;
  const pen = canvas.getContext("2d");
  pen.setTransform((a * width) / image.width, (b * height) / image.width, (c * width) / image.height, (d * height) / image.height, e * width, f * height);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(image, 0, 0);
}

/** What was measured, in sentences. */
function told({ registration, areas, size, colour }) {
  const lines = [];
  if (registration.matrix) {
    const turned = quantity(Math.abs(Math.round(registration.rotation_deg)), "\u00b0");
    lines.push(t("compare.aligned", { turned, zoom: figure(registration.zoom), overlap: percent(registration.overlap, 0) }));
  } else {
    lines.push([t("compare.not_aligned"), " ", spoken(registration.reason, sentence)]);
  }
  if (size.factor) {
    const factor = figure(size.factor);
    const areaOf = ({ mm2 }) => isolated(`${numeral(Number(mm2.toPrecision(4)))}\u202fmm\u00b2`);
    lines.push(size.by === "mm" ? t("compare.area_mm", { factor, before: areaOf(areas[0]), after: areaOf(areas[1]) }) : t("compare.area", { factor }));
  } else {
    lines.push([t("compare.no_area"), " ", spoken(size.reason, sentence)]);
  }
  if (colour.delta_e !== null) {
    const ways = [[colour.lightness, "lighter", "darker"], [colour.red, "redder", "less_red"], [colour.yellow, "yellower", "bluer"]];
    const words = ways.filter(([value]) => Math.abs(value) >= 2).map(([value, more, less]) => t(`colour.${value > 0 ? more : less}`));
    lines.push(t("compare.colour", { changes: listed([`${figure(colour.delta_e)} (CIELAB)`, ...words]) }));
  }
  lines.push(t("compare.caution"));
  return lines.map((text) => p(text));
}

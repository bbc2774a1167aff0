// The picture of one prediction. The lesion comes first, alone; its heat map lies beside or over it on request, as colours
// or as contours. The picture is this browser's own file, or a copy from the server where the browser cannot show the file
// (TIFF, DICOM) or no longer has it (history).

import { mapPicture, mapValues, pictureCopy, shownFile } from "./api.js";
import { LEVELS } from "./contours.js";
import { button, byId, field, freshId, icon, make, select } from "./dom.js";
import { diagnosisName, leading, nameOf, perCent, percent } from "./format.js";
import { watchGestures } from "./gestures.js";
import { t } from "./language.js";
import { problemDetail, problemTitle } from "./notices.js";
import { Pane } from "./pane.js";
import { fill } from "./redraw.js";
import { placeText } from "./texts.js";
import { Zoom } from "./zoom.js";

const OPACITY = 60; // per cent, at first
const RELEASE_MS = 1000;
const SAME_SHAPE = 0.02; // relative difference of the sides' ratios
const VIEWS = ["image", "beside", "over"];

/** One prediction's picture; `changed` is called when what a report would show has changed; `dispose` frees its memory. */
export class Picture {
  #urls = new Map(); // object URLs, of the maps by diagnosis and of the photo
  #values = new Map(); // raw maps by diagnosis
  #request = 0;
  #disposed = false;

  constructor(prediction, file, changed = () => {}) {
    Object.assign(this, { prediction, file, changed, view: "image", contours: false, opacity: OPACITY, photo: "", tried: false });
    this.code = leading(prediction)?.code ?? "";
    this.zoom = new Zoom(() => this.#moved());
    this.lens = { on: false, show: (place) => this.panes.forEach((pane) => pane.lens(place)) };
    this.panes = [new Pane(prediction.image), new Pane(prediction.image)];
    for (const { stage } of this.panes) watchGestures(stage, this.zoom, this.lens);
    this.blank = make("p", { class: "blank-picture" });
    this.blankText = () => placeText("loading");
    this.panes[0].stage.append(this.blank);
    this.note = make("p", { class: "map-note", role: "status" });
    this.place = make("div", { class: "panes" }, ...this.panes.map((pane) => pane.stage));
    this.element = make("section", { class: "card picture" });
    fill(this.element, () => this.#parts());
    this.ready = this.#begin();
  }

  /** Revoke every object URL, once no image still reads from one. */
  dispose() {
    this.#disposed = true;
    const urls = [...this.#urls.values()];
    this.#urls.clear();
    if (byId("picture-large").contains(this.element)) byId("picture-dialog").close();
    setTimeout(() => urls.forEach((url) => URL.revokeObjectURL(url)), RELEASE_MS);
  }

  /** What a report shows: photo and map as they are now, however the screen shows them. */
  get shown() {
    const { photo, contours, opacity, code } = this;
    return { photo, map: (code && this.#urls.get(code)) || "", values: this.#values.get(code), contours, opacity, code };
  }

  get #hasMaps() {
    return this.prediction.maps.available && this.prediction.probabilities.length > 0; // none for an unusable image
  }

  /** All parts of the card with their texts, as they should be now. */
  #parts() {
    const texts = [t("picture.of", { name: nameOf(this.prediction) }), t("picture.with_map")];
    this.panes.forEach((pane, at) => pane.describe(texts[at], t("picture.keys")));
    this.element.setAttribute("aria-label", t("picture.title"));
    const parts = [this.#tools(), this.place, ...this.#controls(), this.note];
    this.#blank();
    this.#moved();
    this.#show(this.problem);
    return parts;
  }

  #blank() {
    this.blank.replaceChildren(icon("image"), make("span", {}, ...[this.blankText()].flat()));
  }

  /** What to see, and how large. */
  #tools() {
    const view = (name) => button({ "aria-pressed": "false", data: { view: name } }, () => this.#choose(name), t(`picture.view.${name}`));
    this.views = VIEWS.map(view);
    const seen = this.#hasMaps && make("div", { class: "segments", role: "group", "aria-label": t("picture.views") }, ...this.views);
    const tool = (name, run) => {
      const label = t(`picture.tool.${name}`);
      return button({ class: `${name === "magnifier" ? "" : "quiet "}tool ${name}`, "aria-label": label, title: label }, run, icon(name));
    };
    this.level = make("output", { class: "level", "aria-label": t("picture.zoom") });
    this.magnifier = tool("magnifier", () => this.#magnify());
    this.magnifier.setAttribute("aria-pressed", this.lens.on);
    const zoom = [tool("zoom-out", this.zoom.out), this.level, tool("zoom-in", this.zoom.in)];
    this.whole = tool("whole", this.zoom.reset);
    this.larger = tool("larger", () => this.#enlarge());
    return make("div", { class: "picture-tools" }, seen, make("div", { class: "tools" }, ...zoom, this.whole, this.magnifier, this.larger));
  }

  /** How the map is drawn; hidden while none is shown. */
  #controls() {
    if (!this.#hasMaps) return [];
    const byCode = new Map(this.prediction.probabilities.map((row) => [row.code, row]));
    const probability = (code) => byCode.get(code)?.probability ?? 0;
    const order = [...this.prediction.maps.codes].sort((a, b) => probability(b) - probability(a));
    const options = order.map((code) => [code, `${percent(byCode.get(code)?.probability)} ${this.#nameOf(code)}`]);
    this.picker = select({ onchange: () => this.#pick(this.picker.value) }, options);
    this.picker.value = this.code;
    const id = freshId("opacity"); // named by `for`: a label around both would name the output
    const range = { id, type: "range", min: 0, max: 100, step: 5, value: this.opacity };
    this.slider = make("input", { ...range, oninput: () => this.#fade(Number(this.slider.value)) });
    this.faded = make("output", { class: "level" });
    const title = make("span", {}, make("label", { htmlFor: id }, t("map.opacity")), " ", this.faded);
    this.fader = make("div", { class: "field" }, title, this.slider);
    this.outlines = button({ class: "outlines", "aria-pressed": String(this.contours) }, () => this.#outline(), t("map.contours"));
    const scale = make("span", { class: "ramp", "aria-hidden": "true" });
    this.ramp = make("span", { class: "map-scale" }, make("span", {}, t("map.weak")), scale, make("span", {}, t("map.strong")));
    const lines = LEVELS.map((level) => make("span", { class: `level-${100 * level}` }, perCent(100 * level)));
    this.lines = make("span", { class: "map-scale lines" }, ...lines);
    const controls = [field(t("map.for"), this.picker), this.outlines, this.fader, this.ramp, this.lines];
    this.drawn = make("div", { class: "controls" }, ...controls);
    this.#tell(this.opacity);
    return [this.drawn];
  }

  async #begin() {
    try {
      this.photo = await this.#load("", () => this.#photo());
    } catch (error) {
      this.blankText = () => (error.status === 410 ? placeText("not_shown") : [t("picture.none"), " ", ...toldOf(error)]);
      this.#blank();
    }
    if (this.#disposed) return;
    this.tried = true;
    this.blank.hidden = Boolean(this.photo);
    await this.#pick(this.code);
  }

  /** The picture as a blob: the local file, if the browser shows it upright and in the geometry that was predicted. */
  async #photo() {
    const { width, height, frame } = this.prediction.image;
    if (this.file && !frame) {
      const blob = await shownFile(this.prediction, this.file);
      const size = await sizeOf(blob);
      if (size && Math.abs(size.width / size.height / (width / height) - 1) < SAME_SHAPE) return blob;
    }
    return pictureCopy(this.prediction, this.file);
  }

  async #load(name, make) {
    if (!this.#urls.has(name)) {
      const url = URL.createObjectURL(await make());
      this.#urls.set(name, url);
      if (this.#disposed) this.dispose();
    }
    return this.#urls.get(name);
  }

  async #pick(code) {
    const request = ++this.#request;
    const current = () => request === this.#request && !this.#disposed;
    this.code = code;
    let problem = null;
    if (this.#hasMaps && this.photo) {
      try {
        await this.#load(code, () => mapPicture(this.prediction, code));
        if (this.contours && !this.#values.has(code)) this.#values.set(code, await mapValues(this.prediction, code));
      } catch (error) {
        problem = error;
      }
    }
    if (!current()) return;
    this.#show(problem);
    this.changed();
  }

  #choose(view) {
    this.view = view;
    this.#show();
  }

  /** Draw the panes as they should be now, and say what is seen. */
  #show(problem = null) {
    const { photo, view, opacity } = this;
    this.problem = problem;
    const map = { ...this.shown, alt: t("map.of", { name: this.#name }) };
    this.panes[0].draw(view === "over" ? map : { photo, opacity });
    this.panes[1].draw(view === "beside" ? map : {});
    this.panes[1].stage.hidden = view !== "beside";
    this.element.dataset.view = view;
    for (const each of this.views) each.setAttribute("aria-pressed", each.dataset.view === view);
    for (const each of [...this.views.slice(1), this.magnifier]) each.disabled = this.tried && !photo; // a view may be chosen before its picture has come
    if (this.drawn) this.drawn.hidden = view === "image" || !photo;
    for (const each of [this.fader, this.ramp]) if (each) each.hidden = this.contours;
    if (this.lines) this.lines.hidden = !this.contours;
    this.note.replaceChildren(...[this.#said(problem)].flat());
  }

  get #name() {
    return this.#nameOf(this.code);
  }

  #nameOf(code) {
    const found = this.prediction.probabilities.find((row) => row.code === code);
    return found ? diagnosisName(found) : code;
  }

  #said(problem) {
    if (problem) return [t("map.none"), " ", ...toldOf(problem)];
    if (this.prediction.gate?.usable === false) return t("map.none_unusable");
    if (!this.#hasMaps) return t("map.none_ever");
    if (this.view === "image" || !this.photo) return "";
    const lines = this.contours ? ` ${t("map.lines")}` : "";
    return `${t("map.meaning", { name: this.#name })}${lines}`;
  }

  #outline() {
    this.contours = !this.contours;
    this.outlines.setAttribute("aria-pressed", this.contours);
    return this.#pick(this.code);
  }

  #fade(level) {
    this.opacity = level;
    this.#tell(level);
    this.#show();
    this.changed();
  }

  #tell(opacity) {
    this.faded.textContent = perCent(opacity);
    this.slider.setAttribute("aria-valuetext", perCent(opacity));
  }

  #magnify() {
    this.lens.on = !this.lens.on;
    this.magnifier.setAttribute("aria-pressed", this.lens.on);
    this.element.classList.toggle("magnifying", this.lens.on);
    this.lens.show(null);
  }

  #moved() {
    for (const pane of this.panes) pane.transform(this.zoom);
    this.level.textContent = perCent(Math.round(100 * this.zoom.scale));
  }

  /** Take the whole card into the dialog, so that it stays as it is set; closing puts it back. */
  #enlarge() {
    const dialog = byId("picture-dialog");
    if (dialog.open) return dialog.close();
    byId("picture-title").textContent = nameOf(this.prediction);
    const mark = make("span", { hidden: true });
    this.element.replaceWith(mark);
    byId("picture-large").replaceChildren(this.element);
    dialog.onclose = () => {
      mark.replaceWith(this.element);
      this.larger.focus();
    };
    return dialog.showModal();
  }
}

/** Title and detail of a problem in one line. */
const toldOf = (error) => [problemTitle(error), ". ", problemDetail(error)].filter(Boolean);

/** Width and height of an image file; null where the browser cannot show it. */
async function sizeOf(blob) {
  const url = URL.createObjectURL(blob);
  const image = make("img", { src: url });
  try {
    await image.decode();
    return { width: image.naturalWidth, height: image.naturalHeight };
  } catch {
    return null;
  } finally {
    URL.revokeObjectURL(url);
  }
}

// The picture with its heat map. The map comes alone, in the image's own geometry, and lies over the
// picture that this browser has; where the browser cannot show the file (TIFF, DICOM) or no longer has
// it (history), the server's own overlay is shown while the server still has the image.

import { call, shownFile } from "./api.js";
import { button, byId, field, freshId, icon, make, p, select } from "./dom.js";
import { leading, nameOf, percent } from "./format.js";
import { TEXTS } from "./texts.js";

const OPACITY = 60; // per cent, at first
const RELEASE_MS = 1000;
const SAME_SHAPE = 0.02; // relative difference of the sides' ratios

/** One prediction's picture; `dispose` frees its memory. */
export class Picture {
  #urls = new Map(); // object URLs of the maps by diagnosis
  #local = "";
  #blended = false;
  #request = 0;
  #disposed = false;

  constructor(prediction, file, changed = () => {}) {
    Object.assign(this, { prediction, file, changed, code: leading(prediction)?.code ?? "", opacity: OPACITY });
    this.picture = make("img", { class: "photo", alt: `The image ${prediction.file_name || "without a name"}` });
    this.map = make("img", { class: "map", alt: "", hidden: true });
    this.blank = p([icon("image"), make("span", {}, TEXTS.notShown)], "blank-picture");
    this.stage = make("div", { class: "stage" }, this.picture, this.map, this.blank);
    this.stage.style.setProperty("--ratio", prediction.image.width / prediction.image.height);
    this.note = make("p", { class: "map-note", role: "status" });
    const label = { class: "card picture", "aria-label": "Picture and heat map" };
    this.element = make("section", label, this.stage, ...this.#controls(), this.note);
    this.#begin();
  }

  /** Revoke every object URL, once no image still reads from one. */
  dispose() {
    this.#disposed = true;
    const urls = [this.#local, ...this.#urls.values()].filter(Boolean);
    this.#urls.clear();
    this.#local = "";
    setTimeout(() => urls.forEach((url) => URL.revokeObjectURL(url)), RELEASE_MS);
  }

  /** What a report shows: the sources of picture and map, as they are now. */
  get shown() {
    const source = (image) => (image.hidden ? "" : (image.getAttribute("src") ?? ""));
    const map = this.#blended ? "" : source(this.map);
    return { photo: source(this.picture), map, blended: this.#blended, opacity: this.opacity, code: this.code };
  }

  get #hasMaps() {
    return this.prediction.maps.available && this.prediction.probabilities.length > 0; // none for an unusable image
  }

  #controls() {
    if (!this.#hasMaps) return [];
    const byCode = new Map(this.prediction.probabilities.map((row) => [row.code, row]));
    const probability = (code) => byCode.get(code)?.probability;
    const order = [...this.prediction.maps.codes].sort((a, b) => (probability(b) ?? 0) - (probability(a) ?? 0));
    const options = order.map((code) => [code, `${percent(probability(code))} ${byCode.get(code)?.name ?? code}`]);
    this.picker = select({ onchange: () => this.#pick(this.picker.value) }, options);
    this.picker.value = this.code;
    const id = freshId("opacity"); // named by `for`: a label around both would name the output
    const range = { id, type: "range", min: 0, max: 100, step: 5, value: OPACITY };
    this.slider = make("input", { ...range, oninput: () => this.#fade(Number(this.slider.value)) });
    this.level = make("output", { class: "level" });
    const title = make("span", {}, make("label", { htmlFor: id }, "Map opacity"), " ", this.level);
    const opacity = make("div", { class: "field" }, title, this.slider);
    const ramp = make("span", { class: "ramp", "aria-hidden": "true" });
    const larger = button({ class: "larger" }, () => this.#enlarge(), icon("larger"), "Enlarge");
    this.#fade(OPACITY);
    return [
      make("div", { class: "controls" }, field("Heat map for", this.picker), opacity),
      make("div", { class: "scale" }, make("span", {}, "weak"), ramp, make("span", {}, "strong"), larger),
    ];
  }

  async #begin() {
    this.#blended = !(this.file && (await this.#showLocal()));
    if (this.#blended && this.slider) this.slider.disabled = true;
    await this.#pick(this.code);
  }

  /** Whether the browser can show the file, upright and in the geometry that the server saw. */
  async #showLocal() {
    this.#local = URL.createObjectURL(await shownFile(this.prediction, this.file));
    if (this.#disposed) this.dispose();
    this.picture.src = this.#local;
    try {
      await this.picture.decode();
    } catch {
      this.picture.removeAttribute("src");
    }
    const { width, height, frame } = this.prediction.image;
    const ratio = this.picture.naturalWidth / this.picture.naturalHeight;
    const same = Math.abs(ratio / (width / height) - 1) < SAME_SHAPE && !frame;
    this.blank.hidden = same;
    this.picture.hidden = !same;
    return same;
  }

  async #pick(code) {
    if (this.#disposed) return;
    const request = ++this.#request;
    const current = () => request === this.#request && !this.#disposed;
    this.code = code;
    if (this.#hasMaps) {
      try {
        const url = await this.#load(code);
        if (current()) this.#draw(url);
      } catch (error) {
        if (current()) this.#failed(error);
      }
    } else {
      this.picture.hidden = this.#blended;
      const unusable = this.prediction.gate?.usable === false;
      this.note.textContent = unusable ? "No heat map: the image is not usable." : "This model gives no heat maps.";
    }
    if (!this.#disposed) this.changed();
  }

  async #load(code) {
    if (!this.#urls.has(code)) {
      const [id, name] = [this.prediction.id, code].map(encodeURIComponent);
      const path = `predictions/${id}/maps/${name}.png?style=${this.#blended ? "overlay" : "map"}`;
      const response = await call(path, { headers: { Accept: "image/png" } });
      this.#urls.set(code, URL.createObjectURL(await response.blob()));
      if (this.#disposed) this.dispose();
    }
    return this.#urls.get(code);
  }

  #draw(url) {
    const target = this.#blended ? this.picture : this.map;
    target.src = url;
    target.hidden = false;
    this.blank.hidden = true;
    this.stage.classList.toggle("blended", this.#blended); // the server's own picture, with its title and scale
    const name = this.prediction.probabilities.find((row) => row.code === this.code)?.name ?? this.code;
    const fixed = this.#blended ? ` ${TEXTS.opacityFixed}` : "";
    this.map.alt = this.#blended ? "" : `Heat map for ${name}`;
    this.note.textContent = `Where the network found evidence for ${name}: not why, and not that it is right.${fixed}`;
  }

  #failed(error) {
    this.map.hidden = true;
    if (this.#blended) this.picture.hidden = true;
    this.blank.hidden = !this.#blended;
    const gone = error.status === 410;
    this.note.textContent = gone
      ? "The server no longer has the image for this heat map."
      : `No heat map: ${error.message}. ${error.detail ?? ""}`;
  }

  #fade(level) {
    this.opacity = level;
    this.map.style.opacity = level / 100;
    this.level.textContent = `${level}\u202f%`;
    this.slider.setAttribute("aria-valuetext", `${level} per cent`);
    this.changed();
  }

  #enlarge() {
    byId("picture-title").textContent = nameOf(this.prediction);
    byId("picture-large").replaceChildren(this.stage.cloneNode(true));
    byId("picture-dialog").showModal();
  }
}

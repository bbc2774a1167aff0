// The picture with its heat map. The map comes alone, in the image's own geometry, and lies over the
// picture that this browser already has; where the browser cannot show the file (TIFF, DICOM) or no
// longer has it (history), the server's own blend is shown while it still can make one.

import { call } from "./api.js";
import { byId, freshId, icon, make } from "./dom.js";
import { leading, percent } from "./format.js";

const OPACITY = 60; // per cent, to begin with
const LET_GO_MS = 1000;
const SAME_SHAPE = 0.02; // relative difference of the sides' ratios

/** One answer's picture; `dispose` gives its memory back. */
export class Picture {
  #urls = new Map(); // object URLs by what they show
  #local = "";
  #blended = false;
  #asked = 0;
  #over = false;

  constructor(answer, file, changed = () => {}) {
    Object.assign(this, { answer, file, changed, code: leading(answer)?.code ?? "", opacity: OPACITY });
    this.picture = make("img", { class: "photo", alt: `The image ${answer.file_name || "without a name"}` });
    this.map = make("img", { class: "map", alt: "", hidden: true });
    this.blank = make(
      "p",
      { class: "blank-picture" },
      icon("image"),
      make("span", {}, "The picture is not kept on the server and is no longer in this tab."),
    );
    this.stage = make("div", { class: "stage" }, this.picture, this.map, this.blank);
    this.stage.style.setProperty("--ratio", answer.image.width / answer.image.height);
    this.note = make("p", { class: "map-note", role: "status" });
    this.element = make(
      "section",
      { class: "card picture", "aria-label": "Picture and heat map" },
      this.stage,
      ...this.#controls(),
      this.note,
    );
    this.ready = this.#begin();
  }

  /** Give every object URL back, once no image that was just let go still reads from one. */
  dispose() {
    this.#over = true;
    const urls = [this.#local, ...this.#urls.values()].filter(Boolean);
    this.#urls.clear();
    this.#local = "";
    setTimeout(() => urls.forEach((url) => URL.revokeObjectURL(url)), LET_GO_MS);
  }

  /** What a report shows: the sources of picture and map, as they are now. */
  get shown() {
    const drawn = (image) => (image.hidden ? "" : (image.getAttribute("src") ?? ""));
    return {
      photo: drawn(this.picture),
      map: this.#blended ? "" : drawn(this.map),
      blended: this.#blended,
      opacity: this.opacity,
      code: this.code,
    };
  }

  get #hasMaps() {
    return this.answer.maps?.available && this.answer.probabilities.length > 0; // none for an image that was not usable
  }

  #controls() {
    if (!this.#hasMaps) return [];
    const byCode = new Map(this.answer.probabilities.map((row) => [row.code, row]));
    const order = [...this.answer.maps.codes].sort(
      (a, b) => (byCode.get(b)?.probability ?? 0) - (byCode.get(a)?.probability ?? 0),
    );
    const option = (code) =>
      make(
        "option",
        { value: code, selected: code === this.code },
        `${percent(byCode.get(code)?.probability)} ${byCode.get(code)?.name ?? code}`,
      );
    this.picker = make("select", { on: { change: () => this.#pick(this.picker.value) } }, ...order.map(option));
    const id = freshId("opacity"); // named by `for`: a label around both would name the output
    this.slider = make("input", {
      id,
      type: "range",
      min: 0,
      max: 100,
      step: 5,
      value: OPACITY,
      on: { input: () => this.#fade(Number(this.slider.value)) },
    });
    this.level = make("output", { class: "level" });
    this.larger = make(
      "button",
      { type: "button", class: "larger", on: { click: () => this.#enlarge() } },
      icon("larger"),
      "Enlarge",
    );
    this.#fade(OPACITY);
    return [
      make(
        "div",
        { class: "controls" },
        make("label", { class: "field" }, make("span", {}, "Heat map for"), this.picker),
        make(
          "div",
          { class: "field" },
          make("span", {}, make("label", { htmlFor: id }, "Map opacity"), " ", this.level),
          this.slider,
        ),
      ),
      make(
        "div",
        { class: "scale" },
        make("span", {}, "weak"),
        make("span", { class: "ramp", "aria-hidden": "true" }),
        make("span", {}, "strong"),
        this.larger,
      ),
    ];
  }

  async #begin() {
    if (this.file && (await this.#showLocal())) return this.#pick(this.code);
    this.#blended = true;
    if (this.slider) this.slider.disabled = true;
    return this.#pick(this.code);
  }

  /** Whether the browser can show the file, upright and in the geometry that the server saw. */
  async #showLocal() {
    this.#local = URL.createObjectURL(this.file);
    this.picture.src = this.#local;
    try {
      await this.picture.decode();
    } catch {
      this.picture.removeAttribute("src");
    }
    const { width, height } = this.answer.image;
    const ratio = this.picture.naturalWidth / this.picture.naturalHeight;
    const same = Math.abs(ratio / (width / height) - 1) < SAME_SHAPE && !this.answer.image.frame;
    this.blank.hidden = same;
    this.picture.hidden = !same;
    return same;
  }

  async #pick(code) {
    if (this.#over) return undefined;
    const asked = ++this.#asked;
    this.code = code;
    if (!this.#hasMaps) {
      this.picture.hidden = this.#blended;
      this.note.textContent =
        this.answer.gate?.usable === false ? "No heat map: the image is not usable." : "This model gives no heat maps.";
      return this.changed();
    }
    try {
      const url = await this.#fetched(code, this.#blended ? "overlay" : "map");
      if (asked === this.#asked && !this.#over) this.#draw(url);
    } catch (error) {
      if (asked === this.#asked && !this.#over) this.#failed(error);
    }
    return this.#over ? undefined : this.changed();
  }

  async #fetched(code, style) {
    if (!this.#urls.has(code)) {
      const response = await call(
        `predictions/${encodeURIComponent(this.answer.id)}/maps/${encodeURIComponent(code)}.png?style=${style}`,
        { headers: { Accept: "image/png" } },
      );
      this.#urls.set(code, URL.createObjectURL(await response.blob()));
      if (this.#over) this.dispose();
    }
    return this.#urls.get(code);
  }

  #draw(url) {
    const target = this.#blended ? this.picture : this.map;
    target.src = url;
    target.hidden = false;
    this.blank.hidden = true;
    this.stage.classList.toggle("blended", this.#blended); // the server's own picture, with its title and scale
    const name = this.answer.probabilities.find((row) => row.code === this.code)?.name ?? this.code;
    this.map.alt = this.#blended ? "" : `Heat map for ${name}`;
    this.note.textContent = `Where the network found evidence for ${name}: not why, and not that it is right.${
      this.#blended ? " The server laid the map over the picture, so its opacity is fixed." : ""
    }`;
  }

  #failed(error) {
    this.map.hidden = true;
    if (this.#blended) this.picture.hidden = true;
    this.blank.hidden = !this.#blended;
    this.note.textContent =
      error.status === 410
        ? "The heat map is no longer held by the server."
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
    const copy = this.stage.cloneNode(true);
    byId("picture-title").textContent = this.answer.file_name || "Picture";
    byId("picture-large").replaceChildren(copy);
    byId("picture-dialog").showModal();
  }
}

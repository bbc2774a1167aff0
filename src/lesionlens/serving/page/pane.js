// One view of a picture: the image, its heat map as colours or contours, a scale bar, and the magnifier's lens.

import { contourDrawing } from "./contours.js";
import { make } from "./dom.js";
import { quantity } from "./format.js";

const LENS = 3; // times larger than around it
const LONGEST_BAR = 0.3; // of the pane's width
const NICE = [1, 2, 5];

/** A picture in its own shape. `draw` fills it, `transform` zooms it, `lens` magnifies a place. */
export class Pane {
  #content = {};
  #zoom = null;

  constructor({ width, height, pixel_spacing_mm: spacing }) {
    this.widthMm = spacing ? width * spacing[1] : 0;
    this.photo = make("img", { class: "photo", alt: "", hidden: true });
    this.layer = make("div", { class: "layer" }, this.photo);
    this.glass = make("div", { class: "lens", "aria-hidden": "true", hidden: true });
    this.barText = make("span");
    this.barLine = make("span", { class: "scale-line" });
    this.bar = make("p", { class: "scale-bar", hidden: true }, this.barText, this.barLine);
    this.stage = make("div", { class: "stage" }, this.layer, this.glass, this.bar);
    const shape = spacing ? (width * spacing[1]) / (height * spacing[0]) : width / height;
    this.stage.style.setProperty("--ratio", shape);
    this.#measure(1);
  }

  /** Name the pane, and say which keys move it. */
  describe(text, keys) {
    this.photo.alt = text;
    for (const [name, value] of Object.entries({ tabindex: 0, role: "group", "aria-label": `${text}. ${keys}` }))
      this.stage.setAttribute(name, value);
  }

  /** Show a photo (URL) and over it a map (URL), as colours of an opacity in per cent, or the contours of its values. */
  draw({ photo = "", map = "", values = null, contours = false, opacity = 100, alt = "" }) {
    if (this.photo.getAttribute("src") !== photo) this.photo.src = photo;
    this.photo.hidden = !photo;
    const key = `${map} ${contours} ${photo} ${alt}`;
    if (key !== this.#content.key || values !== this.#content.values) {
      const lines = values && contours && contourDrawing(values);
      const colours = map && !contours && make("img", { class: "map", src: map, alt });
      this.layer.replaceChildren(this.photo, ...[colours, lines].filter(Boolean));
      this.#content = { key, values, colours };
    }
    if (this.#content.colours) this.#content.colours.style.opacity = opacity / 100;
    this.bar.hidden = !photo || !this.widthMm;
    this.lens(null);
    return this;
  }

  transform(zoom) {
    this.#zoom = zoom;
    this.layer.style.transform = zoom.css;
    this.layer.style.setProperty("--zoom", zoom.scale); // so that lines keep their width
    this.stage.classList.toggle("zoomed", zoom.zoomed);
    this.#measure(zoom.scale);
    this.lens(null);
  }

  /** Magnify the place at these shares of the pane; null puts the lens away. */
  lens(place) {
    this.glass.hidden = !place || this.photo.hidden;
    if (this.glass.hidden) return this.glass.replaceChildren();
    if (!this.glass.firstChild) this.glass.append(this.layer.cloneNode(true));
    const { scale, x, y } = this.#zoom ?? { scale: 1, x: 0, y: 0 };
    const { clientWidth: width, clientHeight: height } = this.stage;
    const [side, layer] = [this.glass.offsetWidth, this.glass.firstChild];
    const large = scale * LENS;
    const [across, down] = [(place[0] - x) / scale, (place[1] - y) / scale]; // of the picture
    Object.assign(layer.style, { width: `${width}px`, height: `${height}px` });
    layer.style.transform = `translate(${side / 2 - across * width * large}px, ${side / 2 - down * height * large}px) scale(${large})`;
    layer.style.setProperty("--zoom", large);
    const [left, top] = [place[0] * width, place[1] * height].map((at) => at - this.glass.offsetWidth / 2);
    return Object.assign(this.glass.style, { left: `${left}px`, top: `${top}px` });
  }

  #measure(scale) {
    if (!this.widthMm) return;
    const length = niceLength((LONGEST_BAR * this.widthMm) / scale);
    this.barText.textContent = quantity(length, "mm");
    this.barLine.style.width = `${(100 * length * scale) / this.widthMm}%`;
  }
}

/** The longest of 1, 2 and 5 times a power of ten that is not above `most`. */
export function niceLength(most) {
  const power = 10 ** Math.floor(Math.log10(most) + 1e-9);
  return Number((power * NICE.findLast((factor) => factor * power <= most * (1 + 1e-9))).toPrecision(1));
}

// How far a picture is zoomed and where: one state that all panes of a prediction share.

const MOST = 12; // a camera's own pixels on most screens
const STEP = 1.5;

/**
 * The part of the picture in view. A point at share `u` of the picture's width appears at share `u * scale + x` of the
 * pane's, likewise down; so panes of different sizes show the same part. `changed` is called after every change.
 */
export class Zoom {
  scale = 1;
  x = 0;
  y = 0;

  constructor(changed) {
    this.changed = changed;
  }

  /** Zoom by a factor; the point at these shares of the pane stays where it is. */
  by(factor, across = 0.5, down = 0.5) {
    const scale = Math.min(MOST, Math.max(1, this.scale * factor));
    const grown = scale / this.scale;
    this.#set(scale, across - (across - this.x) * grown, down - (down - this.y) * grown);
  }

  /** Move the picture by shares of the pane. */
  move(across, down) {
    this.#set(this.scale, this.x + across, this.y + down);
  }

  in = () => this.by(STEP);
  out = () => this.by(1 / STEP);
  reset = () => this.#set(1, 0, 0);

  /** Whether the picture is larger than its pane. */
  get zoomed() {
    return this.scale > 1;
  }

  /** As a CSS transformation from the pane's top left corner. */
  get css() {
    return `translate(${100 * this.x}%, ${100 * this.y}%) scale(${this.scale})`;
  }

  #set(scale, x, y) {
    const inside = (shift) => Math.min(0, Math.max(1 - scale, shift)); // no empty edge
    Object.assign(this, { scale, x: inside(x), y: inside(y) });
    this.changed();
  }
}

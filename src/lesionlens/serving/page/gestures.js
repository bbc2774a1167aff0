// Wheel, fingers, mouse and keys on a pane, as zoom, pan and the place of the magnifier.

const WHEEL = 0.002; // of the logarithm of the scale for each pixel
const PINCHED = 0.01; // a trackpad's pinch comes as a wheel with Ctrl, in small steps
const KEY_SHARE = 0.1; // of the pane

/**
 * Watch one pane. `lens.on` says whether the magnifier is on, `lens.show` is called with its place as shares of the pane,
 * or null. A plain wheel scrolls the page, except in a dialog, where there is nothing to scroll.
 */
export function watchGestures(stage, zoom, lens) {
  watchWheel(stage, zoom);
  watchPointers(stage, zoom, lens);
  watchKeys(stage, zoom, lens);
  stage.addEventListener("dblclick", (event) => zoom.by(event.shiftKey ? 0.5 : 2, ...shares(stage, event)));
}

/** A place on the screen as shares of the pane. */
function shares(stage, { clientX, clientY }) {
  const { left, top, width, height } = stage.getBoundingClientRect();
  return [(clientX - left) / width, (clientY - top) / height];
}

function watchWheel(stage, zoom) {
  const turn = (event) => {
    if (!event.ctrlKey && !event.metaKey && !stage.closest("dialog")) return;
    event.preventDefault();
    zoom.by(Math.exp(-event.deltaY * (event.ctrlKey ? PINCHED : WHEEL)), ...shares(stage, event));
  };
  stage.addEventListener("wheel", turn, { passive: false });
}

function watchPointers(stage, zoom, lens) {
  const down = new Map(); // places by pointer, shares of the pane
  const middle = () => [0, 1].map((axis) => [...down.values()].reduce((sum, place) => sum + place[axis], 0) / down.size);
  const apart = () => {
    const { width, height } = stage.getBoundingClientRect();
    const [one, other] = [...down.values()];
    return Math.hypot((one[0] - other[0]) * width, (one[1] - other[1]) * height) || 1;
  };
  const moved = (event) => {
    const place = shares(stage, event);
    if (lens.on && down.size < 2) return lens.show(place);
    if (!down.has(event.pointerId)) return null;
    const [before, wide] = [middle(), down.size > 1 ? apart() : 1];
    down.set(event.pointerId, place);
    const after = middle();
    zoom.move(after[0] - before[0], after[1] - before[1]);
    return down.size > 1 && zoom.by(apart() / wide, ...after);
  };
  const ended = (event) => {
    down.delete(event.pointerId);
    if (event.type !== "pointerup") lens.show(null);
  };
  stage.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    down.set(event.pointerId, shares(stage, event));
    stage.setPointerCapture(event.pointerId);
    if (lens.on) moved(event);
  });
  stage.addEventListener("pointermove", moved);
  for (const end of ["pointerup", "pointercancel", "pointerleave"]) stage.addEventListener(end, ended);
  // Two fingers are for the picture; with one, the page still scrolls while the picture is not zoomed.
  stage.addEventListener("touchstart", (event) => event.touches.length > 1 && event.preventDefault(), { passive: false });
}

function watchKeys(stage, zoom, lens) {
  let place = [0.5, 0.5]; // of the magnifier
  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const keys = { "+": zoom.in, "=": zoom.in, "-": zoom.out, "0": zoom.reset };
  stage.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return; // the browser's own zoom
    const [across, down] = (arrows[event.key] ?? []).map((step) => step * KEY_SHARE);
    if (keys[event.key]) keys[event.key]();
    else if (across === undefined) return;
    else if (lens.on) {
      place = [place[0] + across, place[1] + down].map((share) => Math.min(1, Math.max(0, share)));
      lens.show(place);
    } else if (zoom.zoomed) zoom.move(-across, -down);
    else return; // the page scrolls
    event.preventDefault();
  });
  stage.addEventListener("blur", () => lens.show(null));
}

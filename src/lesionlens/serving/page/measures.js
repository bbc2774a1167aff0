// The image check's measures in words, and the limit of each where the model states one.

import { figure, words } from "./format.js";

const NAMES = {
  shorter_side_px: "Shorter side, pixels",
  clipped_share: "Overexposed share",
  distance: "Distance from training images",
};
const SIDES = {
  shorter_side_px: [["too_small", "at least"]],
  sharpness: [["blurred", "at least"]],
  brightness: [
    ["too_dark", "at least"],
    ["too_bright", "at most"],
  ],
  clipped_share: [["clipped", "at most"]],
  distance: [["not_dermoscopic", "at most"]],
};

/** Measures that the page knows limits of, in the order of the checks. */
export const MEASURES = Object.keys(SIDES);

/** A measure's name for people. */
export const measureName = (name) => NAMES[name] ?? words(name);

/** What it may be, for example `(at least 32)`; empty where nothing is stated. */
export function measureLimit(name, gate) {
  const thresholds = gate?.thresholds ?? {};
  const said = (SIDES[name] ?? [])
    .filter(([code]) => typeof thresholds[code] === "number")
    .map(([code, side]) => `${side} ${figure(thresholds[code])}`);
  return said.length ? `(${said.join(", ")})` : "";
}

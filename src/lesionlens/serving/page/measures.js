// The image check's measures in words, and the limit of each where the model states one.

import { figure, words } from "./format.js";

const NAMES = {
  shorter_side_px: "Shorter side, pixels",
  clipped_share: "Overexposed share",
  distance: "Distance from training images",
  photograph_score: "Like a photograph without a dermatoscope",
};
const LIMITS = {
  shorter_side_px: [["too_small", "at least"]],
  sharpness: [["blurred", "at least"]],
  brightness: [["too_dark", "at least"], ["too_bright", "at most"]],
  clipped_share: [["clipped", "at most"]],
  distance: [["not_dermoscopic", "at most"]],
  photograph_score: [["no_dermatoscope", "at most"]],
};

/** The measures whose limits the page knows, in the order of the checks. */
export const MEASURES = Object.keys(LIMITS);

/** A measure's name for people. */
export const measureName = (name) => NAMES[name] ?? words(name);

/** Its limit, for example `(at least 32)`; empty where none is stated. */
export function measureLimit(name, gate) {
  const thresholds = gate?.thresholds ?? {};
  const limits = (LIMITS[name] ?? [])
    .filter(([code]) => typeof thresholds[code] === "number")
    .map(([code, side]) => `${side} ${figure(thresholds[code])}`);
  return limits.length ? `(${limits.join(", ")})` : "";
}

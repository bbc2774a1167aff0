// The image check's measures in words, and the limit of each where the model states one.

import { figure, listed, words } from "./format.js";
import { knows, t } from "./language.js";

const LIMITS = {
  shorter_side_px: [["too_small", "at_least"]],
  sharpness: [["blurred", "at_least"]],
  brightness: [["too_dark", "at_least"], ["too_bright", "at_most"]],
  clipped_share: [["clipped", "at_most"]],
  distance: [["not_dermoscopic", "at_most"]],
  photograph_score: [["no_dermatoscope", "at_most"]],
};

/** The measures whose limits the page knows, in the order of the checks. */
export const MEASURES = Object.keys(LIMITS);

/** A measure's name for people. */
export const measureName = (name) => (knows(`measure.${name}`) ? t(`measure.${name}`) : words(name));

/** Its limit, for example `at least 32`; empty where none is stated. */
export function measureLimit(name, gate) {
  const thresholds = gate?.thresholds ?? {};
  const limits = (LIMITS[name] ?? [])
    .filter(([code]) => typeof thresholds[code] === "number")
    .map(([code, side]) => t(`limit.${side}`, { value: figure(thresholds[code]) }));
  return listed(limits);
}

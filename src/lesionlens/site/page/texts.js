// Texts that depend on where predictions are made: here, on this device. The server's page has its own `texts.js`.

import { t } from "./language.js";

/** A text of the page about the place of the prediction, such as `waits`. */
export const placeText = (name) => t(`device.${name}`);

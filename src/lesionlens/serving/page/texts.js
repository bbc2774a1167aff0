// Texts that depend on where predictions are made: here, on a server. The static site of `lesionlens site`
// uses the same modules with its own `texts.js` and `api.js`.

import { t } from "./language.js";

/** A text of the page about the place of the prediction, such as `waits`. */
export const placeText = (name) => t(`server.${name}`);

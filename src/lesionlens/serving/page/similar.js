// Confirmed lesions of the log that look alike to the network, with their histology.

import { callJson, pictureCopy } from "./api.js";
import { button, make, p } from "./dom.js";
import { conclusionName } from "./format.js";
import { problemNotice } from "./notices.js";

const MOST = 6;
const SIDE = 256; // pixels

/** A button that looks them up, and the place where they are shown. */
export function similarLesions(prediction, model) {
  const place = make("div", { class: "similar", role: "status" });
  const look = async () => {
    place.replaceChildren(p("Looking.", "none"));
    try {
      const { items, searched } = await callJson(`predictions/${encodeURIComponent(prediction.id)}/similar?limit=${MOST}`);
      const list = make("ul", {}, ...items.map((item) => itemOf(item, model?.labels ?? [])));
      const none = searched ? "None is comparable." : "No lesion of this model has a histology yet.";
      place.replaceChildren(items.length ? list : p(none, "none"));
    } catch (error) {
      place.replaceChildren(problemNotice(error));
    }
  };
  return make("div", {}, button({ class: "look-similar" }, look, "Similar confirmed lesions"), place);
}

function itemOf({ prediction, histology, similarity }, labels) {
  const link = make("a", { href: `#prediction/${prediction.id}` }, conclusionName(histology, labels));
  const item = make("li", {}, make("span", { class: "thumb blank" }), link, make("span", { class: "sub" }, `histology; similarity ${similarity.toFixed(2)}`));
  pictureCopy(prediction, null, SIDE).then(
    async (blob) => {
      const image = await createImageBitmap(blob);
      const canvas = make("canvas", { class: "thumb", width: image.width, height: image.height, role: "img", "aria-label": "The image" });
      canvas.getContext("2d").drawImage(image, 0, 0);
      item.firstChild.replaceWith(canvas);
    },
    () => {}, // the image is not kept: the blank stays
  );
  return item;
}

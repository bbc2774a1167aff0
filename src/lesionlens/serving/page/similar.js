// Confirmed lesions of the log that look alike to the network, with their histology.

import { callJson, pictureCopy } from "./api.js";
import { button, make, p } from "./dom.js";
import { conclusionName, number } from "./format.js";
import { t } from "./language.js";
import { problemNotice } from "./notices.js";
import { fill } from "./redraw.js";

const MOST = 6;
const SIDE = 256; // pixels

/** A button that looks them up, and the place where they are shown. */
export function similarLesions(prediction, model) {
  const place = make("div", { class: "similar", role: "status" });
  const look = async () => {
    fill(place, () => p(t("similar.looking"), "none"));
    try {
      const { items, searched } = await callJson(`predictions/${encodeURIComponent(prediction.id)}/similar?limit=${MOST}`);
      const none = () => p(t(searched ? "similar.none" : "similar.no_histology"), "none");
      fill(place, () => (items.length ? make("ul", {}, ...items.map((item) => itemOf(item, model?.labels ?? []))) : none()));
    } catch (error) {
      fill(place, () => problemNotice(error));
    }
  };
  return make("div", {}, fill(button({ class: "look-similar" }, look), () => t("similar.button")), place);
}

function itemOf({ prediction, histology, similarity }, labels) {
  const link = make("a", { href: `#prediction/${prediction.id}` }, conclusionName(histology, labels));
  const item = make("li", {}, make("span", { class: "thumb blank" }), link, make("span", { class: "sub" }, t("similar.by", { value: number(similarity.toFixed(2)) })));
  pictureCopy(prediction, null, SIDE).then(
    async (blob) => {
      const image = await createImageBitmap(blob);
      const canvas = make("canvas", { class: "thumb", width: image.width, height: image.height, role: "img", "aria-label": t("image.this") });
      canvas.getContext("2d").drawImage(image, 0, 0);
      item.firstChild.replaceWith(canvas);
    },
    () => {}, // the image is not kept: the blank stays
  );
  return item;
}

// The images of this session: how they come in, their list, and the one that is shown.

import { byId, icon, make, named, p } from "./dom.js";
import { OUTCOMES, outcomeWord } from "./format.js";
import { watchIntake } from "./intake.js";
import { t } from "./language.js";
import { problemNotice } from "./notices.js";
import { patient } from "./patient.js";
import { showPrediction } from "./prediction.js";
import { Queue } from "./queue.js";
import { fill } from "./redraw.js";
import { Rows } from "./rows.js";
import { placeText } from "./texts.js";

/**
 * The view of the images; `model` returns the response of /v1/model or null, `withModel` runs a function once it is there,
 * and `more` gives the elements that the details of an item have on a server.
 */
export class Session {
  queue = new Queue();
  #selected = null;
  #release = () => {};

  constructor(model, withModel, more = () => []) {
    Object.assign(this, { model, withModel, more });
    this.rows = new Rows(this.queue, (item) => this.#select(item, true));
    watchIntake((files) => {
      const added = this.queue.add(files, 0, patient());
      if (location.hash && location.hash !== "#images") location.hash = "#images";
      if (!this.#selected || this.#selected.state === "failed") this.#select(added[0]);
    });
    this.queue.addEventListener("added", ({ detail }) => !this.#selected && !byId("view-images").hidden && this.#select(detail[0]));
    const isShown = (item) => item === this.#selected && !byId("view-images").hidden;
    this.queue.addEventListener("changed", ({ detail }) => isShown(detail) && this.#refresh(detail));
    this.queue.addEventListener("removed", ({ detail }) => detail === this.#selected && this.#select(this.queue.items[0] ?? null));
  }

  /** Show the selected image, or the welcome where there is none. */
  show() {
    this.#select(this.#selected);
  }

  /** Release the prediction that is shown, wherever it is, and remember how to release the next one. */
  release(next = () => {}) {
    this.#release();
    this.#release = next;
  }

  /** Show one of the session's images: its prediction, its problem, or how far it is. */
  #select(item, scroll = false) {
    this.release();
    this.#selected = item;
    this.rows.select(item);
    const place = byId("detail");
    if (!item) return fill(place, welcome);
    if (item.state === "done" && !this.model()) {
      this.withModel(() => item === this.#selected && this.#select(item), place); // the review needs the names of the diagnoses
    } else if (item.state === "done") {
      this.release(this.#prediction(place, item));
    } else if (item.state === "failed") {
      const notice = () => problemNotice(item.problem, item.file && (() => this.queue.retry(item)));
      fill(place, () => [make("h2", { class: "file-name" }, named(item.name)), notice()]);
    } else {
      fill(place, () => p(t("list.no_prediction", { name: item.name }), "card empty"));
    }
    const { top } = place.getBoundingClientRect();
    if (scroll && (top < 0 || top > window.innerHeight / 2)) place.scrollIntoView({ block: "start" });
  }

  #prediction(place, item) {
    return showPrediction(place, item.prediction, {
      file: item.file,
      model: this.model(),
      more: this.more(item, () => item === this.#selected && this.#select(item)),
      reviewed: () => this.queue.dispatchEvent(new CustomEvent("changed", { detail: item })),
      again: (frame) => this.#select(this.queue.add([item.file], frame, item.metadata)[0]),
    });
  }

  /** The shown image has moved on; a prediction that is already shown stays as it is. */
  #refresh(item) {
    if (item.state !== "done" || !byId("detail").querySelector(".outcome")) this.#select(item);
  }
}

/** What the three outcomes mean, before the first image. */
function welcome() {
  const line = (outcome) => {
    const body = make("div", {}, make("h3", {}, outcomeWord(outcome)), p(t(`welcome.${outcome}`)));
    return make("li", { data: { outcome } }, icon(outcome), body);
  };
  return make(
    "section",
    { class: "card welcome", "aria-labelledby": "welcome-title" },
    make("h2", { id: "welcome-title" }, t("welcome.title")),
    make("ul", {}, ...OUTCOMES.map(line)),
    p(placeText("privacy"), "sub"),
  );
}

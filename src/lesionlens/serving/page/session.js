// The images of this session: how they come in, their list, and the one that is shown.

import { byId, icon, make, p } from "./dom.js";
import { OUTCOMES } from "./format.js";
import { watchIntake } from "./intake.js";
import { problemNotice } from "./notices.js";
import { patient } from "./patient.js";
import { showPrediction } from "./prediction.js";
import { Queue } from "./queue.js";
import { Rows } from "./rows.js";
import { TEXTS } from "./texts.js";

const KINDS = {
  diagnosis: "The most probable of the model's diagnoses, with the calibrated probabilities of all of them.",
  not_sure: "Another diagnosis leads, but one that must not be missed is too probable to be left out.",
  not_usable: "Too small, blurred, badly exposed, or not a dermoscopic image. The reason is given.",
};

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
    if (!item) return place.replaceChildren(welcome());
    if (item.state === "done" && !this.model()) {
      this.withModel(() => item === this.#selected && this.#select(item), place); // the review needs the names of the diagnoses
    } else if (item.state === "done") {
      this.release(this.#prediction(place, item));
    } else if (item.state === "failed") {
      const notice = problemNotice(item.problem, item.file && (() => this.queue.retry(item)));
      place.replaceChildren(make("h2", { class: "file-name" }, item.name), notice);
    } else {
      place.replaceChildren(p(`${item.name} has no prediction yet.`, "card empty"));
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
  const line = ([outcome, text]) => {
    const body = make("div", {}, make("h3", {}, OUTCOMES[outcome].word), p(text));
    return make("li", { data: { outcome } }, icon(outcome), body);
  };
  return make(
    "section",
    { class: "card welcome", "aria-labelledby": "welcome-title" },
    make("h2", { id: "welcome-title" }, "Every image gets one of three outcomes"),
    make("ul", {}, ...Object.entries(KINDS).map(line)),
    p(TEXTS.privacy, "sub"),
  );
}

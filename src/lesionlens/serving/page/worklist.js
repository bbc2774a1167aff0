// What waits for a person: disagreements that must not be missed, predictions without a review, and how the model does here.

import { callJson } from "./api.js";
import { announce, byId, card, head, icon, make, malignantTag, number, p, row, rowHeader } from "./dom.js";
import { conclusionName, inShort, leading, nameOf, percent, when } from "./format.js";
import { problemNotice } from "./notices.js";

const MOST = 100; // rows of either list
const LABELS = 10;
const KINDS = {
  missed_malignant: "Malignant, and the model said benign",
  false_alarm: "Benign, and the model said malignant",
  other_diagnosis: "Another diagnosis",
  unusable: "Reviewed as unusable",
};
const ALARMS = { refusals: "The share of images that are not usable", prior: "The mean malignant share" };

/** The view of the worklist; `labels` returns the diagnoses, `mayReview` whether statistics may be read. */
export class Worklist {
  constructor(labels, mayReview) {
    Object.assign(this, { labels, mayReview, place: byId("worklist-list") });
  }

  async open() {
    this.place.setAttribute("aria-busy", "true");
    try {
      const [list, next, statistics] = await Promise.all([
        callJson(`worklist?limit=${MOST}`),
        callJson(`label-next?limit=${LABELS}`),
        this.mayReview() ? callJson("statistics") : null,
      ]);
      this.#show(list, next, statistics);
    } catch (error) {
      this.place.replaceChildren(problemNotice(error, () => this.open()));
    }
    this.place.removeAttribute("aria-busy");
  }

  #show(list, next, statistics) {
    announce(`${list.disagreements} disagreements, ${list.unreviewed} predictions without a review.`);
    this.place.replaceChildren(
      ...(statistics?.drift.alarms ?? []).map(alarmOf),
      this.#disagreeing(list),
      this.#waiting(list),
      this.#toLabel(next),
      ...(statistics ? [statisticsOf(statistics), driftOf(statistics.drift)] : []),
    );
  }

  #disagreeing({ disagreeing, disagreements, is_complete }) {
    const title = make("h2", { id: "disagreeing-title" }, `Disagreements (${disagreements})`);
    const note = is_complete ? "" : "Only the newest are put in order.";
    if (!disagreeing.length) return card(title, "", p("No review and no histology contradicts a diagnosis of the model.", "none"));
    const line = ({ prediction, kind, by, says }) =>
      row(
        { data: { id: prediction.id, kind } },
        make("td", { data: { name: "Finding" } }, make("strong", { class: `kind ${kind}` }, kind === "missed_malignant" && icon("malignant"), KINDS[kind])),
        make("td", { data: { name: "Model" } }, inShort(prediction)),
        make("td", { data: { name: by === "histology" ? "Histology" : "Review" } }, conclusionName(says, this.labels()), make("span", { class: "sub" }, by)),
        this.#linked(prediction),
      );
    const table = make(
      "table",
      { class: "history", "aria-labelledby": title.id },
      make("thead", {}, head(["Finding", "Model", "Person or histology", "Image"])),
      make("tbody", {}, ...disagreeing.map(line)),
    );
    return card(title, "disagreeing", table, note && p(note, "sub"));
  }

  #waiting({ waiting, unreviewed }) {
    const title = make("h2", { id: "waiting-title" }, `Without a review (${unreviewed})`);
    if (!waiting.length) return card(title, "", p("Every prediction has a review.", "none"));
    const line = (prediction) =>
      row(
        { data: { id: prediction.id } },
        make("td", { class: "number", data: { name: "Malignant share" } }, percent(prediction.malignant_share)),
        make("td", { data: { name: "Outcome" } }, inShort(prediction), prediction.outcome === "diagnosis" && leading(prediction)?.malignant && [" ", malignantTag()]),
        this.#linked(prediction),
        make("td", { data: { name: "Predicted" } }, make("time", { dateTime: prediction.created }, when(prediction.created, true))),
      );
    const table = make(
      "table",
      { class: "history", "aria-labelledby": title.id },
      make("thead", {}, head(["Malignant share", "Outcome", "Image", "Predicted"], (name, at) => at === 0)),
      make("tbody", {}, ...waiting.map(line)),
    );
    const more = unreviewed > waiting.length && p(`The ${waiting.length} with the highest malignant share.`, "sub");
    return card(title, "waiting", table, more);
  }

  #toLabel({ items }) {
    const title = make("h2", { id: "label-title" }, "Label next");
    if (!items.length) return card(title, "", p("No image waits for a label.", "none"));
    const line = ({ prediction, margin }) => make("li", {}, make("a", { href: `#prediction/${prediction.id}` }, nameOf(prediction)), make("span", { class: "sub" }, `${inShort(prediction)}; the two most probable diagnoses differ by ${percent(margin)}`));
    const note = "Images between whose diagnoses the model is least decided, each unlike the others: a label here teaches a new model most.";
    return card(title, "label-next", p(note, "sub"), make("ul", { class: "plain" }, ...items.map(line)));
  }

  #linked(prediction) {
    const lesion = prediction.lesion && make("a", { class: "sub", href: lesionLink(prediction) }, `case ${prediction.case}, lesion ${prediction.lesion}`);
    return make("td", { data: { name: "Image" } }, make("a", { href: `#prediction/${prediction.id}` }, nameOf(prediction)), lesion);
  }
}

/** The address of a lesion's timeline. */
export const lesionLink = ({ case: of, lesion }) => `#lesion/${encodeURIComponent(of)}/${encodeURIComponent(lesion)}`;

function alarmOf({ what, before, recent }) {
  const text = `${ALARMS[what]} moved from ${percent(before)} to ${percent(recent)} in the last two weeks. Look at the camera, the images and the patients before you rely on the model.`;
  return make("p", { class: "problem alarm", role: "alert" }, icon("problem"), make("span", {}, text));
}

const told = ({ value, low, high, hits, n }) => (value === null ? `${hits} of ${n}` : `${percent(value)} [${percent(low)}, ${percent(high)}]`);

function statisticsOf({ agreement, confirmed, note }) {
  const title = make("h2", { id: "statistics-title" }, "On this clinic's lesions");
  const tile = (name, value) => make("div", { class: "tile" }, make("span", {}, name), make("strong", {}, told(value)), value.value === null && make("span", { class: "sub" }, "an interval from 20 lesions on"));
  const { predicted, observed } = confirmed.calibration;
  const calibration = predicted !== null && p(`Mean malignant share ${percent(predicted)}; malignant by histology ${told(observed)}.`);
  return card(
    title,
    "statistics",
    make("div", { class: "tiles" }, tile("Reviews that agree", agreement.diagnosis), tile("Agree on malignant or benign", agreement.malignant), tile("Sensitivity, by histology", confirmed.sensitivity), tile("Specificity, by histology", confirmed.specificity)),
    calibration,
    p(`${agreement.reviewed} reviewed lesions, ${confirmed.lesions} with histology. ${note}`, "sub"),
  );
}

function driftOf({ weeks, state }) {
  const title = make("h2", { id: "drift-title" }, "Weeks");
  const states = { too_few: "Too few predictions to tell whether anything moved.", steady: "Nothing moved.", alarm: "See the alarm above." };
  const line = (week) =>
    row({}, rowHeader(week.week), number(String(week.predictions)), number(percent(week.refusal_share)), number(String(week.not_sure)), number(percent(week.prior)));
  const table = make(
    "table",
    { class: "history weeks", "aria-labelledby": title.id },
    make("thead", {}, head(["Week from", "Predictions", "Not usable", "Not sure", "Mean malignant share"], (name, at) => at > 0)),
    make("tbody", {}, ...weeks.filter(({ predictions }) => predictions).map(line)),
  );
  return card(title, "drift", p(states[state]), make("details", {}, make("summary", {}, "Week by week"), table));
}

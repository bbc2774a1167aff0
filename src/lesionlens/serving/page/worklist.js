// What waits for a person: disagreements that must not be missed, predictions without a review, and how the model does here.

import { callJson } from "./api.js";
import { announce, byId, card, head, icon, make, malignantTag, named, number, p, row, rowHeader, scrolling, spoken } from "./dom.js";
import { conclusionName, day, inShort, leading, listed, nameOf, number as figure, percent, when } from "./format.js";
import { t } from "./language.js";
import { problemNotice } from "./notices.js";
import { fill } from "./redraw.js";

const MOST = 100; // rows of either list
const LABELS = 10;

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
      fill(this.place, () => problemNotice(error, () => this.open()));
    }
    this.place.removeAttribute("aria-busy");
  }

  #show(list, next, statistics) {
    announce(t("worklist.told", { disagreements: list.disagreements, unreviewed: list.unreviewed }));
    fill(this.place, () => [
      ...(statistics?.drift.alarms ?? []).map(alarmOf),
      this.#disagreeing(list),
      this.#waiting(list),
      this.#toLabel(next),
      ...(statistics ? [statisticsOf(statistics), driftOf(statistics.drift)] : []),
    ]);
  }

  #disagreeing({ disagreeing, disagreements, is_complete }) {
    const title = make("h2", { id: "disagreeing-title" }, t("worklist.disagreements", { number: disagreements }));
    const note = is_complete ? "" : t("worklist.newest_only");
    if (!disagreeing.length) return card(title, "", p(t("worklist.no_disagreements"), "none"));
    const line = ({ prediction, kind, by, says }) =>
      row(
        { data: { id: prediction.id, kind } },
        make("td", { data: { column: "finding" } }, make("strong", { class: `kind ${kind}` }, kind === "missed_malignant" && icon("malignant"), t(`finding.${kind}`))),
        make("td", { data: { column: "model" } }, inShort(prediction)),
        make("td", { data: { column: by } }, conclusionName(says, this.labels()), make("span", { class: "sub" }, t(`worklist.by.${by}`))),
        this.#linked(prediction),
      );
    const table = make(
      "table",
      { class: "history", "aria-labelledby": title.id },
      make("thead", {}, head([t("column.finding"), t("word.model"), t("column.person"), t("word.image")])),
      make("tbody", {}, ...disagreeing.map(line)),
    );
    return card(title, "disagreeing", table, note && p(note, "sub"));
  }

  #waiting({ waiting, unreviewed }) {
    const title = make("h2", { id: "waiting-title" }, t("worklist.unreviewed", { number: unreviewed }));
    if (!waiting.length) return card(title, "", p(t("worklist.all_reviewed"), "none"));
    const line = (prediction) =>
      row(
        { data: { id: prediction.id } },
        make("td", { class: "number", data: { column: "share", before: t("column.share.before") } }, percent(prediction.malignant_share)),
        make("td", { data: { column: "outcome" } }, inShort(prediction), prediction.outcome === "diagnosis" && leading(prediction)?.malignant && [" ", malignantTag()]),
        this.#linked(prediction),
        make("td", { data: { column: "predicted" } }, make("time", { dateTime: prediction.created }, when(prediction.created, true))),
      );
    const table = make(
      "table",
      { class: "history", "aria-labelledby": title.id },
      make("thead", {}, head([t("word.malignant_share"), t("word.outcome"), t("word.image"), t("column.predicted")], (name, at) => at === 0)),
      make("tbody", {}, ...waiting.map(line)),
    );
    const more = unreviewed > waiting.length && p(t("worklist.highest", { count: waiting.length }), "sub");
    return card(title, "waiting", table, more);
  }

  #toLabel({ items }) {
    const title = make("h2", { id: "label-title" }, t("worklist.label_next"));
    if (!items.length) return card(title, "", p(t("worklist.no_labels"), "none"));
    const line = ({ prediction, margin }) => make("li", {}, make("a", { href: `#prediction/${prediction.id}` }, named(nameOf(prediction))), make("span", { class: "sub" }, t("worklist.margin", { outcome: inShort(prediction), margin: percent(margin) })));
    return card(title, "label-next", p(t("worklist.label_note"), "sub"), make("ul", { class: "plain" }, ...items.map(line)));
  }

  #linked(prediction) {
    const lesion = prediction.lesion && make("a", { class: "sub", href: lesionLink(prediction) }, listed([t("subject.of_case", { case: prediction.case }), t("subject.of_lesion", { lesion: prediction.lesion })]));
    return make("td", { data: { column: "image" } }, make("a", { href: `#prediction/${prediction.id}` }, named(nameOf(prediction))), lesion);
  }
}

/** The address of a lesion's timeline. */
export const lesionLink = ({ case: of, lesion }) => `#lesion/${encodeURIComponent(of)}/${encodeURIComponent(lesion)}`;

function alarmOf({ what, before, recent }) {
  const text = t(`alarm.${what}`, { before: percent(before), recent: percent(recent) });
  return make("p", { class: "problem alarm", role: "alert" }, icon("problem"), make("span", {}, text));
}

const told = ({ value, low, high, hits, n }) => (value === null ? t("number.hits_of", { hits, all: n }) : `${percent(value)} [${listed([percent(low), percent(high)])}]`);

function statisticsOf({ agreement, confirmed, note }) {
  const title = make("h2", { id: "statistics-title" }, t("statistics.title"));
  const tile = (name, value) => make("div", { class: "tile" }, make("span", {}, name), make("strong", {}, told(value)), value.value === null && make("span", { class: "sub" }, t("statistics.interval_from")));
  const { predicted, observed } = confirmed.calibration;
  const calibration = predicted !== null && p(t("statistics.calibration", { predicted: percent(predicted), observed: told(observed) }));
  return card(
    title,
    "statistics",
    make("div", { class: "tiles" }, tile(t("statistics.agree"), agreement.diagnosis), tile(t("statistics.agree_malignant"), agreement.malignant), tile(t("statistics.sensitivity"), confirmed.sensitivity), tile(t("statistics.specificity"), confirmed.specificity)),
    calibration,
    p([t("statistics.counts", { reviewed: agreement.reviewed, confirmed: confirmed.lesions }), " ", spoken(note)], "sub"),
  );
}

function driftOf({ weeks, state }) {
  const title = make("h2", { id: "drift-title" }, t("drift.title"));
  const line = (week) =>
    row({}, rowHeader(day(week.week)), number(figure(week.predictions)), number(percent(week.refusal_share)), number(figure(week.not_sure)), number(percent(week.prior)));
  const table = make(
    "table",
    { class: "history weeks", "aria-labelledby": title.id },
    make("thead", {}, head(["week", "predictions", "not_usable", "not_sure", "mean_share"].map((name) => t(`drift.${name}`)), (name, at) => at > 0)),
    make("tbody", {}, ...weeks.filter(({ predictions }) => predictions).map(line)),
  );
  return card(title, "drift", p(t(`drift.state.${state}`)), make("details", {}, make("summary", {}, t("drift.by_week")), scrolling(t("drift.by_week"), table, "sideways")));
}

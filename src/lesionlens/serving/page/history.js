// The prediction log: search, filters, pages, and the same rows as CSV.

import { call, callJson } from "./api.js";
import { announce, button, byId, card, field, head, icon, make, malignantTag, named, p, row, save, select } from "./dom.js";
import { OUTCOMES, conclusionName, diagnosisName, inShort, leading, nameOf, outcomeShort, percent, when } from "./format.js";
import { t } from "./language.js";
import { problemNotice } from "./notices.js";
import { fill } from "./redraw.js";

const PAGE = 25; // rows
const DAY_MS = 86_400_000;
const COLUMNS = ["predicted", "file", "outcome", "share", "review"];

/** The view of the log; `labels` returns the diagnoses once they are known. */
export class History {
  #cursors = [""]; // of the pages up to the one that is shown
  #request = 0;

  constructor(labels) {
    this.labels = labels;
    this.form = byId("filters");
    this.place = byId("history-list");
  }

  /** Draw the filters once the diagnoses are known, and the first page. */
  open() {
    if (!this.form.childElementCount) fill(this.form, () => this.#filters());
    return this.#load();
  }

  #filters() {
    const choice = (name, title, options) => field(title, select({ name }, [["", t("history.all")], ...options]), "extra");
    const date = (name, title) => field(title, make("input", { type: "date", name }), "extra");
    const search = { type: "search", name: "q", placeholder: t("history.search_what"), autocomplete: "off" };
    this.form.onsubmit = (event) => {
      event.preventDefault();
      this.#first();
    };
    this.form.onreset = () => setTimeout(() => this.#first());
    this.form.onchange = (event) => event.target.name !== "q" && this.#first();
    return [
      field(t("history.search"), make("input", search), "grow"),
      this.#more(),
      choice("outcome", t("word.outcome"), OUTCOMES.map((name) => [name, outcomeShort(name)])),
      choice("diagnosis", t("word.diagnosis"), this.labels().map((label) => [label.code, diagnosisName(label)])),
      choice("reviewed", t("history.reviewed"), [["true", t("word.yes")], ["false", t("word.no")]]),
      date("since", t("history.from")),
      date("until", t("history.to")),
      make("div", { class: "row" }, make("button", { class: "primary" }, t("history.search")), make("button", { type: "reset" }, t("history.reset"))),
    ];
  }

  /** On a narrow screen the filters beside the search open on demand. */
  #more() {
    const toggle = () => more.setAttribute("aria-expanded", String(this.form.classList.toggle("open")));
    const more = button({ class: "more", "aria-expanded": String(this.form.classList.contains("open")) }, toggle, t("history.filters"));
    return more;
  }

  #first() {
    this.#cursors = [""];
    return this.#load();
  }

  /** The filters as the API takes them; days are this browser's. */
  #query(extra = {}) {
    const filters = Object.fromEntries([...new FormData(this.form)].filter(([, value]) => value));
    const midnight = (day) => new Date(`${day}T00:00:00`).getTime();
    if (filters.since) filters.since = new Date(midnight(filters.since)).toISOString();
    if (filters.until) filters.until = new Date(midnight(filters.until) + DAY_MS).toISOString();
    return new URLSearchParams({ ...filters, ...extra });
  }

  async #load() {
    const request = ++this.#request;
    const cursor = this.#cursors.at(-1);
    this.place.setAttribute("aria-busy", "true");
    try {
      const page = await callJson(`predictions?${this.#query({ limit: PAGE, ...(cursor && { cursor }) })}`);
      if (request === this.#request) this.#show(page);
    } catch (error) {
      if (request === this.#request) fill(this.place, () => problemNotice(error, () => this.#load()));
    }
    this.place.removeAttribute("aria-busy");
  }

  #show({ items, next }) {
    announce(t("history.on_page", { count: items.length }));
    if (!items.length) return fill(this.place, () => p(t("history.none"), "card empty"));
    const table = () => make(
      "table",
      { class: "history card" },
      make("caption", { class: "unseen" }, t("history.caption")),
      make("thead", {}, head(COLUMNS.map((name) => t(`column.${name}`)), (name, at) => COLUMNS[at] === "share")),
      make("tbody", {}, ...items.map((item) => this.#row(item))),
    );
    return fill(this.place, () => [table(), this.#pages(next)]);
  }

  #row(prediction) {
    const { id, outcome, created, review, malignant_share: share } = prediction;
    const chip = make("span", { class: "chip", data: { outcome } }, icon(outcome), inShort(prediction));
    const conclusion = review
      ? make("strong", {}, conclusionName(review.conclusion, this.labels()))
      : make("span", { class: "none" }, t("review.no_review"));
    const cells = [
      make("time", { dateTime: created }, when(created, true)),
      make("a", { href: `#prediction/${id}` }, named(nameOf(prediction))),
      [chip, outcome === "diagnosis" && leading(prediction)?.malignant && [" ", malignantTag()]].flat(),
      percent(share),
      [conclusion, review?.note && make("span", { class: "sub note", dir: "auto" }, review.note)],
    ];
    const before = { share: t("column.share.before"), review: t("column.review.before") };
    const cell = (content, at) => {
      const [column, kind] = [COLUMNS[at], COLUMNS[at] === "share" ? "number" : undefined];
      return make("td", { class: kind, data: { column, ...(before[column] && { before: before[column] }) } }, ...[content].flat());
    };
    return row({ data: { outcome, id } }, ...cells.map(cell));
  }

  #pages(next) {
    const go = (change) => async () => {
      change();
      await this.#load();
      byId("history-title").focus();
    };
    return make(
      "nav",
      { class: "row pages", "aria-label": t("history.pages") },
      button({ disabled: this.#cursors.length === 1 }, go(() => this.#cursors.pop()), t("history.newer")),
      make("span", {}, t("history.page", { page: this.#cursors.length })),
      button({ disabled: !next }, go(() => this.#cursors.push(next)), t("history.older")),
      button({ class: "csv" }, () => this.#csv(), icon("save"), t("history.csv")),
    );
  }

  async #csv() {
    try {
      const response = await call(`predictions?${this.#query({ format: "csv" })}`, { headers: { Accept: "text/csv" } });
      save(await response.blob(), `lesionlens-history-${new Date().toISOString().slice(0, 10)}.csv`);
      announce(t("history.saved"));
    } catch (error) {
      this.place.prepend(problemNotice(error));
    }
  }
}

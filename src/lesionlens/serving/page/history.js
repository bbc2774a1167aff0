// The prediction log: search, filters, pages, and the same rows as CSV.

import { call, callJson } from "./api.js";
import { announce, button, byId, card, field, head, icon, make, malignantTag, p, row, save, select } from "./dom.js";
import { OUTCOMES, conclusionName, inShort, leading, nameOf, percent, when } from "./format.js";
import { problemNotice } from "./notices.js";

const PAGE = 25; // rows
const DAY_MS = 86_400_000;
const COLUMNS = ["Predicted", "File", "Outcome", "Malignant share", "Review"];
const ALL = ["", "All"];

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
    if (!this.form.childElementCount) this.#filters();
    return this.#load();
  }

  #filters() {
    const choice = (name, title, options) => field(title, select({ name }, [ALL, ...options]), "extra");
    const date = (name, title) => field(title, make("input", { type: "date", name }), "extra");
    const search = { type: "search", name: "q", placeholder: "File name, note or id", autocomplete: "off" };
    this.form.append(
      field("Search", make("input", search), "grow"),
      this.#more(),
      choice("outcome", "Outcome", Object.entries(OUTCOMES).map(([name, { short }]) => [name, short])),
      choice("diagnosis", "Diagnosis", this.labels().map((label) => [label.code, label.name])),
      choice("reviewed", "Reviewed", [["true", "Yes"], ["false", "No"]]),
      date("since", "From"),
      date("until", "To"),
      make("div", { class: "row" }, make("button", { class: "primary" }, "Search"), make("button", { type: "reset" }, "Reset")),
    );
    this.form.onsubmit = (event) => {
      event.preventDefault();
      this.#first();
    };
    this.form.onreset = () => setTimeout(() => this.#first());
    this.form.onchange = (event) => event.target.name !== "q" && this.#first();
  }

  /** On a narrow screen the filters beside the search open on demand. */
  #more() {
    const toggle = () => more.setAttribute("aria-expanded", String(this.form.classList.toggle("open")));
    const more = button({ class: "more", "aria-expanded": "false" }, toggle, "Filters");
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
      if (request === this.#request) this.place.replaceChildren(problemNotice(error, () => this.#load()));
    }
    this.place.removeAttribute("aria-busy");
  }

  #show({ items, next }) {
    announce(`${items.length} predictions on this page.`);
    if (!items.length) return this.place.replaceChildren(p("No prediction in the log matches these filters.", "card empty"));
    const table = make(
      "table",
      { class: "history card" },
      make("caption", { class: "unseen" }, "Logged predictions, the newest first"),
      make("thead", {}, head(COLUMNS, (name) => name === "Malignant share")),
      make("tbody", {}, ...items.map((item) => this.#row(item))),
    );
    return this.place.replaceChildren(table, this.#pages(next));
  }

  #row(prediction) {
    const { id, outcome, created, review, malignant_share: share } = prediction;
    const chip = make("span", { class: "chip", data: { outcome } }, icon(outcome), inShort(prediction));
    const conclusion = review
      ? make("strong", {}, conclusionName(review.conclusion, this.labels()))
      : make("span", { class: "none" }, "none");
    const cells = [
      make("time", { dateTime: created }, when(created, true)),
      make("a", { href: `#prediction/${id}` }, nameOf(prediction)),
      [chip, outcome === "diagnosis" && leading(prediction)?.malignant && [" ", malignantTag()]].flat(),
      percent(share),
      [conclusion, review?.note && make("span", { class: "sub note" }, review.note)],
    ];
    const cell = (content, at) =>
      make("td", { class: at === 3 ? "number" : undefined, data: { name: COLUMNS[at] } }, ...[content].flat());
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
      { class: "row pages", "aria-label": "Pages of the history" },
      button({ disabled: this.#cursors.length === 1 }, go(() => this.#cursors.pop()), "Newer"),
      make("span", {}, `Page ${this.#cursors.length}`),
      button({ disabled: !next }, go(() => this.#cursors.push(next)), "Older"),
      button({ class: "csv" }, () => this.#csv(), icon("save"), "Save as CSV"),
    );
  }

  async #csv() {
    try {
      const response = await call(`predictions?${this.#query({ format: "csv" })}`, { headers: { Accept: "text/csv" } });
      save(await response.blob(), `lesionlens-history-${new Date().toISOString().slice(0, 10)}.csv`);
      announce("The history is saved as CSV.");
    } catch (error) {
      this.place.prepend(problemNotice(error));
    }
  }
}

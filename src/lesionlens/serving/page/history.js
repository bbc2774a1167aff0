// What the server has recorded: search, filters, pages, and the same rows as CSV.

import { malignantTag } from "./prediction.js";
import { call, callJson } from "./api.js";
import { announce, byId, icon, make, save } from "./dom.js";
import { OUTCOMES, conclusionName, leading, percent, when } from "./format.js";
import { problemNotice } from "./notices.js";

const PAGE = 25; // rows
const DAY_MS = 86_400_000;

/** The view of the record; `labels` gives the diagnoses once they are known. */
export class History {
  #cursors = [""]; // of the pages up to the one that is shown
  #asked = 0;

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
    const choice = (name, title, options) =>
      make(
        "label",
        { class: "field extra" },
        make("span", {}, title),
        make("select", { name }, ...options.map(([value, text]) => make("option", { value }, text))),
      );
    const date = (name, title) =>
      make("label", { class: "field extra" }, make("span", {}, title), make("input", { type: "date", name }));
    this.form.append(
      make(
        "label",
        { class: "field grow" },
        make("span", {}, "Search"),
        make("input", { type: "search", name: "q", placeholder: "File name, note or id", autocomplete: "off" }),
      ),
      this.#more(),
      choice("outcome", "Outcome", [
        ["", "All"],
        ...Object.entries(OUTCOMES).map(([code, outcome]) => [code, outcome.short]),
      ]),
      choice("diagnosis", "Diagnosis", [["", "All"], ...this.labels().map((label) => [label.code, label.name])]),
      choice("reviewed", "Reviewed", [
        ["", "All"],
        ["true", "Yes"],
        ["false", "No"],
      ]),
      date("since", "From"),
      date("until", "To"),
      make(
        "div",
        { class: "row" },
        make("button", { class: "primary" }, "Search"),
        make("button", { type: "reset" }, "Reset"),
      ),
    );
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#first();
    });
    this.form.addEventListener("reset", () => setTimeout(() => this.#first()));
    this.form.addEventListener("change", (event) => event.target.name !== "q" && this.#first());
  }

  /** On a narrow screen the filters behind the search come when they are asked for. */
  #more() {
    const toggle = () => more.setAttribute("aria-expanded", String(this.form.classList.toggle("open")));
    const more = make(
      "button",
      { type: "button", class: "more", "aria-expanded": "false", on: { click: toggle } },
      "Filters",
    );
    return more;
  }

  #first() {
    this.#cursors = [""];
    return this.#load();
  }

  /** The filters as the API takes them; days are this browser's. */
  #query(extra = {}) {
    const chosen = Object.fromEntries([...new FormData(this.form)].filter(([, value]) => value));
    if (chosen.since) chosen.since = new Date(`${chosen.since}T00:00:00`).toISOString();
    if (chosen.until) chosen.until = new Date(new Date(`${chosen.until}T00:00:00`).getTime() + DAY_MS).toISOString();
    return new URLSearchParams({ ...chosen, ...extra });
  }

  async #load() {
    const asked = ++this.#asked;
    const cursor = this.#cursors.at(-1);
    this.place.setAttribute("aria-busy", "true");
    try {
      const page = await callJson(`predictions?${this.#query({ limit: PAGE, ...(cursor && { cursor }) })}`);
      if (asked === this.#asked) this.#show(page);
    } catch (error) {
      if (asked === this.#asked) this.place.replaceChildren(problemNotice(error, () => this.#load()));
    }
    this.place.removeAttribute("aria-busy");
  }

  #show(page) {
    announce(`${page.items.length} answers on this page.`);
    if (!page.items.length) {
      this.place.replaceChildren(make("p", { class: "card empty" }, "No answer in the record fits these filters."));
      return;
    }
    const columns = ["Answered", "File", "Outcome", "Malignant share", "Review"];
    const head = make(
      "tr",
      {},
      ...columns.map((name) =>
        make("th", { scope: "col", class: name === "Malignant share" ? "number" : undefined }, name),
      ),
    );
    this.place.replaceChildren(
      make(
        "table",
        { class: "history card" },
        make("caption", { class: "unseen" }, "Recorded answers, the newest first"),
        make("thead", {}, head),
        make("tbody", {}, ...page.items.map((item) => this.#row(item))),
      ),
      this.#pages(page.next),
    );
  }

  #row(answer) {
    const first = leading(answer);
    const said =
      answer.outcome === "diagnosis" && first
        ? `${first.name}, ${percent(first.probability)}`
        : OUTCOMES[answer.outcome].short;
    const review = answer.review;
    const cell = (name, ...children) => make("td", { data: { name } }, ...children);
    return make(
      "tr",
      { data: { outcome: answer.outcome, id: answer.id } },
      cell("Answered", make("time", { dateTime: answer.created }, when(answer.created, true))),
      cell("File", make("a", { href: `#answer/${answer.id}` }, answer.file_name || "Image without a name")),
      cell(
        "Outcome",
        make("span", { class: "chip", data: { outcome: answer.outcome } }, icon(answer.outcome), said),
        answer.outcome === "diagnosis" && first?.malignant && [" ", malignantTag()],
      ),
      make("td", { class: "number", data: { name: "Malignant share" } }, percent(answer.malignant_share)),
      cell(
        "Review",
        review
          ? make("strong", {}, conclusionName(review.conclusion, this.labels()))
          : make("span", { class: "none" }, "none"),
        review?.note && make("span", { class: "sub note" }, review.note),
      ),
    );
  }

  #pages(next) {
    const number = this.#cursors.length;
    const go = (change) => async () => {
      change();
      await this.#load();
      byId("history-title").focus();
    };
    return make(
      "nav",
      { class: "row pages", "aria-label": "Pages of the history" },
      make("button", { type: "button", disabled: number === 1, on: { click: go(() => this.#cursors.pop()) } }, "Newer"),
      make("span", {}, `Page ${number}`),
      make("button", { type: "button", disabled: !next, on: { click: go(() => this.#cursors.push(next)) } }, "Older"),
      make("button", { type: "button", class: "csv", on: { click: () => this.#csv() } }, icon("save"), "Save as CSV"),
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

// The list of this session's images: a row each, with its state in words, an icon and, while it is
// on its way, a bar.

import { announce, byId, icon, make } from "./dom.js";
import { OUTCOMES, explained, leading, percent } from "./format.js";
import { problemLine } from "./notices.js";
import { forgetThumbnail, thumbnail } from "./thumbnails.js";

/** Show `queue`; `choose` hears the item whose row was pressed. */
export class Rows {
  #rows = new Map();
  #selected = null;

  constructor(queue, choose) {
    this.queue = queue;
    this.choose = choose;
    this.list = byId("rows");
    queue.addEventListener("added", (event) => this.#added(event.detail));
    queue.addEventListener("changed", (event) => this.#changed(event.detail));
    queue.addEventListener("removed", (event) => this.#removed(event.detail));
    byId("clear").addEventListener("click", () => this.#clear());
    this.list.addEventListener("keydown", (event) => this.#move(event));
    setInterval(() => this.#tick(), 1000);
  }

  /** Mark the row that is shown. */
  select(item) {
    this.#rows.get(this.#selected?.key)?.button.removeAttribute("aria-current");
    this.#selected = item;
    this.#rows.get(item?.key)?.button.setAttribute("aria-current", "true");
  }

  #added(items) {
    for (const item of items) this.list.append(this.#row(item));
    this.#sum();
  }

  #row(item) {
    const canvas = make("canvas", { class: "thumb", "aria-hidden": "true" });
    const state = make("span", { class: "row-state" });
    const bar = make("progress", { max: 1, value: 0, hidden: true, "aria-label": `${item.name}: sent` });
    const name = make("span", { class: "row-name", title: item.name }, item.name);
    const button = make(
      "button",
      { type: "button", class: "row-open", on: { click: () => this.choose(item) } },
      canvas,
      make("span", { class: "row-text" }, name, state, bar),
    );
    const close = make(
      "button",
      {
        type: "button",
        class: "quiet row-close",
        "aria-label": `Take ${item.name} off the list`,
        on: { click: () => this.queue.remove(item) },
      },
      icon("close"),
    );
    const row = make("li", { data: { key: item.key } }, button, close);
    this.#rows.set(item.key, { row, button, state, bar, canvas });
    thumbnail(canvas, item.file);
    this.#show(item);
    return row;
  }

  #changed(item) {
    this.#show(item);
    this.#sum();
    if (item.told === item.state) return; // a review changes the row, not the answer
    item.told = item.state;
    if (item.state === "done" || item.state === "failed") announce(this.#heard(item));
  }

  /** What a screen reader says of an image that is through: of one image all, of many the outcome. */
  #heard(item) {
    const count = this.queue.items.length;
    const last = this.queue.count("done", "failed") === count;
    const all = last && count > 1 ? ` All ${count} images are answered.` : "";
    if (item.state === "failed") return `${item.name}: ${problemLine(item.problem)}${all}`;
    return `${item.name}: ${OUTCOMES[item.answer.outcome].word}.${count === 1 ? ` ${explained(item.answer)}` : ""}${all}`;
  }

  #show(item) {
    const { row, state, bar } = this.#rows.get(item.key);
    row.dataset.state = item.state === "done" ? item.answer.outcome : item.state;
    bar.hidden = item.state !== "sending" && item.state !== "reading";
    if (item.state === "sending") bar.value = item.sent;
    else bar.removeAttribute("value"); // the server computes: no share is known
    state.replaceChildren(...this.#said(item));
  }

  #said(item) {
    if (item.state === "done") {
      const first = leading(item.answer);
      const short = OUTCOMES[item.answer.outcome].short;
      const tail = item.answer.outcome === "diagnosis" ? `${first.name}, ${percent(first.probability)}` : short;
      return [
        icon(item.answer.outcome),
        make("span", {}, tail),
        item.answer.review && icon("review"),
        item.answer.review && make("span", { class: "unseen" }, "reviewed"),
      ].filter(Boolean);
    }
    if (item.state === "failed") return [icon("problem"), make("span", {}, item.problem.title)];
    if (item.state === "gone") return [icon("waiting"), make("span", {}, "Waits for the server")];
    if (item.state === "waiting" && this.queue.pause && item.problem) {
      const why = item.problem.status === 429 ? "Rate limit" : "Server busy";
      return [icon("waiting"), make("span", {}, `${why}; again in ${this.queue.pause} s`)];
    }
    return [make("span", {}, { waiting: "Waiting", sending: "Sending", reading: "Being read" }[item.state])];
  }

  #sum() {
    const { items } = this.queue;
    const finished = this.queue.count("done", "failed");
    byId("queue").hidden = !items.length;
    byId("queue-progress").max = Math.max(1, items.length);
    byId("queue-progress").value = finished;
    byId("queue-count").textContent = `${finished} of ${items.length} answered`;
    document.body.classList.toggle("has-images", items.length > 0);
  }

  #tick() {
    if (!this.queue.pause) return;
    for (const item of this.queue.items) if (item.state === "waiting" && item.problem) this.#show(item);
  }

  #removed(item) {
    const { row, canvas } = this.#rows.get(item.key);
    const next = (row.nextElementSibling ?? row.previousElementSibling)?.querySelector(".row-open");
    if (row.contains(document.activeElement)) (next ?? byId("choose")).focus();
    forgetThumbnail(canvas);
    row.remove();
    this.#rows.delete(item.key);
    this.#sum();
  }

  #clear() {
    this.queue.clear();
    byId("choose").focus();
    announce("The list is empty. Recorded answers stay in the history.");
  }

  #move(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const buttons = [...this.list.querySelectorAll(".row-open")];
    const place = buttons.indexOf(document.activeElement);
    if (!step || place < 0) return;
    event.preventDefault();
    buttons[Math.min(buttons.length - 1, Math.max(0, place + step))].focus();
  }
}

// The list of this session's images: a row each, with its state in words, an icon and, while it is
// being sent, a progress bar.

import { announce, button, byId, icon, make } from "./dom.js";
import { OUTCOMES, explained, inShort } from "./format.js";
import { problemLine } from "./notices.js";
import { clearPatient } from "./patient.js";
import { TEXTS } from "./texts.js";
import { forgetThumbnail, thumbnail } from "./thumbnails.js";

const STATES = { waiting: "Waiting", sending: TEXTS.sending, computing: "Computing" };

/** Show `queue`; `choose` is called with the item whose row was pressed. */
export class Rows {
  #rows = new Map();
  #selected = null;

  constructor(queue, choose) {
    this.queue = queue;
    this.choose = choose;
    this.list = byId("rows");
    queue.addEventListener("added", ({ detail: items }) => {
      this.list.append(...items.map((item) => this.#row(item)));
      this.#sum();
    });
    queue.addEventListener("changed", ({ detail }) => this.#changed(detail));
    queue.addEventListener("removed", ({ detail }) => this.#removed(detail));
    byId("clear").onclick = () => this.#clear();
    this.list.onkeydown = (event) => this.#move(event);
    setInterval(() => this.#tick(), 1000);
  }

  /** Mark the row that is shown. */
  select(item) {
    this.#rows.get(this.#selected?.key)?.open.removeAttribute("aria-current");
    this.#selected = item;
    this.#rows.get(item?.key)?.open.setAttribute("aria-current", "true");
  }

  #row(item) {
    const canvas = make("canvas", { class: "thumb", "aria-hidden": "true" });
    const state = make("span", { class: "row-state" });
    const bar = make("progress", { max: 1, value: 0, hidden: true, "aria-label": `${item.name}: sent` });
    const text = make("span", { class: "row-text" }, make("span", { class: "row-name", title: item.name }, item.name), state, bar);
    const open = button({ class: "row-open" }, () => this.choose(item), canvas, text);
    const label = { class: "quiet row-close", "aria-label": `Take ${item.name} off the list` };
    const line = make("li", { data: { key: item.key } }, open, button(label, () => this.queue.remove(item), icon("close")));
    this.#rows.set(item.key, { line, open, state, bar, canvas });
    thumbnail(canvas, item.file);
    this.#show(item);
    return line;
  }

  #changed(item) {
    this.#show(item);
    this.#sum();
    if (item.announced === item.state) return; // a review changes the row, not the prediction
    item.announced = item.state;
    if (item.state === "done" || item.state === "failed") announce(this.#spoken(item));
  }

  /** What a screen reader says of a finished image: of a single image all, of many the outcome. */
  #spoken(item) {
    const count = this.queue.items.length;
    const finished = this.queue.count("done", "failed") === count;
    const all = finished && count > 1 ? ` All ${count} images are done.` : "";
    if (item.state === "failed") return `${item.name}: ${problemLine(item.problem)}${all}`;
    const detail = count === 1 ? ` ${explained(item.prediction)}` : "";
    return `${item.name}: ${OUTCOMES[item.prediction.outcome].word}.${detail}${all}`;
  }

  #show(item) {
    const { line, state, bar } = this.#rows.get(item.key);
    line.dataset.state = item.state === "done" ? item.prediction.outcome : item.state;
    bar.hidden = item.state !== "sending" && item.state !== "computing";
    if (item.state === "sending") bar.value = item.sent;
    else bar.removeAttribute("value"); // the server computes: no share is known
    state.replaceChildren(...this.#content(item));
  }

  #content({ state, prediction, problem }) {
    const line = (symbol, text) => [icon(symbol), make("span", {}, text)];
    if (state === "failed") return line("problem", problem.title);
    if (state === "gone") return line("waiting", TEXTS.waits);
    if (state === "waiting" && this.queue.pause && problem)
      return line("waiting", `${problem.status === 429 ? "Rate limit" : "Server busy"}; again in ${this.queue.pause} s`);
    if (state !== "done") return [make("span", {}, STATES[state])];
    const reviewed = prediction.review ? [icon("review"), make("span", { class: "unseen" }, "reviewed")] : [];
    return [...line(prediction.outcome, inShort(prediction)), ...reviewed];
  }

  #sum() {
    const count = this.queue.items.length;
    const finished = this.queue.count("done", "failed");
    byId("queue").hidden = !count;
    byId("queue-progress").max = Math.max(1, count);
    byId("queue-progress").value = finished;
    byId("queue-count").textContent = `${finished} of ${count} done`;
    document.body.classList.toggle("has-images", count > 0);
  }

  #tick() {
    if (!this.queue.pause) return;
    for (const item of this.queue.items) if (item.state === "waiting" && item.problem) this.#show(item);
  }

  #removed(item) {
    const { line, canvas } = this.#rows.get(item.key);
    const next = (line.nextElementSibling ?? line.previousElementSibling)?.querySelector(".row-open");
    if (line.contains(document.activeElement)) (next ?? byId("choose")).focus();
    forgetThumbnail(canvas);
    line.remove();
    this.#rows.delete(item.key);
    this.#sum();
  }

  #clear() {
    this.queue.clear();
    clearPatient();
    byId("choose").focus();
    announce(TEXTS.listEmpty);
  }

  #move(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const buttons = [...this.list.querySelectorAll(".row-open")];
    const at = buttons.indexOf(document.activeElement);
    if (!step || at < 0) return;
    event.preventDefault();
    buttons[Math.min(buttons.length - 1, Math.max(0, at + step))].focus();
  }
}

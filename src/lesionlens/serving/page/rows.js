// The list of this session's images: a row each, with its state in words, an icon and, while it is
// being sent, a progress bar.

import { announce, button, byId, icon, make, malignantTag, named } from "./dom.js";
import { explained } from "./explanation.js";
import { counted, inShort, leading, listed, outcomeWord, percent } from "./format.js";
import { onLanguage, t } from "./language.js";
import { problemLine, problemTitle } from "./notices.js";
import { clearPatient } from "./patient.js";
import { placeText } from "./texts.js";
import { forgetThumbnail, thumbnail } from "./thumbnails.js";

/** Show `queue`; `choose` is called with the item whose row was pressed. */
export class Rows {
  #rows = new Map();
  #selected = null;

  constructor(queue, choose) {
    this.queue = queue;
    this.choose = choose;
    this.list = byId("rows");
    queue.addEventListener("added", ({ detail: items }) => {
      for (const item of items) this.#row(item);
      this.#arrange();
      this.#sum();
    });
    queue.addEventListener("changed", ({ detail }) => this.#changed(detail));
    queue.addEventListener("removed", ({ detail }) => this.#removed(detail));
    byId("clear").onclick = () => this.#clear();
    byId("sort").onclick = () => this.#sort();
    this.list.onkeydown = (event) => this.#move(event);
    setInterval(() => this.#tick(), 1000);
    onLanguage(() => {
      for (const item of queue.items) this.#show(item);
      this.#sum();
    });
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
    const share = make("span", { class: "row-share" });
    const bar = make("progress", { max: 1, value: 0, hidden: true, "aria-label": "" });
    const text = make("span", { class: "row-text" }, make("span", { class: "row-name", title: item.name }, named(item.name)), state, share, bar);
    const open = button({ class: "row-open" }, () => this.choose(item), canvas, text);
    const close = button({ class: "quiet row-close" }, () => this.queue.remove(item), icon("close"));
    const line = make("li", { data: { key: item.key } }, open, close);
    this.#rows.set(item.key, { line, open, state, share, bar, canvas, close });
    thumbnail(canvas, item);
    this.#show(item);
  }

  #changed(item) {
    this.#show(item);
    this.#sum();
    if (item.announced === item.state) return; // a review changes the row, not the prediction
    item.announced = item.state;
    if (this.sorted) this.#arrange();
    const { canvas } = this.#rows.get(item.key);
    if (item.state === "done" && canvas.classList.contains("blank")) thumbnail(canvas, item);
    if (item.state === "done" || item.state === "failed") announce(this.#spoken(item));
  }

  /** What a screen reader says of a finished image: of a single image all, of many the outcome. */
  #spoken(item) {
    const count = this.queue.items.length;
    const finished = this.queue.count("done", "failed") === count;
    const all = finished && count > 1 ? ` ${t("list.all_done", { count, outcomes: counted(this.#counts) })}` : "";
    if (item.state === "failed") return `${item.name}: ${problemLine(item.problem)}${all}`;
    const parts = count === 1 ? explained(item.prediction, null) : [];
    const detail = parts.length ? ` ${parts.map((part) => part.textContent ?? part).join("")}` : "";
    return `${item.name}: ${outcomeWord(item.prediction.outcome)}.${detail}${all}`;
  }

  #show(item) {
    const { line, state, share, bar, close } = this.#rows.get(item.key);
    bar.setAttribute("aria-label", t("list.sent", { name: item.name }));
    close.setAttribute("aria-label", t("list.take_off", { name: item.name }));
    line.dataset.state = item.state === "done" ? item.prediction.outcome : item.state;
    bar.hidden = item.state !== "sending" && item.state !== "computing";
    if (item.state === "sending") bar.value = item.sent;
    else bar.removeAttribute("value"); // the server computes: no share is known
    state.replaceChildren(...this.#content(item));
    share.replaceChildren(...shareOf(item));
  }

  #content({ state, prediction, problem }) {
    const line = (symbol, text) => [icon(symbol), make("span", {}, text)];
    if (state === "failed") return line("problem", problemTitle(problem));
    if (state === "gone") return line("waiting", placeText("waits"));
    if (state === "waiting" && this.queue.pause && problem)
      return line("waiting", t(problem.status === 429 ? "list.rate_limit" : "list.server_busy", { seconds: this.queue.pause }));
    if (state !== "done") return [make("span", {}, state === "sending" ? placeText("sending") : t(`list.${state}`))];
    const reviewed = prediction.review ? [icon("review"), make("span", { class: "unseen" }, t("list.reviewed"))] : [];
    return [...line(prediction.outcome, inShort(prediction)), ...reviewed];
  }

  #sum() {
    const count = this.queue.items.length;
    const finished = this.queue.count("done", "failed");
    byId("queue").hidden = !count;
    byId("queue-progress").max = Math.max(1, count);
    byId("queue-progress").value = finished;
    const left = finished < count && t("list.to_go", { count: count - finished });
    byId("queue-count").textContent = listed([t("list.images", { count }), counted(this.#counts), left]);
    document.body.classList.toggle("has-images", count > 0);
  }

  /** How many images ended how; a refused image has no answer. */
  get #counts() {
    const counts = { failed: this.queue.count("failed") };
    for (const { state, prediction } of this.queue.items)
      if (state === "done") counts[prediction.outcome] = (counts[prediction.outcome] ?? 0) + 1;
    return counts;
  }

  #sort() {
    this.sorted = !this.sorted;
    byId("sort").setAttribute("aria-pressed", this.sorted);
    this.#arrange();
    announce(t(this.sorted ? "list.sorted" : "list.unsorted"));
  }

  /** Put the rows in order; what has no malignant share stays last, in the order of adding. */
  #arrange() {
    const share = ({ prediction }) => prediction?.malignant_share ?? -1;
    const items = this.sorted ? [...this.queue.items].sort((a, b) => share(b) - share(a)) : this.queue.items;
    const focus = document.activeElement;
    items.forEach((item, at) => {
      const { line } = this.#rows.get(item.key) ?? {};
      if (line && this.list.children[at] !== line) this.list.insertBefore(line, this.list.children[at] ?? null);
    });
    if (this.list.contains(focus)) focus.focus({ preventScroll: true }); // a row that moves loses it
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
    announce(placeText("list_empty"));
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

/** The malignant share, whatever the outcome, and a mark where the suggested diagnosis is malignant. */
function shareOf({ state, prediction }) {
  if (state !== "done" || prediction.malignant_share === null) return [];
  const marked = prediction.outcome === "diagnosis" && leading(prediction)?.malignant;
  return [marked ? malignantTag() : "", make("span", {}, t("list.malignant_share", { share: percent(prediction.malignant_share) }))].filter(Boolean);
}

// The page: views by the address's hash, the session's images, and what is said when the server goes.

import { alive, callJson, listen } from "./api.js";
import { showAnswer } from "./prediction.js";
import { announce, byId, icon, make } from "./dom.js";
import { OUTCOMES, bytes } from "./format.js";
import { History } from "./history.js";
import { watchIntake } from "./intake.js";
import { showModel } from "./model.js";
import { problemNotice } from "./notices.js";
import { Queue } from "./queue.js";
import { Rows } from "./rows.js";
import { askForToken, watchSignOut } from "./token.js";

const VIEWS = ["images", "history", "answer", "model"];
const TITLES = { images: "Images", history: "History", answer: "Answer", model: "About this model" };
const POLL_MS = 5000;

const queue = new Queue();
const history = new History(() => model?.labels ?? []);
const rows = new Rows(queue, (item) => select(item, true));
let model = null;
let selected = null;
let letGo = () => {};
let poll = 0;

/** Show one of the session's images: its answer, its problem, or how far it is. */
function select(item, asked = false) {
  letGo();
  letGo = () => {};
  selected = item;
  rows.select(item);
  const place = byId("detail");
  if (!item) return place.replaceChildren(welcome());
  if (item.state === "done" && !model) {
    withModel(() => item === selected && select(item), place); // the review needs the names of the diagnoses
  } else if (item.state === "done") {
    letGo = showAnswer(place, item.answer, {
      file: item.file,
      model,
      reviewed: () => queue.dispatchEvent(new CustomEvent("changed", { detail: item })),
      again: (frame) => select(queue.add([item.file], frame)[0]),
    });
  } else if (item.problem && item.state === "failed") {
    place.replaceChildren(
      make("h2", { class: "file-name" }, item.name),
      problemNotice(item.problem, () => queue.retry(item)),
    );
  } else {
    place.replaceChildren(make("p", { class: "card empty" }, `${item.name} has no answer yet.`));
  }
  const { top } = place.getBoundingClientRect();
  if (asked && (top < 0 || top > window.innerHeight / 2)) place.scrollIntoView({ block: "start" });
}

/** What the three outcomes mean, before the first image. */
function welcome() {
  const kinds = {
    diagnosis: "The most probable of the model's diagnoses, with the calibrated probabilities of all of them.",
    not_sure: "Another diagnosis leads, but one that must not be missed is too probable to be left out.",
    not_usable: "Too small, blurred, badly exposed, or not a dermoscopic image. The reason is given.",
  };
  const line = ([outcome, text]) =>
    make(
      "li",
      { data: { outcome } },
      icon(outcome),
      make("div", {}, make("h3", {}, OUTCOMES[outcome].word), make("p", {}, text)),
    );
  return make(
    "section",
    { class: "card welcome", "aria-labelledby": "welcome-title" },
    make("h2", { id: "welcome-title" }, "Every image gets one of three answers"),
    make("ul", {}, ...Object.entries(kinds).map(line)),
    make(
      "p",
      { class: "sub" },
      "Images are sent to this server only. Answers are recorded; images are not, unless the server was told to keep them.",
    ),
  );
}

async function showRecorded(id) {
  const place = byId("answer-detail");
  letGo();
  letGo = () => {};
  place.replaceChildren();
  try {
    const answer = await callJson(`predictions/${encodeURIComponent(id)}`);
    const mine = queue.items.find((item) => item.answer?.id === id);
    if (location.hash === `#answer/${id}`)
      letGo = showAnswer(place, answer, {
        file: mine?.file,
        model,
        reviewed: (changed) => mine && (mine.answer.review = changed.review),
      });
  } catch (error) {
    place.replaceChildren(problemNotice(error, () => showRecorded(id)));
  }
}

/** Show the view that the address names. */
function route(focus = true) {
  const [name, id] = location.hash.slice(1).split("/");
  const view = VIEWS.includes(name) ? name : "images";
  for (const other of VIEWS) byId(`view-${other}`).hidden = other !== view;
  for (const link of document.querySelectorAll(".views a")) {
    const here = link.hash === `#${view}` || (view === "answer" && link.hash === "#history");
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${TITLES[view]} \u2013 LesionLens`;
  if (view === "images") select(selected);
  if (view === "history") withModel(() => history.open(), byId("history-list"));
  if (view === "answer") withModel(() => showRecorded(decodeURIComponent(id ?? "")), byId("answer-detail"));
  if (view === "model") withModel(() => showModel(byId("model-detail"), model), byId("model-detail"));
  if (focus) byId(`${view}-title`).focus({ preventScroll: true });
  if (focus) window.scrollTo(0, 0);
}

/** Run `then` once the server has said what model it runs; say in `place` why not. */
async function withModel(then, place = byId("detail")) {
  try {
    model ??= await loadModel();
  } catch (error) {
    byId("server-state").textContent = error.status === 401 ? "Token needed" : "No answer";
    place.replaceChildren(problemNotice(error, () => withModel(then, place)));
    return;
  }
  await then();
}

async function loadModel() {
  const told = await callJson("model");
  queue.limits = { upload_bytes: Infinity, ...told.limits };
  byId("server-state").textContent = `${[told.bundle.name, told.bundle.variant].filter(Boolean).join(", ")}: ready`;
  byId("server-state").dataset.state = "ready";
  if (told.limits?.upload_bytes)
    byId("drop-limits").textContent =
      `JPEG, PNG, WebP, TIFF or DICOM, up to ${bytes(told.limits.upload_bytes, Math.floor)}.`;
  return told;
}

/** The server went: say so, look for it every few seconds, and send what waits when it is back. */
function gone() {
  const notice = byId("gone");
  byId("server-state").textContent = "Not reachable";
  byId("server-state").dataset.state = "gone";
  if (!notice.hidden) return;
  notice.hidden = false;
  notice.replaceChildren(
    icon("problem"),
    make(
      "span",
      {},
      make("strong", {}, "The server cannot be reached. "),
      "Images that wait are kept in this tab and sent when it is back.",
    ),
    make("button", { type: "button", on: { click: tryAgain } }, "Try again"),
  );
  poll = setInterval(tryAgain, POLL_MS);
}

async function tryAgain() {
  if (await alive()) back();
}

function back() {
  if (byId("gone").hidden) return;
  clearInterval(poll);
  byId("gone").hidden = true;
  announce("The server is back.");
  loadModel().then(
    (told) => (model = told),
    () => {},
  );
  queue.retry();
}

function start() {
  listen({ token: askForToken, gone, back });
  watchSignOut(() => announce("The token is forgotten. The next request asks for one."));
  watchIntake((files) => {
    const added = queue.add(files);
    if (location.hash && location.hash !== "#images") location.hash = "#images";
    if (!selected || selected.state === "failed") select(added[0]);
  });
  queue.addEventListener(
    "changed",
    (event) => event.detail === selected && !byId("view-images").hidden && refresh(event.detail),
  );
  queue.addEventListener("removed", (event) => event.detail === selected && select(queue.items[0] ?? null));
  byId("picture-close").addEventListener("click", () => byId("picture-dialog").close());
  byId("skip").addEventListener("click", (event) => {
    event.preventDefault();
    byId("main").focus();
  });
  window.addEventListener("hashchange", () => route());
  window.addEventListener("online", tryAgain);
  route(false);
  withModel(() => {});
}

/** The shown image has moved on; an answer that is already shown stays as it is. */
function refresh(item) {
  if (item.state === "done" && byId("detail").querySelector(".outcome")) return;
  select(item);
}

start();

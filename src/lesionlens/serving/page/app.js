// The page: views by the address's hash, the session's images, and what is shown when the server goes.

import { alive, callJson, listen } from "./api.js";
import { announce, button, byId, icon, make, p } from "./dom.js";
import { OUTCOMES, bytes } from "./format.js";
import { History } from "./history.js";
import { watchIntake } from "./intake.js";
import { showModel } from "./model.js";
import { problemNotice } from "./notices.js";
import { showPrediction } from "./prediction.js";
import { Queue } from "./queue.js";
import { Rows } from "./rows.js";
import { askForToken, watchSignOut } from "./token.js";

const TITLES = { images: "Images", history: "History", prediction: "Prediction", model: "About this model" };
const RENAMED = { answer: "prediction" }; // bookmarks of lesionlens 0.1
const POLL_MS = 5000;
const KINDS = {
  diagnosis: "The most probable of the model's diagnoses, with the calibrated probabilities of all of them.",
  not_sure: "Another diagnosis leads, but one that must not be missed is too probable to be left out.",
  not_usable: "Too small, blurred, badly exposed, or not a dermoscopic image. The reason is given.",
};

const queue = new Queue();
const history = new History(() => model?.labels ?? []);
const rows = new Rows(queue, (item) => select(item, true));
let model = null;
let selected = null;
let release = () => {};
let poll = 0;

/** Show one of the session's images: its prediction, its problem, or how far it is. */
function select(item, scroll = false) {
  release();
  release = () => {};
  selected = item;
  rows.select(item);
  const place = byId("detail");
  if (!item) return place.replaceChildren(welcome());
  if (item.state === "done" && !model) {
    withModel(() => item === selected && select(item), place); // the review needs the names of the diagnoses
  } else if (item.state === "done") {
    release = showPrediction(place, item.prediction, {
      file: item.file,
      model,
      reviewed: () => queue.dispatchEvent(new CustomEvent("changed", { detail: item })),
      again: (frame) => select(queue.add([item.file], frame)[0]),
    });
  } else if (item.state === "failed") {
    const notice = problemNotice(item.problem, () => queue.retry(item));
    place.replaceChildren(make("h2", { class: "file-name" }, item.name), notice);
  } else {
    place.replaceChildren(p(`${item.name} has no prediction yet.`, "card empty"));
  }
  const { top } = place.getBoundingClientRect();
  if (scroll && (top < 0 || top > window.innerHeight / 2)) place.scrollIntoView({ block: "start" });
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
    p("Images are sent to this server only. Predictions are logged; images are not, unless the server keeps them.", "sub"),
  );
}

async function showLogged(id) {
  const place = byId("prediction-detail");
  release();
  release = () => {};
  place.replaceChildren();
  try {
    const prediction = await callJson(`predictions/${encodeURIComponent(id)}`);
    if (location.hash.split("/")[1] !== id) return;
    const own = queue.items.find((item) => item.prediction?.id === id);
    const reviewed = (changed) => own && (own.prediction.review = changed.review);
    release = showPrediction(place, prediction, { file: own?.file, model, reviewed });
  } catch (error) {
    place.replaceChildren(problemNotice(error, () => showLogged(id)));
  }
}

/** Show the view that the address names. */
function route(focus = true) {
  const [name, id] = location.hash.slice(1).split("/");
  const known = RENAMED[name] ?? name;
  const view = known in TITLES ? known : "images";
  for (const other of Object.keys(TITLES)) byId(`view-${other}`).hidden = other !== view;
  for (const link of document.querySelectorAll(".views a")) {
    const here = link.hash === `#${view}` || (view === "prediction" && link.hash === "#history");
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${TITLES[view]} \u2013 LesionLens`;
  if (view === "images") select(selected);
  if (view === "history") withModel(() => history.open(), byId("history-list"));
  if (view === "prediction") withModel(() => showLogged(decodeURIComponent(id ?? "")), byId("prediction-detail"));
  if (view === "model") withModel(() => showModel(byId("model-detail"), model), byId("model-detail"));
  if (!focus) return;
  byId(`${view}-title`).focus({ preventScroll: true });
  window.scrollTo(0, 0);
}

/** Run `then` once the server's model is known; show in `place` why it is not. */
async function withModel(then, place = byId("detail")) {
  try {
    model ??= await loadModel();
  } catch (error) {
    byId("server-state").textContent = error.status === 401 ? "Token needed" : "No response";
    place.replaceChildren(problemNotice(error, () => withModel(then, place)));
    return;
  }
  await then();
}

async function loadModel() {
  const loaded = await callJson("model");
  queue.limits = loaded.limits;
  byId("server-state").textContent = `${loaded.bundle.name}, ${loaded.bundle.variant}: ready`;
  byId("server-state").dataset.state = "ready";
  const most = bytes(loaded.limits.upload_bytes, Math.floor);
  byId("drop-limits").textContent = `JPEG, PNG, WebP, TIFF or DICOM, up to ${most}.`;
  return loaded;
}

/** The server is gone: say so, look for it every few seconds, and send what waits when it is back. */
function gone() {
  const notice = byId("gone");
  byId("server-state").textContent = "Not reachable";
  byId("server-state").dataset.state = "gone";
  if (!notice.hidden) return;
  notice.hidden = false;
  const text = make("strong", {}, "The server cannot be reached. ");
  const comfort = "Waiting images are kept in this tab and sent when it is back.";
  notice.replaceChildren(icon("problem"), make("span", {}, text, comfort), button({}, retry, "Try again"));
  poll = setInterval(retry, POLL_MS);
}

async function retry() {
  if (await alive()) back();
}

function back() {
  if (byId("gone").hidden) return;
  clearInterval(poll);
  byId("gone").hidden = true;
  announce("The server is back.");
  loadModel().then(
    (loaded) => (model = loaded),
    () => {},
  );
  queue.retry();
}

/** The shown image has moved on; a prediction that is already shown stays as it is. */
function refresh(item) {
  if (item.state !== "done" || !byId("detail").querySelector(".outcome")) select(item);
}

function start() {
  listen({ token: askForToken, gone, back });
  watchSignOut(() => announce("The token is forgotten. The next request asks for one."));
  watchIntake((files) => {
    const added = queue.add(files);
    if (location.hash && location.hash !== "#images") location.hash = "#images";
    if (!selected || selected.state === "failed") select(added[0]);
  });
  queue.addEventListener("changed", ({ detail }) => detail === selected && !byId("view-images").hidden && refresh(detail));
  queue.addEventListener("removed", ({ detail }) => detail === selected && select(queue.items[0] ?? null));
  byId("picture-close").onclick = () => byId("picture-dialog").close();
  byId("skip").onclick = (event) => {
    event.preventDefault();
    byId("main").focus();
  };
  window.addEventListener("hashchange", () => route());
  window.addEventListener("online", retry);
  route(false);
  withModel(() => {});
}

start();

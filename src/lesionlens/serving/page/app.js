// The page: views by the address's hash, the session's images, and what is shown when the server goes.

import { alive, callJson, listen } from "./api.js";
import { showCase, showCases } from "./cases.js";
import { deleteButton } from "./deletion.js";
import { announce, button, byId, icon, make } from "./dom.js";
import { bytes } from "./format.js";
import { History } from "./history.js";
import { watchInstall } from "./install.js";
import { onLanguage, t } from "./language.js";
import { showModel } from "./model.js";
import { problemNotice } from "./notices.js";
import { showPatient } from "./patient.js";
import { showPrediction } from "./prediction.js";
import { fill, watchLanguage } from "./redraw.js";
import { rememberList, restoreList } from "./remembered.js";
import { Session } from "./session.js";
import { similarLesions } from "./similar.js";
import { showSubject, subjectForm } from "./subject.js";
import { leaveLesion, showLesion } from "./timeline.js";
import { askForToken, watchSignOut } from "./token.js";
import { watchTour } from "./tour.js";
import { entitle, focusView, showView, watchFrame } from "./views.js";
import { Worklist } from "./worklist.js";

const VIEWS = ["images", "worklist", "cases", "case", "lesion", "history", "prediction", "model"];
const PARENTS = { prediction: "history", case: "cases", lesion: "cases" };
const RENAMED = { answer: "prediction" }; // bookmarks of lesionlens 0.1
const POLL_MS = 5000;

const session = new Session(() => model, withModel, (item, again) => detailsOf(item.prediction, () => session.queue.remove(item), again));
const history = new History(() => model?.labels ?? []);
const worklist = new Worklist(
  () => model?.labels ?? [],
  () => model?.access?.role === "review",
);
let model = null;
let poll = 0;
let isRestored = false;
let shown = VIEWS[0];

async function showLogged(id) {
  const place = byId("prediction-detail");
  session.release();
  fill(place, () => []);
  try {
    const prediction = await callJson(`predictions/${encodeURIComponent(id)}`);
    if (location.hash.split("/")[1] !== id) return;
    const own = session.queue.items.find((item) => item.prediction?.id === id);
    const reviewed = (changed) => own && (own.prediction.review = changed.review);
    const gone = () => {
      if (own) session.queue.remove(own);
      location.hash = "#history";
    };
    const more = detailsOf(prediction, gone, () => showLogged(id));
    session.release(showPrediction(place, prediction, { file: own?.file, model, reviewed, more }));
  } catch (error) {
    fill(place, () => problemNotice(error, () => showLogged(id)));
  }
}

/** What can be done with a logged prediction: `gone` is called once it is deleted, `changed` once its case was. */
function detailsOf(prediction, gone, changed) {
  const moved = (subject) => {
    Object.assign(prediction, subject);
    changed();
  };
  return [subjectForm(prediction, model, moved), similarLesions(prediction, model), deleteButton(prediction, model, gone)];
}

/** Show the view that the address names. */
function route(focus = true) {
  const [name, id, lesion] = location.hash.slice(1).split("/").map((part) => decodeURIComponent(part));
  const view = showView(VIEWS, RENAMED[name] ?? name, PARENTS);
  shown = view;
  leaveLesion();
  if (view === "images") session.show();
  if (view === "history") withModel(() => history.open(), byId("history-list"));
  if (view === "worklist") withModel(() => worklist.open(), byId("worklist-list"));
  if (view === "cases") withModel(() => showCases(), byId("cases-list"));
  if (view === "case") withModel(() => showCase(id ?? "", model), byId("case-detail"));
  if (view === "lesion") withModel(() => showLesion(id ?? "", lesion ?? "", model), byId("lesion-detail"));
  if (view === "prediction") withModel(() => showLogged(id ?? ""), byId("prediction-detail"));
  if (view === "model") withModel(() => showModel(byId("model-detail"), model), byId("model-detail"));
  if (focus) focusView(view);
}

/** Run `then` once the server's model is known; show in `place` why it is not. */
async function withModel(then, place = byId("detail")) {
  try {
    model ??= await loadModel();
  } catch (error) {
    state(() => t(error.status === 401 ? "state.token_needed" : "state.no_response"), "");
    fill(place, () => problemNotice(error, () => withModel(then, place)));
    return;
  }
  await then();
}

async function loadModel() {
  const loaded = await callJson("model");
  session.queue.limits = loaded.limits;
  showPatient(loaded.metadata);
  showSubject();
  state(() => t("state.ready", { model: `${loaded.bundle.name}, ${loaded.bundle.variant}` }), "ready");
  const most = () => bytes(loaded.limits.upload_bytes, Math.floor);
  fill(byId("drop-limits"), () => t("drop.limits", { formats: t("drop.formats.server"), most: most() }));
  return loaded;
}

function state(text, kind) {
  fill(byId("server-state"), text);
  byId("server-state").dataset.state = kind;
}

/** The server is gone: say so, look for it every few seconds, and send what waits when it is back. */
function gone() {
  const notice = byId("gone");
  state(() => t("state.not_reachable"), "gone");
  if (!notice.hidden) return;
  notice.hidden = false;
  const text = () => make("span", {}, make("strong", {}, t("problem.unreachable"), ". "), t("gone.comfort"));
  fill(notice, () => [icon("problem"), text(), button({}, retry, t("problem.again"))]);
  poll = setInterval(retry, POLL_MS);
}

async function retry() {
  if (await alive()) back();
}

function back() {
  if (byId("gone").hidden) return;
  clearInterval(poll);
  byId("gone").hidden = true;
  announce(t("gone.back"));
  const isFirst = !model; // the page was opened while the server was away
  loadModel().then(
    (loaded) => {
      model = loaded;
      if (isFirst) route(false); // until now it said that the server is away
      return restore();
    },
    () => {},
  );
  session.queue.retry();
}

/** Read the list of this tab again, once, then keep it; one that cannot be read now stays as it was. */
async function restore() {
  if (isRestored) return;
  isRestored = true;
  try {
    await restoreList(session.queue);
    rememberList(session.queue);
  } catch (error) {
    isRestored = false;
    fill(byId("detail"), () => problemNotice(error, restore));
  }
}

function start() {
  listen({ token: askForToken, gone, back });
  watchSignOut(() => announce(t("token.forgotten")));
  watchFrame();
  watchLanguage();
  watchTour();
  watchInstall();
  onLanguage(() => entitle(shown));
  window.addEventListener("hashchange", () => route());
  window.addEventListener("online", retry);
  route(false);
  withModel(restore);
}

start();

// The static page: two views, the session's images, and what is stored on the device.

import { open } from "./api.js";
import { announce, byId } from "./dom.js";
import { bytes, percent } from "./format.js";
import { onLanguage, t } from "./language.js";
import { showModel } from "./model.js";
import { problemNotice } from "./notices.js";
import { watchOffline } from "./offline.js";
import { fill, watchLanguage } from "./redraw.js";
import { Session } from "./session.js";
import { entitle, focusView, showView, watchFrame } from "./views.js";

const VIEWS = ["images", "model"];
const READABLE = "image/jpeg,image/png,image/webp,image/bmp,image/gif,image/avif";

const session = new Session(() => model, withModel);
let model = null;
let shown = VIEWS[0];

/** Show the view that the address names. */
function route(focus = true) {
  const view = showView(VIEWS, location.hash.slice(1));
  shown = view;
  if (view === "images") session.show();
  if (view === "model") withModel(() => showModel(byId("model-detail"), model), byId("model-detail"));
  if (focus) focusView(view);
}

/** Run `then` once the network is loaded; show in `place` why it is not. */
async function withModel(then, place = byId("detail")) {
  try {
    model ??= await load();
  } catch (error) {
    state(() => t("state.not_available"), "gone");
    fill(place, () => problemNotice(error, () => withModel(then, place)));
    return;
  }
  await then();
}

async function load() {
  state(() => t("state.loading"));
  const loaded = await open((share) => state(() => (share < 1 ? t("state.loading_share", { share: percent(share) }) : t("state.checking"))));
  session.queue.limits = loaded.limits;
  const { name, variant } = loaded.bundle;
  state(() => t("state.ready", { model: `${name}, ${variant}` }), "ready");
  const most = () => bytes(loaded.limits.upload_bytes, Math.floor);
  fill(byId("drop-limits"), () => t("drop.limits", { formats: t("drop.formats.device"), most: most() }));
  session.queue.retry(); // what waited for the network
  return loaded;
}

function state(text, kind = "") {
  fill(byId("server-state"), text);
  byId("server-state").dataset.state = kind;
}

function start() {
  byId("files").accept = READABLE;
  fill(byId("drop-limits"), () => t("drop.formats.device"));
  watchFrame();
  watchLanguage();
  onLanguage(() => entitle(shown));
  watchOffline(announce);
  window.addEventListener("hashchange", () => route());
  window.addEventListener("online", () => withModel(() => {}));
  route(false);
  withModel(() => {});
}

start();

// The static page: two views, the session's images, and what is stored on the device.

import { open } from "./api.js";
import { announce, byId } from "./dom.js";
import { bytes, percent } from "./format.js";
import { showModel } from "./model.js";
import { problemNotice } from "./notices.js";
import { watchOffline } from "./offline.js";
import { Session } from "./session.js";
import { focusView, showView, watchFrame } from "./views.js";

const TITLES = { images: "Images", model: "About this model" };
const READABLE = "image/jpeg,image/png,image/webp,image/bmp,image/gif,image/avif";

const session = new Session(() => model, withModel);
let model = null;

/** Show the view that the address names. */
function route(focus = true) {
  const view = showView(TITLES, location.hash.slice(1));
  if (view === "images") session.show();
  if (view === "model") withModel(() => showModel(byId("model-detail"), model), byId("model-detail"));
  if (focus) focusView(view);
}

/** Run `then` once the network is loaded; show in `place` why it is not. */
async function withModel(then, place = byId("detail")) {
  try {
    model ??= await load();
  } catch (error) {
    state("Not available", "gone");
    place.replaceChildren(problemNotice(error, () => withModel(then, place)));
    return;
  }
  await then();
}

async function load() {
  state("Loading the network");
  const loaded = await open((share) => state(share < 1 ? `Loading the network, ${percent(share)}` : "Checking the network"));
  session.queue.limits = loaded.limits;
  const { name, variant } = loaded.bundle;
  state(`${name}, ${variant}: ready`, "ready");
  byId("drop-limits").textContent = `JPEG, PNG or WebP, up to ${bytes(loaded.limits.upload_bytes, Math.floor)}.`;
  session.queue.retry(); // what waited for the network
  return loaded;
}

function state(text, kind = "") {
  byId("server-state").textContent = text;
  byId("server-state").dataset.state = kind;
}

function start() {
  byId("files").accept = READABLE;
  byId("drop-limits").textContent = "JPEG, PNG or WebP.";
  watchFrame();
  watchOffline(announce);
  window.addEventListener("hashchange", () => route());
  window.addEventListener("online", () => withModel(() => {}));
  route(false);
  withModel(() => {});
}

start();

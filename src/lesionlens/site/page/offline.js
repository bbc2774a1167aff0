// Keeping the page on the device: the service worker, the installation, and the change to a new version.

import { byId, english } from "./dom.js";
import { t } from "./language.js";
import { Problem } from "./problem.js";
import { fill } from "./redraw.js";

/** Register the service worker and show how far it is; `told` says it to a screen reader. */
export async function watchOffline(told) {
  watchInstall();
  if (!navigator.serviceWorker) return show("no_worker");
  try {
    const registration = await navigator.serviceWorker.register("sw.js", { updateViaCache: "none" });
    watchUpdates(registration, told);
    await stored(registration);
    return show(registration.waiting ? "newer" : "stored");
  } catch (error) {
    return show("failed", error);
  }
}

function show(state, error = null) {
  byId("offline-state").dataset.state = state;
  fill(byId("offline-state"), () => [t(`offline.${state}`), error && [" ", error.key ? t(error.key) : english(error.message)]]);
}

/** Resolves once a version is stored whole; rejects when the first one cannot be. */
function stored(registration) {
  const first = registration.active ? null : (registration.installing ?? registration.waiting);
  if (!first) return Promise.resolve();
  return new Promise((resolve, reject) => {
    first.onstatechange = () => {
      if (first.state === "activated") resolve();
      if (first.state === "redundant") reject(new Problem({ key: "offline.damaged" }));
    };
  });
}

/** Offer a new version once it is stored; it starts when the page is loaded again. */
function watchUpdates(registration, told) {
  const offer = () => {
    if (!registration.waiting || !registration.active) return;
    show("newer");
    told(t("offline.newer"));
    byId("renew").hidden = false;
  };
  byId("renew").onclick = () => {
    navigator.serviceWorker.oncontrollerchange = () => location.reload();
    registration.waiting.postMessage("use now");
  };
  registration.addEventListener("updatefound", () => {
    const next = registration.installing;
    next.addEventListener("statechange", () => next.state === "installed" && offer());
  });
  offer();
}

/** The browser's own installation, where it offers one. */
function watchInstall() {
  let prompt = null;
  window.addEventListener("beforeinstallprompt", (event) => {
    event.preventDefault();
    prompt = event;
    byId("install").hidden = false;
  });
  byId("install").onclick = async () => {
    byId("install").hidden = true;
    await prompt.prompt();
  };
}

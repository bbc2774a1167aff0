// Keeping the page on the device: the service worker, the installation, and the change to a new version.

import { byId } from "./dom.js";
import { offerInstallation, reasonOf, stored } from "./installation.js";
import { t } from "./language.js";
import { fill } from "./redraw.js";

/** Register the service worker and show how far it is; `told` says it to a screen reader. */
export async function watchOffline(told) {
  offerInstallation(byId("install"));
  if (!navigator.serviceWorker) return show("no_worker");
  try {
    const registration = await navigator.serviceWorker.register("sw.js", { updateViaCache: "none" });
    watchUpdates(registration, told);
    await stored(registration, "offline.damaged");
    return show(registration.waiting ? "newer" : "stored");
  } catch (error) {
    return show("failed", error);
  }
}

function show(state, error = null) {
  byId("offline-state").dataset.state = state;
  fill(byId("offline-state"), () => [t(`offline.${state}`), error && [" ", reasonOf(error)]]);
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

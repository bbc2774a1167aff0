// The page as an app of a phone or desktop: the worker that keeps its files, the browser's installation, and what stands in
// its way.

import { button, byId, make, p } from "./dom.js";

const TEXTS = {
  install: "Install on this device",
  insecure: "To be installed on a device, this page must come over HTTPS; the operator of this server can set that up.",
  byHand: "To install this page: Share, then Add to Home Screen.",
  failed: "This page cannot be opened while its server is away, because the browser did not store it:",
  adapter: "With a phone, photograph through a dermatoscope on its adapter: the model knows dermoscopic images only.",
};

/** Register the worker, offer the installation, and say how a phone's camera is meant to be used. */
export function watchInstall() {
  const note = p("", "sub");
  const foot = make("footer", { class: "foot" }, installButton(), note);
  byId("main").after(foot);
  byId("photograph").parentElement.after(p(TEXTS.adapter, "drop-note adapter"));
  note.textContent = obstacle();
  keepShell().catch((error) => (note.textContent = `${TEXTS.failed} ${error.message}`));
}

/** Why the browser will not offer to install the page, or how it is done by hand; empty where it offers it itself. */
function obstacle() {
  if (!window.isSecureContext) return TEXTS.insecure;
  return navigator.standalone === false ? TEXTS.byHand : ""; // iOS alone has this property
}

/** Resolves once the worker is registered and has stored the page. */
async function keepShell() {
  if (!navigator.serviceWorker) return;
  const registration = await navigator.serviceWorker.register("service_worker.js", { updateViaCache: "none" });
  const worker = registration.active ? null : (registration.installing ?? registration.waiting);
  await new Promise((resolve, reject) => {
    if (!worker || worker.state === "activated") resolve();
    else worker.onstatechange = () => (worker.state === "activated" ? resolve() : worker.state === "redundant" && reject(new Error("a file was not as it should be.")));
  });
}

function installButton() {
  let prompt = null;
  const element = button({ id: "install", class: "quiet", hidden: true }, () => {
    element.hidden = true;
    prompt.prompt();
  }, TEXTS.install);
  window.addEventListener("beforeinstallprompt", (event) => {
    event.preventDefault();
    prompt = event;
    element.hidden = false;
  });
  window.addEventListener("appinstalled", () => (element.hidden = true));
  return element;
}

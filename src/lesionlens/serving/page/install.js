// The page as an app of a phone or desktop: the worker that keeps its files, the browser's installation, and what stands in
// its way.

import { button, byId, make, p } from "./dom.js";
import { onLanguage, t } from "./language.js";
import { drawn, fill } from "./redraw.js";

/** Register the worker, offer the installation, and say how a phone's camera is meant to be used. */
export function watchInstall() {
  const note = p("", "sub");
  const foot = make("footer", { class: "foot" }, installButton(), note);
  byId("main").after(foot);
  byId("photograph").parentElement.after(drawn("p", { class: "drop-note adapter" }, () => t("install.adapter")));
  fill(note, obstacle);
  keepShell().catch((error) => fill(note, () => `${t("install.failed")} ${error.message}`));
}

/** Why the browser will not offer to install the page, or how it is done by hand; empty where it offers it itself. */
function obstacle() {
  if (!window.isSecureContext) return t("install.insecure");
  return navigator.standalone === false ? t("install.by_hand") : ""; // iOS alone has this property
}

/** Resolves once the worker is registered and has stored the page. */
async function keepShell() {
  if (!navigator.serviceWorker) return;
  const registration = await navigator.serviceWorker.register("service_worker.js", { updateViaCache: "none" });
  const worker = registration.active ? null : (registration.installing ?? registration.waiting);
  await new Promise((resolve, reject) => {
    if (!worker || worker.state === "activated") resolve();
    else worker.onstatechange = () => (worker.state === "activated" ? resolve() : worker.state === "redundant" && reject(new Error(t("install.damaged"))));
  });
}

function installButton() {
  let prompt = null;
  const element = button({ id: "install", class: "quiet", hidden: true }, () => {
    element.hidden = true;
    prompt.prompt();
  });
  const named = () => (element.textContent = t("install.button"));
  onLanguage(named);
  named();
  window.addEventListener("beforeinstallprompt", (event) => {
    event.preventDefault();
    prompt = event;
    element.hidden = false;
  });
  window.addEventListener("appinstalled", () => (element.hidden = true));
  return element;
}

// The page as an app of a phone or desktop: the worker that keeps its files, the browser's installation, and what stands in
// its way.

import { byId, make, p } from "./dom.js";
import { offerInstallation, reasonOf, stored } from "./installation.js";
import { t } from "./language.js";
import { drawn, fill } from "./redraw.js";

/** Register the worker, offer the installation, and say how a phone's camera is meant to be used. */
export function watchInstall() {
  const note = p("", "sub");
  const install = drawn("button", { id: "install", class: "quiet", type: "button", hidden: true }, () => t("install.button"));
  offerInstallation(install);
  byId("main").after(make("footer", { class: "foot" }, install, note));
  byId("photograph").parentElement.after(drawn("p", { class: "drop-note adapter" }, () => t("install.adapter")));
  fill(note, obstacle);
  keepShell().catch((error) => fill(note, () => [t("install.failed"), " ", reasonOf(error)]));
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
  await stored(registration, "install.damaged");
}

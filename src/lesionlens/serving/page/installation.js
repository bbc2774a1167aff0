// What the server's page and the static site have in common as apps of a device: their worker's first version, and the
// browser's offer to install them.

import { english } from "./dom.js";
import { t } from "./language.js";
import { Problem } from "./problem.js";

/** Resolves once a worker has stored its files; rejects with the problem `key` when the first one cannot. */
export function stored(registration, key) {
  const first = registration.active ? null : (registration.installing ?? registration.waiting);
  if (!first) return Promise.resolve();
  return new Promise((resolve, reject) => {
    first.onstatechange = () => {
      if (first.state === "activated") resolve();
      if (first.state === "redundant") reject(new Problem({ key }));
    };
  });
}

/** Why that failed, as a child of an element. */
export const reasonOf = (error) => (error.key ? t(error.key) : english(error.message));

/** Show a button while the browser offers an installation, and have it accept. */
export function offerInstallation(button) {
  let prompt = null;
  window.addEventListener("beforeinstallprompt", (event) => {
    event.preventDefault();
    prompt = event;
    button.hidden = false;
  });
  window.addEventListener("appinstalled", () => (button.hidden = true));
  button.onclick = () => {
    button.hidden = true;
    prompt.prompt();
  };
}

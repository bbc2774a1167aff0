// Asking for a token when the server wants one. It is kept for this tab only (sessionStorage).

import { forgetToken, token } from "./api.js";
import { byId } from "./dom.js";
import { problemLine } from "./notices.js";

/** Ask for a token; resolves to it, or to null when the person does not give one. */
export function askForToken(refused, problem) {
  const dialog = byId("token-dialog");
  const field = byId("token");
  const told = byId("token-problem");
  told.hidden = !refused;
  told.textContent = refused
    ? `The token was not accepted. ${problemLine(problem)}${problem.requestId ? ` (request ${problem.requestId})` : ""}`
    : "";
  if (refused) forgetToken();
  field.value = "";
  dialog.returnValue = "";
  return new Promise((resolve) => {
    const done = (value) => {
      controller.abort();
      resolve(value);
    };
    const controller = new AbortController();
    const { signal } = controller;
    byId("token-form").addEventListener(
      "submit",
      (event) => {
        event.preventDefault();
        const given = field.value.trim();
        field.value = "";
        dialog.close();
        done(given || null);
        showToken();
      },
      { signal },
    );
    byId("token-cancel").addEventListener("click", () => dialog.close(), { signal });
    dialog.addEventListener("close", () => done(null), { signal });
    dialog.showModal();
    field.focus();
  });
}

/** The button that forgets the token is there when there is one. */
export function showToken() {
  setTimeout(() => (byId("sign-out").hidden = !token()));
}

/** Wire that button; `forgotten` hears it. */
export function watchSignOut(forgotten) {
  byId("sign-out").addEventListener("click", () => {
    forgetToken();
    showToken();
    forgotten();
  });
  showToken();
}

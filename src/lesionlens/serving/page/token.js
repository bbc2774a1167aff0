// Asking for a token when the server needs one. It is kept for this tab only (sessionStorage).

import { forgetToken, token } from "./api.js";
import { byId } from "./dom.js";
import { t } from "./language.js";
import { problemLine } from "./notices.js";

/** Ask for a token; resolves to it, or to null when the person gives none. */
export function askForToken(refused, problem) {
  const [dialog, input, notice] = ["token-dialog", "token", "token-problem"].map(byId);
  const request = problem.requestId ? ` (${t("problem.request", { id: problem.requestId })})` : "";
  notice.hidden = !refused;
  notice.textContent = refused ? `${t("token.refused")} ${problemLine(problem)}${request}` : "";
  if (refused) forgetToken();
  input.value = "";
  return new Promise((resolve) => {
    byId("token-form").onsubmit = (event) => {
      event.preventDefault();
      resolve(input.value.trim() || null);
      input.value = "";
      dialog.close();
      showToken();
    };
    byId("token-cancel").onclick = () => dialog.close();
    dialog.onclose = () => resolve(null); // after a submission this changes nothing
    dialog.showModal();
    input.focus();
  });
}

/** Show the button that forgets the token while there is one. */
const showToken = () => setTimeout(() => (byId("sign-out").hidden = !token()));

/** Wire that button; `forgotten` is called after it. */
export function watchSignOut(forgotten) {
  byId("sign-out").onclick = () => {
    forgetToken();
    showToken();
    forgotten();
  };
  showToken();
}

// One prediction deleted on request, after a question.

import { callJson } from "./api.js";
import { announce, button, byId, icon, make, p } from "./dom.js";
import { t } from "./language.js";
import { problemNotice } from "./notices.js";
import { fill } from "./redraw.js";

/** The button that deletes a prediction; `deleted` is called once it is gone. Nothing where the token may not. */
export function deleteButton(prediction, model, deleted) {
  if (model?.access?.role === "predict") return null;
  return fill(button({ class: "delete" }, () => ask(prediction, deleted)), () => [icon("close"), t("delete.button")]);
}

function ask(prediction, deleted) {
  const dialog = byId("delete-dialog");
  const problem = make("div");
  const run = async () => {
    try {
      await callJson(`predictions/${encodeURIComponent(prediction.id)}`, { method: "DELETE" });
      dialog.close();
      announce(t("delete.done"));
      deleted();
    } catch (error) {
      fill(problem, () => problemNotice(error));
    }
  };
  const choices = () =>
    make("div", { class: "row end" }, button({ id: "delete-cancel" }, () => dialog.close(), t("delete.keep")), button({ class: "primary", id: "delete-confirm" }, run, t("delete.confirm")));
  fill(dialog, () => [make("h2", {}, t("delete.question")), p(t("delete.what")), problem, choices()]);
  dialog.showModal();
}

// One prediction deleted on request, after a question.

import { callJson } from "./api.js";
import { announce, button, byId, icon, make, p } from "./dom.js";
import { problemNotice } from "./notices.js";

const QUESTION = "The prediction, its maps, its reviews and a kept image are deleted for good. The record keeps its id, the time and your token's name.";

/** The button that deletes a prediction; `deleted` is called once it is gone. Nothing where the token may not. */
export function deleteButton(prediction, model, deleted) {
  if (model?.access?.role === "predict") return null;
  return button({ class: "delete" }, () => ask(prediction, deleted), icon("close"), "Delete prediction");
}

function ask(prediction, deleted) {
  const dialog = byId("delete-dialog");
  const problem = make("div");
  const run = async () => {
    try {
      await callJson(`predictions/${encodeURIComponent(prediction.id)}`, { method: "DELETE" });
      dialog.close();
      announce("The prediction is deleted.");
      deleted();
    } catch (error) {
      problem.replaceChildren(problemNotice(error));
    }
  };
  const choices = make("div", { class: "row end" }, button({ id: "delete-cancel" }, () => dialog.close(), "Keep it"), button({ class: "primary", id: "delete-confirm" }, run, "Delete for good"));
  dialog.replaceChildren(make("h2", {}, "Delete this prediction?"), p(QUESTION), problem, choices);
  dialog.showModal();
}

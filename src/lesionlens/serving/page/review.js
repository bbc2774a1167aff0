// What a person concluded. The form stays open for a second review; all reviews are kept.

import { postJson } from "./api.js";
import { announce, card, field, freshId, icon, make, named, p, select } from "./dom.js";
import { CONCLUSIONS, conclusionName, diagnosisName, listed, when } from "./format.js";
import { t } from "./language.js";
import { problemNotice } from "./notices.js";
import { fill } from "./redraw.js";
import { placeText } from "./texts.js";

const LONGEST = 4000; // characters of a note

/**
 * The form of one prediction; `reviewed` is called with a review once it is stored. Without the role, it says so.
 * Returns its `element`, and `warn`, which says whether the picture is gone.
 */
export function reviewForm(prediction, model, reviewed) {
  const labels = model?.labels ?? prediction.probabilities;
  const mayNot = model?.access?.role === "predict";
  const id = freshId("review");
  const stored = make("div", { class: "stored" });
  const blind = make("p", { class: "blind", role: "note", hidden: true }, icon("problem"), make("span", {}, placeText("review_blind")));
  const problem = make("div", {}, mayNot && p(t("review.no_role"), "none"));
  const options = [...labels.map((label) => [label.code, diagnosisName(label)]), ...CONCLUSIONS.map((code) => [code, t(`conclusion.${code}`)])];
  const conclusion = select({ required: true, name: "conclusion" }, options);
  conclusion.prepend(make("option", { value: "", disabled: true, selected: true }, t("review.choose")));
  const note = make("textarea", { name: "note", rows: 1, maxLength: LONGEST, dir: "auto" });
  const submit = make("button", { class: "primary" }, t("review.save"));
  const send = async (event) => {
    event.preventDefault();
    submit.disabled = true;
    problem.replaceChildren();
    try {
      const content = { conclusion: conclusion.value, note: note.value };
      const review = await postJson(`predictions/${encodeURIComponent(prediction.id)}/review`, content);
      show(stored, review, labels);
      announce(t("review.stored"));
      reviewed(review);
    } catch (error) {
      fill(problem, () => problemNotice(error));
    }
    submit.disabled = false;
  };
  show(stored, prediction.review, labels);
  const form = make(
    "form",
    { "aria-labelledby": id, hidden: mayNot, onsubmit: send },
    field(t("review.conclusion"), conclusion),
    field(t("review.note"), note, "grow"),
    submit,
  );
  const element = card(make("h3", { id }, t("review.title")), "review", stored, blind, form, problem);
  return { element, warn: (gone) => (blind.hidden = !gone || mayNot) };
}

function show(place, review, labels) {
  if (!review) return place.replaceChildren(p(t("review.none"), "none"));
  const name = make("strong", { class: "conclusion" }, conclusionName(review.conclusion, labels));
  const by = make("span", { class: "sub" }, review.reviewer && [named(review.reviewer), t("word.comma")], when(review.created));
  return place.replaceChildren(p([icon("review"), name, by], "result"), review.note ? make("p", { class: "note", dir: "auto" }, review.note) : "");
}

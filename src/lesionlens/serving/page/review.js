// What a person concluded. The form stays open for a second review; all reviews are kept.

import { postJson } from "./api.js";
import { announce, card, field, freshId, icon, make, p, select } from "./dom.js";
import { CONCLUSIONS, conclusionName, when } from "./format.js";
import { problemNotice } from "./notices.js";
import { TEXTS } from "./texts.js";

const LONGEST = 4000; // characters of a note
const NO_ROLE = "Your token has the role predict. To review, use one with the role review.";

/**
 * The form of one prediction; `reviewed` is called with a review once it is stored. Without the role, it says so.
 * Returns its `element`, and `warn`, which says whether the picture is gone.
 */
export function reviewForm(prediction, model, reviewed) {
  const labels = model?.labels ?? prediction.probabilities;
  const mayNot = model?.access?.role === "predict";
  const id = freshId("review");
  const stored = make("div", { class: "stored" });
  const blind = make("p", { class: "blind", role: "note", hidden: true }, icon("problem"), make("span", {}, TEXTS.reviewBlind));
  const problem = make("div", {}, mayNot && p(NO_ROLE, "none"));
  const options = [...labels.map(({ code, name }) => [code, name]), ...Object.entries(CONCLUSIONS)];
  const conclusion = select({ required: true, name: "conclusion" }, options);
  conclusion.prepend(make("option", { value: "", disabled: true, selected: true }, "Choose a conclusion"));
  const note = make("textarea", { name: "note", rows: 1, maxLength: LONGEST });
  const submit = make("button", { class: "primary" }, "Save review");
  const send = async (event) => {
    event.preventDefault();
    submit.disabled = true;
    problem.replaceChildren();
    try {
      const content = { conclusion: conclusion.value, note: note.value };
      const review = await postJson(`predictions/${encodeURIComponent(prediction.id)}/review`, content);
      show(stored, review, labels);
      announce("The review is stored.");
      reviewed(review);
    } catch (error) {
      problem.replaceChildren(problemNotice(error));
    }
    submit.disabled = false;
  };
  show(stored, prediction.review, labels);
  const form = make(
    "form",
    { "aria-labelledby": id, hidden: mayNot, onsubmit: send },
    field("Your conclusion", conclusion),
    field("Note (no names of patients)", note, "grow"),
    submit,
  );
  const element = card(make("h3", { id }, "Review"), "review", stored, blind, form, problem);
  return { element, warn: (gone) => (blind.hidden = !gone || mayNot) };
}

function show(place, review, labels) {
  if (!review) return place.replaceChildren(p("Nobody has reviewed this prediction yet.", "none"));
  const name = make("strong", { class: "conclusion" }, conclusionName(review.conclusion, labels));
  const by = make("span", { class: "sub" }, [review.reviewer, when(review.created)].filter(Boolean).join(", "));
  return place.replaceChildren(p([icon("review"), name, by], "result"), review.note ? p(review.note, "note") : "");
}

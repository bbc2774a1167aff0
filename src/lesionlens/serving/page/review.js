// What a person concluded. The form stays open to a second thought; each review is kept.

import { postJson } from "./api.js";
import { announce, freshId, icon, make } from "./dom.js";
import { CONCLUSIONS, conclusionName, when } from "./format.js";
import { problemNotice } from "./notices.js";

const LONGEST = 4000; // characters of a note

/** The form of one answer; `reviewed` hears the review once it is stored. Whose role does not allow it is told so. */
export function reviewForm(answer, model, reviewed) {
  const labels = model?.labels ?? answer.probabilities;
  const title = freshId("review");
  const stored = make("div", { class: "stored" });
  const problem = make("div", {});
  const none = make("option", { value: "", disabled: true, selected: true }, "Choose a conclusion");
  const diagnoses = labels.map((label) => make("option", { value: label.code }, label.name));
  const others = Object.entries(CONCLUSIONS).map(([code, name]) => make("option", { value: code }, name));
  const conclusion = make("select", { required: true, name: "conclusion" }, none, ...diagnoses, ...others);
  const note = make("textarea", { name: "note", rows: 1, maxLength: LONGEST });
  const button = make("button", { class: "primary" }, "Save review");
  const send = async (event) => {
    event.preventDefault();
    button.disabled = true;
    problem.replaceChildren();
    try {
      const review = await postJson(`predictions/${encodeURIComponent(answer.id)}/review`, {
        conclusion: conclusion.value,
        note: note.value,
      });
      tell(stored, review.review ?? review, labels);
      announce("The review is stored.");
      reviewed(review.review ?? review);
    } catch (error) {
      problem.replaceChildren(problemNotice(error));
    }
    button.disabled = false;
  };
  tell(stored, answer.review, labels);
  if (model?.access?.role === "predict")
    problem.append(
      make("p", { class: "none" }, "Your token has the role predict. To review, use one with the role review."),
    );
  return make(
    "section",
    { class: "card review", "aria-labelledby": title },
    make("h3", { id: title }, "Review"),
    stored,
    make(
      "form",
      { "aria-labelledby": title, hidden: model?.access?.role === "predict", on: { submit: send } },
      make("label", { class: "field" }, make("span", {}, "Your conclusion"), conclusion),
      make("label", { class: "field grow" }, make("span", {}, "Note (no names of patients)"), note),
      button,
    ),
    problem,
  );
}

function tell(place, review, labels) {
  if (!review) return place.replaceChildren(make("p", { class: "none" }, "Nobody has reviewed this answer yet."));
  return place.replaceChildren(
    make(
      "p",
      { class: "verdict" },
      icon("review"),
      make("strong", { class: "conclusion" }, conclusionName(review.conclusion, labels)),
      make("span", { class: "sub" }, [review.reviewer, when(review.created)].filter(Boolean).join(", ")),
    ),
    review.note ? make("p", { class: "note" }, review.note) : "",
  );
}

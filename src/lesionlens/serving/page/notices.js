// Problems, said in full: title, detail, request id, and what can be done.

import { Problem } from "./api.js";
import { icon, make } from "./dom.js";
import { sentence } from "./format.js";

const ADVICE = {
  401: "A token is needed. Ask whoever runs this server for one.",
  403: "Your token is known, but its role does not allow this. Ask for a token with another role.",
  404: "It may have been removed by the retention rule.",
};

/** An element that says what went wrong; `again` adds a button that tries once more. */
export function problemNotice(error, again = null) {
  const problem =
    error instanceof Problem
      ? error
      : new Problem({ title: "The page failed", detail: String(error?.message ?? error) });
  const ids = [problem.code && `Code ${problem.code}`, problem.requestId && `Request ${problem.requestId}`].filter(
    Boolean,
  );
  return make(
    "div",
    { class: "problem", role: "alert" },
    icon("problem"),
    make(
      "div",
      {},
      make("p", { class: "problem-title" }, problem.status ? `${problem.title} (${problem.status})` : problem.title),
      problem.detail && make("p", {}, sentence(problem.detail)),
      ADVICE[problem.status] && make("p", {}, ADVICE[problem.status]),
      ids.length > 0 && make("p", { class: "ids" }, ids.join(", ")),
      again && mayHelp(problem) && make("button", { type: "button", on: { click: again } }, "Try again"),
    ),
  );
}

/** Whether the same request may do better later; a file that is refused stays refused. */
const mayHelp = ({ status }) => status === 0 || status >= 500 || [401, 403, 408, 429].includes(status);

/** One line for a list. */
export const problemLine = (problem) => (problem.detail ? `${problem.title}: ${problem.detail}` : problem.title);

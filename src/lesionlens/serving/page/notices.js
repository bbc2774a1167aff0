// Problems, shown in full: title, detail, request id, and what can be done.

import { button, icon, make, p } from "./dom.js";
import { sentence } from "./format.js";
import { Problem } from "./problem.js";

const ADVICE = {
  401: "A token is needed. Ask the operator of this server for one.",
  403: "Your token is valid, but its role does not allow this. Ask for a token with another role.",
  404: "It may have been deleted by the retention rule.",
};

/** An element that shows a problem; `again` adds a button to retry. */
export function problemNotice(error, again = null) {
  const problem =
    error instanceof Problem ? error : new Problem({ title: "The page failed", detail: String(error?.message ?? error) });
  const ids = [problem.code && !problem.local && `Code ${problem.code}`, problem.requestId && `Request ${problem.requestId}`].filter(Boolean);
  const title = problem.status ? `${problem.title} (${problem.status})` : problem.title;
  const lines = [
    p(title, "problem-title"),
    problem.detail && p(sentence(problem.detail)),
    ADVICE[problem.status] && p(ADVICE[problem.status]),
    ids.length > 0 && p(ids.join(", "), "ids"),
    again && mayHelp(problem) && button({}, again, "Try again"),
  ];
  return make("div", { class: "problem", role: "alert" }, icon("problem"), make("div", {}, ...lines));
}

/** Whether the same request may succeed later; a refused file stays refused. */
const mayHelp = ({ status, local }) => (status === 0 && !local) || status >= 500 || [401, 403, 408, 429].includes(status);

/** One line for a list. */
export const problemLine = (problem) => (problem.detail ? `${problem.title}: ${problem.detail}` : problem.title);

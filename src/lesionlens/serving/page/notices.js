// Problems, shown in full: title, detail, request id, and what can be done.

import { button, english, icon, make, p, spoken } from "./dom.js";
import { listed, sentence } from "./format.js";
import { knows, t } from "./language.js";
import { Problem } from "./problem.js";

const ADVISED = [401, 403, 404];

/** An element that shows a problem; `again` adds a button to retry. */
export function problemNotice(error, again = null) {
  const problem = problemOf(error);
  const ids = [
    problem.code && !problem.local && t("problem.code", { code: problem.code }),
    problem.requestId && t("problem.request", { id: problem.requestId }),
  ];
  const detail = problemDetail(problem, sentence);
  const lines = [
    p([problemTitle(problem), problem.status ? ` (${problem.status})` : null], "problem-title"),
    detail && p(detail),
    problem.key && problem.detail && knows(`${problem.key}.detail`) && p(english(problem.detail)),
    ADVISED.includes(problem.status) && p(t(`problem.advice.${problem.status}`)),
    ids.some(Boolean) && p(listed(ids), "ids"),
    again && mayHelp(problem) && button({}, again, t("problem.again")),
  ];
  return make("div", { class: "problem", role: "alert" }, icon("problem"), make("div", {}, ...lines));
}

const problemOf = (error) => (error instanceof Problem ? error : new Problem({ key: "problem.page_failed", detail: String(error?.message ?? error) }));

/** A problem's title and detail as texts or elements: in this language where the catalogue has them, else in English. */
export const problemTitle = (error) => {
  const { key, values, title } = problemOf(error);
  return key ? t(key, values) : spoken(title);
};
export const problemDetail = (error, shape) => {
  const { key, values, detail } = problemOf(error);
  if (key && knows(`${key}.detail`)) return t(`${key}.detail`, values);
  return detail && spoken(detail, shape);
};

/** Whether the same request may succeed later; a refused file stays refused. */
const mayHelp = ({ status, local }) => (status === 0 && !local) || status >= 500 || [401, 403, 408, 429].includes(status);

/** One line for a list, as plain text. */
export function problemLine(problem) {
  const [title, detail] = [problemTitle(problem), problemDetail(problem)].map((part) => part?.textContent ?? part);
  return detail ? `${title}: ${detail}` : title;
}

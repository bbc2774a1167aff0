// The list of this tab survives a reload: which predictions were in it, by their random ids, in sessionStorage. What they
// say is read again from the server's record. No name, picture or probability is stored in the browser, and the list is
// gone with the tab.

import { callJson } from "./api.js";
import { announce } from "./dom.js";
import { t } from "./language.js";
import { Problem } from "./problem.js";

const LIST = "lesionlens-list";
const MOST = 500; // entries; the oldest are forgotten first
const AT_ONCE = 4;

/** From now on, write the list whenever it changes, and warn before a reload that would lose images that are not sent yet. */
export function rememberList(queue) {
  const write = () => sessionStorage.setItem(LIST, JSON.stringify(queue.items.map(entryOf).filter(Boolean).slice(-MOST)));
  queue.addEventListener("changed", ({ detail }) => (detail.state === "done" || detail.state === "failed") && write());
  queue.addEventListener("removed", write);
  write();
  window.addEventListener("beforeunload", (event) => {
    if (queue.count("waiting", "sending", "computing", "gone")) event.preventDefault();
  });
}

/** Read the predictions of the list again. Those that are gone from the record are counted, and left out. */
export async function restoreList(queue) {
  const entries = JSON.parse(sessionStorage.getItem(LIST) ?? "[]");
  const items = [];
  const work = async (left) => {
    for (let at = left.next(); !at.done; at = left.next()) items[at.value] = await restored(entries[at.value]);
  };
  const numbers = entries.keys();
  await Promise.all(Array.from({ length: AT_ONCE }, () => work(numbers)));
  const found = items.filter(Boolean);
  queue.restore(found);
  const lost = entries.length - found.length;
  if (lost) announce(t("list.lost", { count: lost, all: entries.length }));
}

/** A refused image is kept as its reason: which file it was is not stored. */
function entryOf({ state, prediction, problem }) {
  if (state === "done") return { id: prediction.id };
  if (state !== "failed") return null;
  const { status, title, detail, code, requestId, local, key, values } = problem;
  return { problem: { status, title, detail, code, requestId, local, key, values } };
}

async function restored({ id, problem }) {
  if (problem) return { state: "failed", problem: new Problem(problem) };
  try {
    return { state: "done", prediction: await callJson(`predictions/${encodeURIComponent(id)}`) };
  } catch (error) {
    if (error.status === 404) return null;
    throw error;
  }
}

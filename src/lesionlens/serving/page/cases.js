// Cases and their lesions.

import { callJson } from "./api.js";
import { announce, button, byId, card, head, make, number, p, row, rowHeader } from "./dom.js";
import { nameOf, percent, when, words } from "./format.js";
import { problemNotice } from "./notices.js";
import { lesionLink } from "./worklist.js";

const PAGE = 50;

/** Show the list of cases, the one with the newest image first. */
export async function showCases(cursor = "") {
  const place = byId("cases-list");
  try {
    const { items, next } = await callJson(`cases?limit=${PAGE}${cursor && `&cursor=${cursor}`}`);
    announce(`${items.length} cases on this page.`);
    if (!items.length && !cursor) return place.replaceChildren(p("No image was sent with a case yet.", "card empty"));
    const line = (each) =>
      row(
        { data: { case: each.case } },
        rowHeader(make("a", { href: `#case/${encodeURIComponent(each.case)}` }, each.case)),
        make("td", { data: { name: "Newest image" } }, make("time", { dateTime: each.created }, when(each.created, true))),
        number(String(each.images)),
        number(String(each.lesions)),
        number(String(each.unreviewed)),
        number(percent(each.malignant_share)),
      );
    const names = ["Case", "Newest image", "Images", "Lesions", "Unreviewed", "Highest malignant share"];
    const table = make(
      "table",
      { class: "history card cases" },
      make("caption", { class: "unseen" }, "Cases, the one with the newest image first"),
      make("thead", {}, head(names, (name, at) => at > 1)),
      make("tbody", {}, ...items.map(line)),
    );
    return place.replaceChildren(table, next ? button({}, () => showCases(next), "Older cases") : "");
  } catch (error) {
    return place.replaceChildren(problemNotice(error, () => showCases(cursor)));
  }
}

/** Show one case: its lesions, and images of no lesion. */
export async function showCase(id) {
  const place = byId("case-detail");
  byId("case-title").textContent = `Case ${id}`;
  place.replaceChildren();
  try {
    const { lesions, unassigned } = await callJson(`cases/${encodeURIComponent(id)}`);
    place.replaceChildren(...lesions.map(lesionCard), ...(unassigned.length ? [unassignedCard(unassigned)] : []));
  } catch (error) {
    place.replaceChildren(problemNotice(error, () => showCase(id)));
  }
}

function lesionCard(lesion) {
  const last = lesion.visits.at(-1);
  const share = last.malignant_share ? `malignant share ${percent(last.malignant_share.mean)} on ${last.day}` : "not usable";
  const histology = lesion.histology.at(-1);
  const facts = [lesion.site ? words(lesion.site) : "site not given", `${lesion.images.length} images on ${lesion.visits.length} days`, share];
  return card(
    make("h2", {}, make("a", { href: lesionLink(lesion) }, `Lesion ${lesion.lesion}`)),
    "lesion",
    p(`${facts.join("; ")}.`),
    p(histology ? `Histology: ${histology.dx}.` : "No histology.", "sub"),
  );
}

function unassignedCard(images) {
  const line = (image) => make("li", {}, make("a", { href: `#prediction/${image.id}` }, nameOf(image)), make("span", { class: "sub" }, when(image.created, true)));
  return card(make("h2", {}, "Images of no lesion"), "", make("ul", { class: "plain" }, ...images.map(line)));
}

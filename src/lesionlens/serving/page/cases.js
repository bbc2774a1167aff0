// Cases and their lesions.

import { callJson } from "./api.js";
import { announce, button, byId, card, head, make, named, number, p, row, rowHeader, scrolling } from "./dom.js";
import { choiceName, conclusionName, day, nameOf, number as figure, percent, sentence, when } from "./format.js";
import { t } from "./language.js";
import { problemNotice } from "./notices.js";
import { fill } from "./redraw.js";
import { lesionLink } from "./worklist.js";

const PAGE = 50;

/** Show the list of cases, the one with the newest image first. */
export async function showCases(cursor = "") {
  const place = byId("cases-list");
  try {
    const { items, next } = await callJson(`cases?limit=${PAGE}${cursor && `&cursor=${cursor}`}`);
    announce(t("cases.on_page", { count: items.length }));
    if (!items.length && !cursor) return fill(place, () => p(t("cases.none"), "card empty"));
    const line = (each) =>
      row(
        { data: { case: each.case } },
        rowHeader(make("a", { href: `#case/${encodeURIComponent(each.case)}` }, named(each.case))),
        make("td", { data: { column: "newest" } }, make("time", { dateTime: each.created }, when(each.created, true))),
        number(figure(each.images)),
        number(figure(each.lesions)),
        number(figure(each.unreviewed)),
        number(percent(each.malignant_share)),
      );
    const names = () => ["case", "newest", "images", "lesions", "unreviewed", "share"].map((name) => t(`cases.${name}`));
    const table = () => make(
      "table",
      { class: "history cases" },
      make("caption", { class: "unseen" }, t("cases.caption")),
      make("thead", {}, head(names(), (name, at) => at > 1)),
      make("tbody", {}, ...items.map(line)),
    );
    return fill(place, () => [scrolling(t("cases.caption"), table(), "sideways card"), next && button({}, () => showCases(next), t("cases.older"))]);
  } catch (error) {
    return fill(place, () => problemNotice(error, () => showCases(cursor)));
  }
}

/** Show one case: its lesions, and images of no lesion; `model` is the response of /v1/model. */
export async function showCase(id, model) {
  const place = byId("case-detail");
  fill(byId("case-title"), () => t("cases.title", { case: id }));
  fill(place, () => []);
  try {
    const { lesions, unassigned } = await callJson(`cases/${encodeURIComponent(id)}`);
    fill(place, () => [...lesions.map((lesion) => lesionCard(lesion, model?.labels ?? [])), unassigned.length > 0 && unassignedCard(unassigned)]);
  } catch (error) {
    fill(place, () => problemNotice(error, () => showCase(id, model)));
  }
}

function lesionCard(lesion, labels) {
  const last = lesion.visits.at(-1);
  const share = last.malignant_share ? t("cases.share_on", { share: percent(last.malignant_share.mean), day: day(last.day) }) : t("cases.not_usable");
  const histology = lesion.histology.at(-1);
  const facts = [lesion.site ? choiceName(lesion.site) : t("cases.no_site"), t("cases.images_on_days", { count: lesion.images.length, days: lesion.visits.length }), share];
  return card(
    make("h2", {}, make("a", { href: lesionLink(lesion) }, t("cases.lesion", { lesion: lesion.lesion }))),
    "lesion",
    p(sentence(facts.join(t("word.semicolon")))),
    p(histology ? t("cases.histology", { name: conclusionName(histology.dx, labels) }) : t("cases.no_histology"), "sub"),
  );
}

function unassignedCard(images) {
  const line = (image) => make("li", {}, make("a", { href: `#prediction/${image.id}` }, named(nameOf(image))), make("span", { class: "sub" }, when(image.created, true)));
  return card(make("h2", {}, t("cases.unassigned")), "", make("ul", { class: "plain" }, ...images.map(line)));
}

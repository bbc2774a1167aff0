// What somebody should know before the first image, in three sentences: shown on every visit until it is closed once, and
// again on request. It stands in the page's flow, so that images can be dropped or pasted all the same.

import { byId, button, icon, make, p } from "./dom.js";
import { onLanguage, t } from "./language.js";
import { fill } from "./redraw.js";

const SENTENCES = [["diagnosis", "for"], ["problem", "not"], ["not_sure", "not_sure"]]; // drawing, and key of the text
const SEEN = "lesionlens-tour";

/** Show the tour to whoever has not closed it yet, and wire the button that shows it again. */
export function watchTour() {
  const title = make("h2", { id: "tour-title", tabIndex: -1 });
  const element = make("section", { id: "tour", class: "card tour", "aria-labelledby": title.id, hidden: wasSeen() });
  const help = button({ id: "help", class: "quiet tool" }, show, icon("help"));
  const named = () => Object.assign(help, { title: t("tour.help"), ariaLabel: t("tour.help") });
  onLanguage(named);
  named();
  fill(element, () => {
    title.textContent = t("tour.title");
    const end = make("div", { class: "row" }, button({ id: "tour-close" }, close, t("tour.close")), p(t("tour.again"), "sub"));
    return [title, make("ul", {}, ...SENTENCES.map(line)), end];
  });
  byId("images-title").after(element);
  byId("server-state").after(help);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && element.checkVisibility() && !document.querySelector("dialog[open]")) close();
  });

  function show() {
    element.hidden = false;
    element.classList.add("asked"); // stays although there are images
    if (location.hash && location.hash !== "#images") location.hash = "#images";
    setTimeout(() => title.focus()); // after the view, which takes the focus itself
  }

  function close() {
    const back = element.classList.contains("asked") ? help : byId("choose");
    if (element.contains(document.activeElement)) back.focus();
    element.hidden = true;
    element.classList.remove("asked");
    remember();
  }
}

const line = ([drawing, key]) =>
  make("li", {}, icon(drawing), make("div", {}, make("h3", {}, t(`tour.${key}`)), p(t(`tour.${key}.text`))));

/** Whether somebody closed it in this browser; where the browser stores nothing, nobody did. */
function wasSeen() {
  try {
    return localStorage.getItem(SEEN) !== null;
  } catch {
    return false;
  }
}

function remember() {
  try {
    localStorage.setItem(SEEN, "closed");
  } catch {
    // it appears again with the next visit
  }
}

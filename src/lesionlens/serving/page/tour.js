// What somebody should know before the first image, in three sentences: shown on every visit until it is closed once, and
// again on request. It stands in the page's flow, so that images can be dropped or pasted all the same.

import { byId, button, icon, make, p } from "./dom.js";

const TEXTS = {
  help: "What this page is for",
  title: "Before the first image",
  sentences: [
    ["diagnosis", "What it is for", "It estimates from a dermoscopic image how probable each diagnosis is that its model knows, to support a person who is trained to read such images."],
    ["problem", "What it is not", "It is not a medical device and decides nothing: it may be wrong where it is sure, and it cannot name a diagnosis that it was not trained on."],
    ["not_sure", "What \u201cnot sure\u201d means", "A diagnosis that must not be missed is too probable to be left out: this is no all-clear, and a person has to look."],
  ],
  close: "Understood",
  again: "Escape closes this; the question mark at the top shows it again.",
};
const SEEN = "lesionlens-tour";

/** Show the tour to whoever has not closed it yet, and wire the button that shows it again. */
export function watchTour() {
  const title = make("h2", { id: "tour-title", tabIndex: -1 }, TEXTS.title);
  const element = make("section", { id: "tour", class: "card tour", "aria-labelledby": title.id, hidden: wasSeen() });
  const help = button({ id: "help", class: "quiet tool", "aria-label": TEXTS.help, title: TEXTS.help }, show, icon("help"));
  const end = make("div", { class: "row" }, button({ id: "tour-close" }, close, TEXTS.close), p(TEXTS.again, "sub"));
  element.append(title, make("ul", {}, ...TEXTS.sentences.map(line)), end);
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

const line = ([drawing, name, text]) => make("li", {}, icon(drawing), make("div", {}, make("h3", {}, name), p(text)));

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

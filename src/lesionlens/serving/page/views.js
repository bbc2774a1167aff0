// The views of the page, by the address's hash.

import { byId } from "./dom.js";
import { t } from "./language.js";

/**
 * Show the view that the address names, and mark its link.
 *
 * The first of `views` is shown where the address names none; `parents` names the link of a view without one of its own.
 * Returns the view's name.
 */
export function showView(views, name, parents = {}) {
  const view = views.includes(name) ? name : views[0];
  for (const other of views) byId(`view-${other}`).hidden = other !== view;
  for (const link of document.querySelectorAll(".views a")) {
    if (link.hash === `#${parents[view] ?? view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  entitle(view);
  return view;
}

/** Name the window by its view. */
export const entitle = (view) => (document.title = `${t(`view.${view}`)} \u2013 LesionLens`);

/** Move the focus to a view's heading, as a new page would. */
export function focusView(view) {
  byId(`${view}-title`).focus({ preventScroll: true });
  window.scrollTo(0, 0);
}

/** The link that skips to the content, and the button that closes the large picture. */
export function watchFrame() {
  byId("picture-close").onclick = () => byId("picture-dialog").close();
  byId("skip").onclick = (event) => {
    event.preventDefault();
    byId("main").focus();
  };
}

// Small checks of what people see and reach, run inside the page; each returns a list of faults.

function visible(element) {
  return (
    element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) &&
    !element.closest(".unseen, .symbols, [aria-hidden=true]")
  );
}

function parse(colour) {
  const [red, green, blue, alpha = 1] = colour.match(/[\d.]+/g).map(Number);
  return [red, green, blue, alpha];
}

function over(top, below) {
  const alpha = top[3];
  return [0, 1, 2].map((i) => top[i] * alpha + below[i] * (1 - alpha)).concat(1);
}

/** The colour behind an element, with everything transparent in front of it blended in. */
function ground(element) {
  const layers = [];
  for (let at = element; at; at = at.parentElement) {
    const colour = parse(getComputedStyle(at).backgroundColor);
    layers.push(colour);
    if (colour[3] === 1) break;
  }
  return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
}

function luminance([red, green, blue]) {
  const linear = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
}

function contrast(one, other) {
  const [high, low] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (high + 0.05) / (low + 0.05);
}

/** Texts, placeholders, icons, bars and edges of controls whose contrast is below WCAG's AA (1.4.3, 1.4.11). axe-core knows
    texts alone, and leaves out those that something overlaps, such as the bar at the top. */
function weakContrast() {
  const faults = [];
  const told = (element, ratio, what) =>
    faults.push(
      `${what} ${ratio.toFixed(2)} ${element.tagName}.${element.getAttribute("class") ?? ""} ${(element.textContent || "").trim().slice(0, 40)}`,
    );
  for (const element of document.querySelectorAll("body *")) {
    if (!visible(element)) continue;
    const style = getComputedStyle(element);
    const behind = ground(element);
    const texts = [...element.childNodes].filter((node) => node.nodeType === 3 && node.textContent.trim());
    const size = parseFloat(style.fontSize);
    const least = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    const ratio = contrast(over(parse(style.color), behind), behind);
    if (texts.length && ratio < least) told(element, ratio, "text");
    if (
      element.matches("input, textarea") &&
      element.placeholder &&
      contrast(parse(getComputedStyle(element, "::placeholder").color), behind) < 4.5
    )
      told(element, 0, "placeholder");
    if (element.matches("svg.icon") && ratio < 3) told(element, ratio, "icon");
    if (element.matches(".fill") && contrast(parse(style.backgroundColor), ground(element.parentElement)) < 3)
      told(element, contrast(parse(style.backgroundColor), ground(element.parentElement)), "bar");
    if (element.matches("select, textarea, input:not([type=range]), button:not(.quiet, .row-open, .larger):enabled")) {
      const outside = ground(element.parentElement);
      const edge = Math.max(
        contrast(parse(style.borderTopColor), outside),
        contrast(parse(style.backgroundColor), outside),
      );
      if (edge < 3) told(element, edge, "edge");
    }
  }
  return faults;
}

/** Controls that are smaller than `least` pixels on a side; links within text may be lower (2.5.8). */
function smallTargets(least) {
  return [...document.querySelectorAll("button, select, textarea, input, summary, nav a, .back a")]
    .filter(visible)
    .filter((element) => {
      const { width, height } = element.getBoundingClientRect();
      return width < least || height < least;
    })
    .map((element) => `${element.outerHTML.slice(0, 80)} ${JSON.stringify(element.getBoundingClientRect())}`);
}

/** Ids that occur twice, and views without exactly one title, which axe-core lets pass. */
function brokenStructure() {
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  const faults = ids.filter((id, place) => ids.indexOf(id) !== place).map((id) => `id twice: ${id}`);
  const titles = [...document.querySelectorAll("main h1")].filter((heading) => heading.checkVisibility());
  if (titles.length !== 1) faults.push(`${titles.length} titles`);
  return faults;
}

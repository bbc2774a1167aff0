// The model card's Markdown as elements: headings, paragraphs, lists, tables, bold, code. Whatever else
// it holds, HTML above all, is shown as the text that it is.

import { make } from "./dom.js";

/** Elements for a card; its headings begin at level `top`. */
export function markdown(text, top = 3) {
  const lines = text.split(/\r?\n/);
  const blocks = [];
  while (lines.length) {
    const line = lines[0];
    if (!line.trim()) lines.shift();
    else if (/^#{1,6} /.test(line)) blocks.push(heading(lines.shift(), top));
    else if (/^- /.test(line)) blocks.push(list(taken(lines, /^- /)));
    else if (/^\|/.test(line)) blocks.push(table(taken(lines, /^\|/)));
    else blocks.push(make("p", {}, ...inline(taken(lines, /^(?!#{1,6} |- |\||\s*$)/).join(" "))));
  }
  return blocks;
}

/** Lines from the start that fit; at least one, so that every line is used up. */
function taken(lines, pattern) {
  let count = 1;
  while (count < lines.length && pattern.test(lines[count])) count += 1;
  return lines.splice(0, count);
}

function heading(line, top) {
  const [, marks, text] = /^(#+) (.*)/.exec(line);
  return make(`h${Math.min(6, top + marks.length - 1)}`, {}, ...inline(text));
}

const list = (lines) => make("ul", {}, ...lines.map((line) => make("li", {}, ...inline(line.slice(2)))));

function table(lines) {
  const cells = (line) =>
    line
      .trim()
      .replace(/^\||\|$/g, "")
      .split("|")
      .map((cell) => cell.trim());
  const rows = lines.map(cells).filter((row) => !row.every((cell) => /^:?-+:?$/.test(cell)));
  const [head, ...body] = rows;
  const line = (row, tag) =>
    make("tr", {}, ...row.map((cell) => make(tag, tag === "th" ? { scope: "col" } : {}, ...inline(cell))));
  const name = `Table: ${head.filter(Boolean).slice(0, 3).join(", ")}`;
  return make(
    "div",
    { class: "scroll", tabIndex: 0, role: "group", "aria-label": name },
    make(
      "table",
      { "aria-label": name },
      make("thead", {}, line(head, "th")),
      make("tbody", {}, ...body.map((row) => line(row, "td"))),
    ),
  );
}

function inline(text) {
  return text
    .split(/(\*\*[^*]+\*\*|`[^`]+`)/)
    .filter(Boolean)
    .map((part) => {
      if (part.startsWith("**")) return make("strong", {}, part.slice(2, -2));
      return part.startsWith("`") && part.length > 1 ? make("code", {}, part.slice(1, -1)) : part;
    });
}

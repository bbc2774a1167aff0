// Lines of equal evidence on a heat map, so that the skin below keeps its own colours.

const SVG = "http://www.w3.org/2000/svg";
const STEPS = 8; // points for each cell of the map
export const LEVELS = [0.25, 0.5, 0.75]; // of the strongest evidence for any diagnosis

/** A value between the cells of `values` (rows of numbers), bilinear as maps are drawn; cell middles are at 0.5, 1.5, ... */
export function valueAt(values, x, y) {
  const inside = (at, count) => Math.min(count - 1, Math.max(0, at - 0.5));
  const [column, row] = [inside(x, values[0].length), inside(y, values.length)];
  const [left, top] = [Math.floor(column), Math.floor(row)];
  const [right, bottom] = [Math.min(left + 1, values[0].length - 1), Math.min(top + 1, values.length - 1)];
  const along = (line) => line[left] + (line[right] - line[left]) * (column - left);
  return along(values[top]) + (along(values[bottom]) - along(values[top])) * (row - top);
}

/** Line segments where the values cross `level`, [x1, y1, x2, y2] each in cells (marching squares, on a finer grid). */
export function segments(values, level) {
  const [across, down] = [values[0].length * STEPS, values.length * STEPS];
  const fine = Array.from({ length: down + 1 }, (_, y) =>
    Float64Array.from({ length: across + 1 }, (_, x) => valueAt(values, x / STEPS, y / STEPS)),
  );
  const found = [];
  for (let y = 0; y < down; y++) for (let x = 0; x < across; x++) found.push(...crossed(fine, x, y, level));
  return found.map((line) => line.map((place) => place / STEPS));
}

/** The segments within one square of the grid. */
function crossed(fine, x, y, level) {
  const corners = [[x, y], [x + 1, y], [x + 1, y + 1], [x, y + 1]];
  const height = ([at, row]) => fine[row][at] - level;
  const points = corners.flatMap((one, number) => {
    const other = corners[(number + 1) % 4];
    const [from, to] = [height(one), height(other)];
    if (from >= 0 === to >= 0) return [];
    const share = from / (from - to);
    return [[one[0] + (other[0] - one[0]) * share, one[1] + (other[1] - one[1]) * share]];
  });
  if (points.length === 2) return [points.flat()];
  if (points.length < 4) return [];
  const middle = corners.reduce((sum, corner) => sum + height(corner), 0) >= 0; // a saddle: the middle decides
  const turned = middle === height(corners[0]) >= 0;
  const pairs = turned ? [[0, 1], [2, 3]] : [[3, 0], [1, 2]];
  return pairs.map(([one, other]) => [...points[one], ...points[other]]);
}

/** A drawing of the lines of a map (the response of maps/CODE.json), to lie over its picture. */
export function contourDrawing({ values, limit, part: [left, top, width, height] }) {
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("class", "contours");
  drawing.setAttribute("viewBox", "0 0 1000 1000");
  drawing.setAttribute("preserveAspectRatio", "none");
  drawing.setAttribute("aria-hidden", "true");
  const place = (at, cells, from, share) => (1000 * (from + (share * at) / cells)).toFixed(1);
  const point = (x, y) => `${place(x, values[0].length, left, width)} ${place(y, values.length, top, height)}`;
  const outline = (level) => segments(values, level * limit).map(([a, b, c, d]) => `M${point(a, b)}L${point(c, d)}`).join("");
  const lines = limit > 0 ? LEVELS.map((level) => [level, outline(level)]) : [];
  for (const kind of ["halo", "line"]) {
    for (const [level, outlined] of lines) {
      const path = document.createElementNS(SVG, "path");
      path.setAttribute("class", `${kind} level-${100 * level}`);
      path.setAttribute("d", outlined);
      drawing.append(path);
    }
  }
  return drawing;
}

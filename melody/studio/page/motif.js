// The first page's picture of what the studio does: two bars that are given, and after them one continuation, then
// another, then a third. Notes are [eighth, eighths, pitch].

import { svg } from "./dom.js";

const WIDE = 780;
const TALL = 92;
const EIGHTHS = 32; // four bars
const [LOW, HIGH] = [43, 80];
const GIVEN = { lead: [[0, 3, 67], [3, 1, 69], [4, 2, 71], [6, 2, 74], [8, 3, 72], [11, 1, 71], [12, 4, 69]], bass: [[0, 4, 48], [4, 4, 52], [8, 4, 53], [12, 4, 50]] };
const TAKES = [
  { lead: [[16, 3, 71], [19, 1, 72], [20, 2, 74], [22, 2, 76], [24, 3, 74], [27, 1, 72], [28, 4, 71]], bass: [[16, 4, 52], [20, 4, 55], [24, 4, 50], [28, 4, 55]] },
  { lead: [[16, 1, 72], [17, 1, 74], [18, 2, 76], [20, 1, 79], [21, 3, 76], [24, 2, 74], [26, 2, 71], [28, 4, 67]], bass: [[16, 2, 45], [18, 2, 52], [20, 2, 53], [22, 2, 48], [24, 4, 55], [28, 4, 48]] },
  { lead: [[16, 6, 67], [22, 1, 64], [23, 1, 65], [24, 4, 67], [28, 1, 69], [29, 3, 72]], bass: [[16, 4, 45], [20, 4, 50], [24, 4, 55], [28, 4, 48]] },
];

const x = (eighth) => (eighth / EIGHTHS) * WIDE;

function part(notes, colour) {
  return svg("g", { class: `hue c${colour}` }, ...notes.map(([at, length, pitch]) => {
    const y = (1 - (pitch - LOW) / (HIGH - LOW)) * (TALL - 10) + 2;
    return svg("rect", { x: x(at) + 1, y, width: x(length) - 3, height: 6, rx: 3 });
  }));
}

export function motif() {
  const group = (name, { lead, bass }) => svg("g", { class: name }, part(lead, 2), part(bass, 1));
  const bars = Array.from({ length: 3 }, (_, bar) => svg("path", { class: bar === 1 ? "seam" : "line", d: `M${x(8 * (bar + 1))} 0V${TALL}` }));
  return svg("svg", { class: "motif", viewBox: `0 0 ${WIDE} ${TALL}`, "aria-hidden": "true" }, ...bars, group("idea", GIVEN), ...TAKES.map((take, index) => group(`could could-${index}`, take)));
}

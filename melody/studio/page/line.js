// A line to draw: how high a new tune lies, from its first bar to its last. By pointer, or point by point with the arrows.

import { el, say, svg } from "./dom.js";

export const POINTS = 16; // two a bar of eight
const HIGH = 12; // semitones from the middle to the edge
const [WIDE, TALL] = [300, 72]; // of the picture, stretched to its place

const clamp = (value, low, high) => Math.max(low, Math.min(high, value));

export class Line {
  constructor(changed = () => {}) {
    this.changed = changed;
    this.drawn = new Array(POINTS).fill(null);
    this.at = 0; // the point that keys move
    this.path = svg("polyline", { class: "path" });
    this.point = svg("path", { class: "point" }); // a round one, however the picture is stretched
    const middle = svg("line", { class: "middle", x1: 0, x2: WIDE, y1: TALL / 2, y2: TALL / 2 });
    this.picture = svg("svg", { viewBox: `0 0 ${WIDE} ${TALL}`, preserveAspectRatio: "none", "aria-hidden": "true" }, middle, this.path, this.point);
    const keys = "Draw how the new tune rises and falls. Keys: left and right choose a point, up and down move it (with Shift by five), Delete rubs it out";
    this.paper = el("div", { class: "paper", role: "application", tabindex: 0, "aria-label": "Line of the new tune", title: keys }, this.picture, el("span", { class: "hint", "aria-hidden": "true" }, "draw a line"));
    this.rubber = el("button", { type: "button", class: "rubber", hidden: true, "aria-label": "Rub out the line", title: "Rub out", onclick: () => this.clear() }, "×");
    this.element = el("div", { class: "line" }, this.paper, this.rubber);
    this.paper.addEventListener("keydown", (event) => this.key(event));
    this.byPointer();
    this.paint();
  }

  // Semitones from the middle, POINTS of them, or null where nothing is drawn. Between what was drawn it goes straight.
  get points() {
    const known = this.drawn.flatMap((height, at) => (height === null ? [] : [at]));
    if (!known.length) return null;
    return this.drawn.map((_, at) => {
      const before = known.findLast((one) => one <= at) ?? known[0];
      const behind = known.find((one) => one >= at) ?? known.at(-1);
      const share = behind === before ? 0 : (at - before) / (behind - before);
      return Math.round(10 * (this.drawn[before] + share * (this.drawn[behind] - this.drawn[before]))) / 10;
    });
  }

  clear() {
    this.drawn.fill(null);
    this.paper.focus();
    this.paint();
    this.changed();
    say("The line is gone.");
  }

  byPointer() {
    let last = null;
    const spot = ({ clientX, clientY }) => {
      const { x, y, width, height } = this.paper.getBoundingClientRect();
      return [clamp((clientX - x) / width, 0, 1) * (POINTS - 1), clamp(1 - (2 * (clientY - y)) / height, -1, 1) * HIGH];
    };
    const draw = (event) => {
      const [to, height] = spot(event);
      const [from, before] = last ?? [to, height];
      for (let at = Math.round(Math.min(from, to)); at <= Math.round(Math.max(from, to)); at += 1)
        this.drawn[at] = to === from ? height : before + clamp((at - from) / (to - from), 0, 1) * (height - before);
      last = [to, height];
      this.at = Math.round(to);
      this.paint();
    };
    this.paper.addEventListener("pointerdown", (event) => {
      this.paper.setPointerCapture(event.pointerId);
      draw(event);
    });
    this.paper.addEventListener("pointermove", (event) => last && draw(event));
    for (const end of ["pointerup", "pointercancel"])
      this.paper.addEventListener(end, () => {
        if (last) this.changed();
        last = null;
      });
  }

  key(event) {
    const { key, shiftKey } = event;
    const step = shiftKey ? 5 : 1;
    const moves = { ArrowLeft: -1, ArrowRight: 1, Home: -POINTS, End: POINTS }[key];
    const lifts = { ArrowUp: step, ArrowDown: -step }[key];
    if (event.ctrlKey || event.metaKey || event.altKey || (!moves && !lifts && key !== "Delete")) return;
    event.preventDefault();
    event.stopPropagation();
    if (moves) this.at = clamp(this.at + moves, 0, POINTS - 1);
    else this.drawn[this.at] = lifts ? clamp(Math.round(this.points?.[this.at] ?? 0) + lifts, -HIGH, HIGH) : null;
    this.paint();
    if (!moves) this.changed();
    const height = this.points?.[this.at] ?? 0;
    say(`Point ${this.at + 1} of ${POINTS}: ${height ? `${Math.abs(height)} semitones ${height > 0 ? "above" : "below"} the middle` : "in the middle"}`);
  }

  paint() {
    const { points } = this;
    const place = (at) => [(at / (POINTS - 1)) * WIDE, ((1 - (points?.[at] ?? 0) / HIGH) * TALL) / 2];
    this.path.setAttribute("points", points ? points.map((_, at) => place(at).join()).join(" ") : "");
    const [x, y] = place(this.at);
    this.point.setAttribute("d", `M${x} ${y}h0`);
    this.element.classList.toggle("blank", !points);
    this.rubber.hidden = !points;
  }
}

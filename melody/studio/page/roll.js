// The piano roll: a lane a track, all on one time line. Dragging selects bars and tracks; a lane opens to edit its notes.
// Two canvases lie over each other: paper, drawn when something changes, and light, which moves while music plays.

import { calm } from "./dom.js";
import { KEYS, RULER, paintLight, paintPaper } from "./paint.js";
import { STALKS } from "./stalks.js";

export const LEAST_LANE = 54;
const PAD = 14;

export class Roll {
  constructor({ scroller, space, paper, light, hues }) {
    Object.assign(this, { scroller, space, paper, light });
    this.score = null;
    this.selection = null; // {from, to, tracks: Set}: bars from 0, `to` excluded
    this.chosen = new Set(); // notes of the open lane
    this.open = null; // the track whose notes are edited
    this.lane = 0; // the track that the keyboard is on
    this.zoom = 40; // pixels a quarter
    this.dim = () => false; // tells if a track is not heard
    this.gone = { notes: new Map(), time: 0 }; // what has just left, by track
    this.ghost = null; // a note that is being drawn or moved
    this.hues = [...hues.children];
    this.readColours();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.readColours();
      this.draw();
      this.recoloured?.();
    });
    scroller.addEventListener("scroll", () => this.draw(), { passive: true });
    new ResizeObserver(() => this.resize()).observe(scroller);
  }

  readColours() {
    const style = getComputedStyle(document.documentElement);
    const value = (name) => style.getPropertyValue(name).trim();
    this.colours = Object.fromEntries(
      ["card", "ink", "grey", "bar", "beat", "given", "primer", "cursor", "edge", "page", "lane"].map((name) => [name, value(`--${name}`)]),
    );
    this.hue = this.hues.map((element) => getComputedStyle(element).color);
  }

  // ---- geometry ----

  get width() {
    return this.scroller.clientWidth;
  }

  get height() {
    return this.scroller.clientHeight;
  }

  get gutter() {
    return this.open === null ? 0 : KEYS;
  }

  laneHeight() {
    const tracks = this.score?.tracks.length || 1;
    if (this.open !== null) return Math.max(LEAST_LANE, this.height - RULER - 1);
    return Math.max(LEAST_LANE, Math.min(220, Math.floor((this.height - RULER - 2) / tracks)));
  }

  x(tick) {
    return this.gutter + PAD + (tick / this.score.tpq) * this.zoom - this.scroller.scrollLeft;
  }

  tickAt(x) {
    return ((x - this.gutter - PAD + this.scroller.scrollLeft) / this.zoom) * this.score.tpq;
  }

  laneTop(index) {
    if (this.open !== null) return index === this.open ? RULER : -1e4;
    return RULER + index * this.laneHeight() - this.scroller.scrollTop;
  }

  laneAt(y) {
    if (this.open !== null) return this.open;
    const index = Math.floor((y - RULER + this.scroller.scrollTop) / this.laneHeight());
    return Math.max(0, Math.min(this.score.tracks.length - 1, index));
  }

  rows(index) {
    const track = this.score.tracks[index];
    if (track.drums) {
      const used = [...new Set(track.notes.map((note) => note[2]))].sort((a, b) => a - b);
      const pitches = this.open === index ? [...new Set([36, 38, 42, 46, 49, ...used])].sort((a, b) => a - b) : used;
      return { of: (pitch) => pitches.indexOf(pitch), count: Math.max(4, pitches.length), pitches };
    }
    let [low, high] = this.score.range(index);
    if (this.open === index) {
      low = Math.max(0, low - 7);
      high = Math.min(127, high + 7);
    }
    return { of: (pitch) => pitch - low, count: high - low + 1, low };
  }

  rowGeometry(index) {
    const rows = this.rows(index);
    const inset = this.open === index ? 2 : 8;
    const tall = this.laneHeight() - (this.open === index ? STALKS : 0);
    const size = (tall - 2 * inset) / rows.count;
    const bottom = this.laneTop(index) + tall - inset;
    return { rows, size, y: (pitch) => bottom - (rows.of(pitch) + 1) * size };
  }

  pitchAt(y) {
    const { rows, size } = this.rowGeometry(this.open);
    const row = Math.floor((this.laneTop(this.open) + this.laneHeight() - STALKS - 2 - y) / size);
    if (rows.pitches) return rows.pitches[Math.max(0, Math.min(rows.pitches.length - 1, row))];
    return Math.max(0, Math.min(127, rows.low + row));
  }

  noteAt(x, y) {
    if (this.open === null) return null;
    const { size, y: top } = this.rowGeometry(this.open);
    const notes = this.score.tracks[this.open].notes;
    for (let index = notes.length - 1; index >= 0; index -= 1) {
      const [onset, duration, pitch] = notes[index];
      const left = this.x(onset);
      const right = Math.max(left + 6, this.x(onset + this.shown(duration)));
      if (x >= left - 1 && x <= right + 3 && y >= top(pitch) && y <= top(pitch) + size)
        return { index, note: notes[index], edge: x > right - 6 && right - left > 12 };
    }
    return null;
  }

  shown(duration) {
    return this.score.tracks[this.open ?? 0]?.drums ? Math.min(duration, this.score.tpq / 4) : duration;
  }

  // ---- what is shown ----

  set(score, keep = true) {
    const grew = this.score && score && score.end !== this.score.end;
    this.score = score;
    if (!score) return this.draw();
    if (this.open !== null && this.open >= score.tracks.length) this.open = null;
    this.lane = Math.min(this.lane, Math.max(0, score.tracks.length - 1));
    if (this.selection) {
      const { from, to, tracks } = this.selection;
      const left = new Set([...tracks].filter((track) => track < score.tracks.length));
      this.selection = from < score.barCount && left.size ? { from, to: Math.min(to, score.barCount), tracks: left } : null;
    }
    if (!keep) this.fit();
    else if (grew) this.resize();
    return this.draw();
  }

  leaving(notes) {
    this.gone = { notes, time: performance.now() };
  }

  resize() {
    if (!this.score) return;
    const scale = devicePixelRatio || 1;
    for (const canvas of [this.paper, this.light]) {
      canvas.width = Math.round(this.width * scale);
      canvas.height = Math.round(this.height * scale);
      canvas.style.width = `${this.width}px`;
      canvas.style.height = `${this.height}px`;
    }
    const lanes = this.open === null ? this.score.tracks.length * this.laneHeight() : this.laneHeight();
    const wide = this.gutter + 2 * PAD + (this.score.end / this.score.tpq) * this.zoom + 40;
    this.space.style.width = `${Math.max(this.width, wide)}px`;
    this.space.style.height = `${Math.max(this.height, RULER + lanes)}px`;
    this.draw();
  }

  fit() {
    if (!this.score) return;
    const room = this.width - this.gutter - 2 * PAD - 20;
    this.zoom = Math.max(3, Math.min(90, room / Math.max(1, this.score.end / this.score.tpq)));
    this.scroller.scrollLeft = 0;
    this.resize();
  }

  zoomBy(factor, x = this.width / 2) {
    const tick = this.tickAt(x);
    this.zoom = Math.max(2, Math.min(400, this.zoom * factor));
    this.resize();
    this.scroller.scrollLeft += this.x(tick) - x;
  }

  reveal(tick, always = false) {
    const x = this.x(tick);
    if (x < this.gutter + 4 || x > this.width - 60 || always)
      this.scroller.scrollTo({ left: this.scroller.scrollLeft + x - this.gutter - 80, behavior: calm() ? "auto" : "smooth" });
  }

  revealBars(from, to) {
    const left = this.x(this.score.bars[from]);
    const right = this.x(this.score.bars[Math.min(to, this.score.barCount)]);
    if (left < 0 || right > this.width) this.reveal(this.score.bars[from], true);
  }

  // ---- paper and light ----

  draw() {
    if (this.queued) return;
    this.queued = true;
    requestAnimationFrame(() => {
      this.queued = false;
      paintPaper(this);
    });
  }

  pen(canvas) {
    const pen = canvas.getContext("2d");
    const scale = devicePixelRatio || 1;
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, this.width, this.height);
    return pen;
  }

  fresh() {
    return this.marks ? this.score.newPart() : null;
  }

  within(notes, first, last) {
    const from = this.score.bars[first] - 16 * this.score.tpq;
    const to = this.score.bars[last];
    let low = 0;
    let high = notes.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (notes[middle][0] < from) low = middle + 1;
      else high = middle;
    }
    const found = [];
    for (let index = low; index < notes.length && notes[index][0] <= to; index += 1) found.push(notes[index]);
    return found;
  }

  shine(tick, playing) {
    paintLight(this, tick, playing);
  }
}

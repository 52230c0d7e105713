// Notes by hand in an open lane: draw, move, lengthen, delete, louder and softer. What a hand does is one edit a gesture.

import { loudnessAt, stalkAt, velocityStrip } from "./stalks.js";

const GRID = 4; // parts of a quarter

export class Hand {
  constructor(roll, commit) {
    Object.assign(this, { roll, commit }); // commit({track, remove: notes, add: notes}, what was done)
    this.pending = null; // moves by keys, until they rest
  }

  get track() {
    return this.roll.open;
  }

  snap(tick, free = false) {
    const step = this.roll.score.tpq / GRID;
    return free ? Math.round(tick) : Math.round(tick / step) * step;
  }

  // ---- pointer ----

  down(x, y, event) {
    this.flush();
    const { chosen } = this.roll;
    if (y >= velocityStrip(this.roll).top) return this.grasp(x, y, event);
    const hit = this.roll.noteAt(x, y);
    if (hit) {
      if (event.shiftKey) chosen.has(hit.note) ? chosen.delete(hit.note) : chosen.add(hit.note);
      else if (!chosen.has(hit.note)) this.roll.chosen = new Set([hit.note]);
      return { kind: hit.edge ? "lengthen" : "move", x, y, pitch: this.roll.pitchAt(y) };
    }
    if (!event.shiftKey) this.roll.chosen = new Set();
    return { kind: "box", x, y };
  }

  // A stalk of the velocity strip: the notes of its onset, or all chosen ones where it belongs to these.
  grasp(x, y, event) {
    const { roll } = this;
    const notes = stalkAt(roll, x);
    if (!notes.some((note) => roll.chosen.has(note))) roll.chosen = new Set(event.shiftKey ? [...roll.chosen, ...notes] : notes);
    return { kind: notes.length ? "velocity" : "none", x, y, velocity: notes[0]?.[3] };
  }

  moved(gesture, x, y, event) {
    const { roll } = this;
    if (gesture.kind === "none") return;
    if (gesture.kind === "velocity") {
      const louder = loudnessAt(roll, y) - gesture.velocity;
      roll.ghost = [...roll.chosen].map(([onset, duration, pitch, velocity]) => [onset, duration, pitch, Math.max(1, Math.min(127, velocity + louder))]);
    } else if (gesture.kind === "box") {
      const [left, right] = [roll.tickAt(Math.min(gesture.x, x)), roll.tickAt(Math.max(gesture.x, x))];
      const [low, high] = [roll.pitchAt(Math.max(gesture.y, y)), roll.pitchAt(Math.min(gesture.y, y))];
      roll.chosen = new Set(roll.score.tracks[this.track].notes.filter(([onset, duration, pitch]) => onset + duration > left && onset < right && pitch >= low && pitch <= high));
    } else {
      const ticks = this.snap(roll.tickAt(x) - roll.tickAt(gesture.x), event.altKey);
      const pitches = roll.pitchAt(y) - gesture.pitch;
      roll.ghost = [...roll.chosen].map((note) => this.changed(note, gesture.kind, ticks, pitches));
    }
    roll.draw();
  }

  changed([onset, duration, pitch, velocity], kind, ticks, pitches) {
    if (kind === "lengthen") return [onset, Math.max(this.roll.score.tpq / 8, duration + ticks), pitch, velocity];
    return [Math.max(0, onset + ticks), duration, Math.max(0, Math.min(127, pitch + pitches)), velocity];
  }

  up(gesture) {
    const { roll } = this;
    const { ghost } = roll;
    roll.ghost = null;
    if (!ghost) return;
    const before = [...roll.chosen];
    if (ghost.some((note, index) => note.some((value, part) => value !== before[index][part])))
      this.put(before, ghost, { lengthen: "length", velocity: "velocity" }[gesture.kind] ?? "moved");
  }

  double(x, y) {
    const { roll } = this;
    if (y >= velocityStrip(roll).top) return undefined;
    const hit = roll.noteAt(x, y);
    if (hit) return this.put([hit.note], [], "deleted");
    const step = roll.score.tpq / GRID;
    const onset = Math.max(0, Math.floor(roll.tickAt(x) / step) * step);
    const note = [onset, roll.score.tracks[this.track].drums ? step : roll.score.tpq / 2, roll.pitchAt(y), 90];
    return this.put([], [note], "added");
  }

  // ---- keys ----

  key(event) {
    const { roll } = this;
    const chosen = [...roll.chosen];
    const { key } = event;
    if (key === "Delete" || key === "Backspace") {
      if (chosen.length) this.put(chosen, [], "deleted");
      return true;
    }
    const step = roll.score.tpq / GRID;
    if (key === "Insert" || key === "n") {
      const tick = this.snap(roll.cursor ?? 0);
      const near = roll.score.tracks[this.track].notes.findLast((note) => note[0] <= tick) ?? [0, 0, 60];
      this.put([], [[tick, roll.score.tpq / 2, near[2], 90]], "added");
      return true;
    }
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    if (!(key in moves) || !chosen.length) return false;
    const [ticks, pitches] = moves[key];
    const kind = event.shiftKey && ticks ? "lengthen" : "move";
    const octave = event.shiftKey && pitches ? 12 : 1;
    const louder = event.altKey && pitches ? 8 * pitches : 0;
    this.pending ??= { before: chosen };
    const now = (this.pending.now ?? chosen).map((note) =>
      louder ? [note[0], note[1], note[2], Math.max(1, Math.min(127, note[3] + louder))] : this.changed(note, kind, ticks, pitches * octave),
    );
    this.pending.now = now;
    this.pending.did = louder ? "velocity" : kind === "lengthen" ? "length" : "moved";
    roll.ghost = now;
    roll.draw();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.flush(), 500);
    return true;
  }

  flush() {
    clearTimeout(this.timer);
    const { pending } = this;
    this.pending = null;
    this.roll.ghost = null;
    if (pending?.now) this.put(pending.before, pending.now, pending.did);
  }

  put(remove, add, did) {
    const { roll } = this;
    const track = this.track;
    const notes = roll.score.tracks[track].notes;
    roll.score.tracks[track].notes = [...notes.filter((note) => !remove.includes(note)), ...add].sort((a, b) => a[0] - b[0]);
    roll.chosen = new Set(add);
    roll.draw();
    const count = Math.max(remove.length, add.length);
    this.commit({ track, remove, add }, `${count} note${count > 1 ? "s" : ""} ${did}`);
  }
}

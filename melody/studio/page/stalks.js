// The velocity strip below the notes of an open lane: a stalk a note, as high as it is loud.

import { RULER } from "./paint.js";
import { colourOf } from "./score.js";

export const STALKS = 76; // pixels of the strip
const PAD = 10;
const NEAR = 7;

export function velocityStrip(roll) {
  const bottom = RULER + roll.laneHeight();
  return { top: bottom - STALKS, bottom: bottom - PAD, tall: STALKS - 2 * PAD };
}

export function loudnessAt(roll, y) {
  const { bottom, tall } = velocityStrip(roll);
  return Math.max(1, Math.min(127, Math.round((127 * (bottom - y)) / tall)));
}

// The notes of the onset that is nearest to a place.
export function stalkAt(roll, x) {
  const { notes } = roll.score.tracks[roll.open];
  const far = (note) => Math.abs(roll.x(note[0]) - x);
  const nearest = notes.reduce((best, note) => (!best || far(note) < far(best) ? note : best), null);
  return nearest && far(nearest) <= NEAR ? notes.filter((note) => note[0] === nearest[0]) : [];
}

export function paintStalks(roll, pen, notes) {
  const { top, bottom, tall } = velocityStrip(roll);
  pen.fillStyle = roll.colours.card;
  pen.fillRect(0, top, roll.width, STALKS);
  pen.fillStyle = roll.colours.edge;
  pen.fillRect(0, top, roll.width, 1);
  const changed = roll.ghost ? [...roll.chosen] : [];
  for (const note of notes) {
    const [onset, , , velocity] = changed.includes(note) ? roll.ghost[changed.indexOf(note)] : note;
    const x = roll.x(onset);
    const y = bottom - (tall * velocity) / 127;
    pen.fillStyle = roll.chosen.has(note) ? roll.colours.ink : roll.hue[colourOf(roll.score.tracks[roll.open])];
    pen.fillRect(x, y, 2, bottom - y);
    pen.beginPath();
    pen.arc(x + 1, y, 4, 0, 7);
    pen.fill();
  }
}

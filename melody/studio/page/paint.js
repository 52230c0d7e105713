// What is drawn on the roll: lanes with their notes, the ruler, the selection; and, over it, what moves while music plays.

import { calm } from "./dom.js";
import { born, colourOf } from "./score.js";
import { paintStalks } from "./stalks.js";

export const RULER = 44; // pixels
export const KEYS = 46; // the keyboard beside an open lane
const LEAST_NOTE = 2.2;
const BLACK = new Set([1, 3, 6, 8, 10]);
const APPEAR = 320; // ms

export function paintPaper(roll) {
  const pen = roll.pen(roll.paper);
  if (!roll.score) return;
  roll.young = false;
  const first = Math.max(0, roll.score.barAt(roll.tickAt(0)));
  const last = Math.min(roll.score.barCount, roll.score.barAt(roll.tickAt(roll.width)) + 1);
  roll.score.tracks.forEach((_, index) => paintLane(roll, pen, index, first, last));
  paintSelection(roll, pen);
  paintRuler(roll, pen, first, last);
  if (roll.open !== null) paintKeys(roll, pen);
  if (roll.young) roll.draw();
}

function paintLane(roll, pen, index, first, last) {
  const top = roll.laneTop(index);
  const height = roll.laneHeight();
  if (top > roll.height || top + height < RULER) return;
  pen.save();
  pen.beginPath();
  pen.rect(roll.gutter, Math.max(top, RULER), roll.width, height);
  pen.clip();
  pen.fillStyle = roll.colours.card;
  const end = roll.x(roll.score.end);
  pen.fillRect(roll.x(0), top, end - roll.x(0), height);
  const fresh = roll.fresh();
  if (fresh && (!fresh[2] || fresh[2].has(index))) {
    pen.fillStyle = roll.colours.given;
    pen.fillRect(roll.x(fresh[0]), top, roll.x(fresh[1]) - roll.x(fresh[0]), height);
  }
  if (roll.open === index) paintRows(roll, pen, index);
  paintLines(roll, pen, top, height, first, last);
  if (roll.open !== null) paintGhosts(roll, pen, index, first, last);
  paintNotes(roll, pen, index, first, last);
  pen.restore();
  pen.fillStyle = roll.colours.edge;
  pen.fillRect(0, top + height - 1, roll.width, 1);
}

function paintRows(roll, pen, index) {
  const { rows, size, y } = roll.rowGeometry(index);
  const pitches = rows.pitches ?? Array.from({ length: rows.count }, (_, row) => rows.low + row);
  pitches.forEach((pitch, row) => {
    const dark = rows.pitches ? row % 2 === 1 : BLACK.has(pitch % 12);
    if (!dark) return;
    pen.fillStyle = roll.colours.lane;
    pen.fillRect(roll.x(0), y(pitch), roll.x(roll.score.end) - roll.x(0), size);
  });
}

function paintLines(roll, pen, top, height, first, last) {
  const { bars, tpq } = roll.score;
  for (let bar = first; bar <= last; bar += 1) {
    const wide = ((bars[bar + 1] ?? bars[bar] + 4 * tpq) - bars[bar]) * (roll.zoom / tpq);
    if (bar < last && roll.zoom > 16) {
      const { ticks } = roll.score.beatOf(bar);
      pen.fillStyle = roll.colours.beat;
      const fine = roll.open !== null && roll.zoom > 60 ? ticks / 4 : ticks;
      for (let tick = bars[bar] + fine; tick < bars[bar + 1] - 1; tick += fine) {
        pen.globalAlpha = (tick - bars[bar]) % ticks < 1 ? 1 : 0.45;
        pen.fillRect(Math.round(roll.x(tick)), top, 1, height);
      }
      pen.globalAlpha = 1;
    }
    const strong = wide > 9 || bar % 4 === 0;
    if (!strong) continue;
    pen.fillStyle = roll.colours.bar;
    pen.globalAlpha = 0.55;
    pen.fillRect(Math.round(roll.x(bars[bar])), top, 1, height);
    pen.globalAlpha = 1;
  }
}

function paintGhosts(roll, pen, index, first, last) {
  const { y, size, rows } = roll.rowGeometry(index);
  if (rows.pitches) return;
  pen.globalAlpha = 0.13;
  roll.score.tracks.forEach((track, other) => {
    if (other === index || track.drums) return;
    pen.fillStyle = roll.hue[colourOf(track)];
    for (const [onset, duration, pitch] of roll.within(track.notes, first, last))
      pen.fillRect(roll.x(onset), y(pitch), Math.max(2, (duration / roll.score.tpq) * roll.zoom), size);
  });
  pen.globalAlpha = 1;
}

function paintNotes(roll, pen, index, first, last) {
  const track = roll.score.tracks[index];
  const { size, y } = roll.rowGeometry(index);
  const tall = Math.max(LEAST_NOTE, Math.min(size - (size > 5 ? 1 : 0), roll.open === null ? 11 : 26));
  const lower = (size - tall) / 2;
  const muted = roll.dim(track);
  const hand = roll.open === null ? null : new Set(roll.score.hand?.filter((n) => n[0] === index).map((n) => `${n[1]},${n[3]}`));
  pen.fillStyle = roll.hue[colourOf(track)];
  const time = performance.now();
  for (const note of roll.within(track.notes, first, last)) {
    const [onset, duration, pitch, velocity] = note;
    const left = roll.x(onset);
    const length = track.drums ? Math.min(duration, roll.score.tpq / 4) : duration;
    const wide = Math.max(2.4, (length / roll.score.tpq) * roll.zoom - 1);
    let alpha = muted ? 0.16 : 0.42 + 0.58 * (velocity / 127);
    let drop = 0;
    const share = (time - (born.get(note) ?? -APPEAR)) / APPEAR;
    if (share < 1 && !calm()) {
      alpha *= share;
      drop = (1 - share) ** 2 * 10;
      roll.young = true;
    }
    pen.globalAlpha = alpha;
    pen.beginPath();
    pen.roundRect(left, y(pitch) + lower + drop, wide, tall, Math.min(2.5, tall / 2));
    pen.fill();
    if (roll.open !== index) continue;
    pen.globalAlpha = 1;
    if (roll.chosen.has(note) || hand.has(`${onset},${pitch}`)) {
      pen.strokeStyle = roll.chosen.has(note) ? roll.colours.ink : roll.colours.primer;
      pen.lineWidth = roll.chosen.has(note) ? 2 : 1.4;
      pen.stroke();
    }
  }
  pen.globalAlpha = 1;
  paintGone(roll, pen, index, time, (pitch) => y(pitch) + lower, tall);
  if (roll.ghost && roll.open === index) paintGhost(roll, pen, y, lower, tall);
  if (roll.open === index) paintStalks(roll, pen, roll.within(track.notes, first, last));
}

function paintGone(roll, pen, index, time, top, tall) {
  const share = (time - roll.gone.time) / APPEAR;
  if (share >= 1 || calm()) return;
  pen.globalAlpha = 0.5 * (1 - share) ** 2;
  for (const [onset, duration, pitch] of roll.gone.notes.get(index) ?? [])
    pen.fillRect(roll.x(onset), top(pitch) - 12 * share, Math.max(2.4, (duration / roll.score.tpq) * roll.zoom - 1), tall);
  pen.globalAlpha = 1;
  roll.young = true;
}

function paintGhost(roll, pen, y, lower, tall) {
  for (const [onset, duration, pitch] of roll.ghost) {
    pen.beginPath();
    pen.roundRect(roll.x(onset), y(pitch) + lower, Math.max(3, (duration / roll.score.tpq) * roll.zoom - 1), tall, 2.5);
    pen.strokeStyle = roll.colours.ink;
    pen.lineWidth = 1.6;
    pen.stroke();
  }
}

function paintSelection(roll, pen) {
  if (!roll.selection || roll.open !== null) return;
  const { from, to, tracks } = roll.selection;
  const left = roll.x(roll.score.bars[from]);
  const wide = roll.x(roll.score.bars[to]) - left;
  const height = roll.laneHeight();
  pen.save();
  pen.beginPath();
  pen.rect(0, RULER, roll.width, roll.height);
  pen.clip();
  const rows = [...tracks].sort((a, b) => a - b);
  let at = 0;
  while (at < rows.length) {
    let end = at;
    while (rows[end + 1] === rows[end] + 1) end += 1;
    const top = roll.laneTop(rows[at]);
    pen.beginPath();
    pen.roundRect(left + 0.5, top + 2, wide - 1, (end - at + 1) * height - 5, 7);
    pen.fillStyle = roll.colours.cursor;
    pen.globalAlpha = 0.09;
    pen.fill();
    pen.globalAlpha = 1;
    pen.strokeStyle = roll.colours.cursor;
    pen.lineWidth = 2;
    pen.stroke();
    at = end + 1;
  }
  pen.restore();
}

function paintRuler(roll, pen, first, last) {
  const { bars, chords, meters, sections } = roll.score;
  pen.fillStyle = roll.colours.page;
  pen.fillRect(0, 0, roll.width, RULER);
  if (roll.selection && roll.open === null) {
    const left = roll.x(bars[roll.selection.from]);
    pen.fillStyle = roll.colours.cursor;
    pen.globalAlpha = 0.16;
    pen.fillRect(left, 0, roll.x(bars[roll.selection.to]) - left, RULER);
    pen.globalAlpha = 1;
  }
  pen.textBaseline = "alphabetic";
  const barWide = ((bars[1] ?? 1) / roll.score.tpq) * roll.zoom;
  const every = barWide > 26 ? 1 : barWide > 13 ? 2 : barWide > 6 ? 4 : 8;
  paintSections(roll, pen, sections ?? roll.score.take?.sections ?? [], last);
  for (let bar = first; bar < last; bar += 1) {
    const x = roll.x(bars[bar]);
    if (bar % every) continue;
    pen.fillStyle = roll.colours.grey;
    pen.font = "500 11px system-ui, sans-serif";
    pen.fillText(String(bar + 1), x + 4, 17);
  }
  pen.font = "600 11px system-ui, sans-serif";
  let free = -1e9;
  for (const [tick, numerator, denominator] of meters.slice(1)) {
    pen.fillStyle = roll.colours.ink;
    pen.fillText(`${numerator}/${denominator}`, roll.x(tick) + 24, 17);
  }
  for (const [tick, name] of chords ?? []) {
    const x = roll.x(tick) + 4;
    if (x < free || x > roll.width) continue;
    pen.fillStyle = roll.colours.ink;
    pen.globalAlpha = 0.75;
    pen.fillText(name, x, 35);
    pen.globalAlpha = 1;
    free = x + pen.measureText(name).width + 7;
  }
  const fresh = roll.fresh();
  if (fresh) {
    pen.fillStyle = roll.colours.primer;
    pen.fillRect(roll.x(fresh[0]), RULER - 4, roll.x(fresh[1]) - roll.x(fresh[0]), 3);
  }
  pen.fillStyle = roll.colours.edge;
  pen.fillRect(0, RULER - 1, roll.width, 1);
}

// The form: a section as long as its bars, of the same colour wherever its letter returns; the letter stays in sight.
function paintSections(roll, pen, sections, last) {
  const { bars, barCount } = roll.score;
  const names = [...new Set(sections.map(([, letter]) => letter))];
  for (const [index, [bar, letter]] of sections.entries()) {
    if (bar > last) break;
    const left = roll.x(bars[bar]);
    const right = roll.x(bars[Math.min(barCount, sections[index + 1]?.[0] ?? barCount)]) - 3;
    pen.fillStyle = roll.hue[names.indexOf(letter) % roll.hue.length];
    pen.globalAlpha = 0.2;
    pen.beginPath();
    pen.roundRect(left + 1, 4, right - left, 18, 5);
    pen.fill();
    pen.globalAlpha = 1;
    const line = roll.x(bars[roll.score.barAt(roll.tickAt(roll.gutter)) + 1]); // the first bar line in sight
    const edge = line < roll.gutter + 22 ? line + 24 : roll.gutter + 8;
    pen.fillStyle = roll.colours.ink;
    pen.font = "700 11px system-ui, sans-serif";
    if (Math.max(left + 24, edge) < right - 8) pen.fillText(letter, left + 24 > roll.gutter ? left + 24 : edge, 17);
  }
}

function paintKeys(roll, pen) {
  const { rows, size, y } = roll.rowGeometry(roll.open);
  const track = roll.score.tracks[roll.open];
  pen.fillStyle = roll.colours.page;
  pen.fillRect(0, RULER, KEYS, roll.height);
  pen.font = `${Math.min(11, Math.max(8, size))}px system-ui, sans-serif`;
  const pitches = rows.pitches ?? Array.from({ length: rows.count }, (_, row) => rows.low + row);
  pen.fillStyle = roll.colours.grey;
  pen.fillText("loud", 6, RULER + roll.laneHeight() - 12);
  for (const pitch of pitches) {
    const top = y(pitch);
    if (!rows.pitches) {
      pen.fillStyle = BLACK.has(pitch % 12) ? roll.colours.ink : roll.colours.card;
      pen.globalAlpha = BLACK.has(pitch % 12) ? 0.8 : 1;
      pen.fillRect(0, top, BLACK.has(pitch % 12) ? KEYS - 16 : KEYS - 4, size - 0.6);
      pen.globalAlpha = 1;
    }
    if (rows.pitches || pitch % 12 === 0) {
      pen.fillStyle = roll.colours.grey;
      const name = rows.pitches ? (track.drum_names?.[pitch] ?? String(pitch)) : `C${pitch / 12 - 1}`;
      pen.fillText(name, rows.pitches ? 2 : KEYS - 24, top + size / 2 + 4, KEYS - 4);
    }
  }
}

export function paintLight(roll, tick, playing) {
  const pen = roll.pen(roll.light);
  if (!roll.score) return;
  if (playing) paintSounding(roll, pen, tick);
  const x = Math.round(roll.x(tick));
  if (x >= roll.gutter && x <= roll.width) {
    pen.fillStyle = roll.colours.cursor;
    pen.fillRect(x - 1, RULER - 14, 2, roll.height);
    pen.beginPath();
    pen.moveTo(x - 6, RULER - 16);
    pen.lineTo(x + 6, RULER - 16);
    pen.lineTo(x, RULER - 7);
    pen.fill();
  }
  if (roll.focused && roll.open === null && roll.score.tracks.length) {
    pen.strokeStyle = roll.colours.ink;
    pen.globalAlpha = 0.5;
    pen.lineWidth = 1.5;
    const bar = roll.score.barAt(tick + 1);
    const left = roll.x(roll.score.bars[bar]);
    pen.strokeRect(left + 3, roll.laneTop(roll.lane) + 4, roll.x(roll.score.bars[bar + 1]) - left - 6, roll.laneHeight() - 9);
    pen.globalAlpha = 1;
  }
}

function paintSounding(roll, pen, tick) {
  const bar = roll.score.barAt(tick);
  pen.save();
  pen.beginPath();
  pen.rect(roll.gutter, RULER, roll.width, roll.height);
  pen.clip();
  roll.score.tracks.forEach((track, index) => {
    if (roll.dim(track) || (roll.open !== null && roll.open !== index)) return;
    const { size, y } = roll.rowGeometry(index);
    const tall = Math.max(LEAST_NOTE, Math.min(size - (size > 5 ? 1 : 0), roll.open === null ? 11 : 26)) + 2;
    pen.fillStyle = roll.hue[colourOf(track)];
    for (const [onset, duration, pitch] of roll.within(track.notes, bar, Math.min(bar + 1, roll.score.barCount))) {
      const length = track.drums ? Math.max(roll.score.tpq / 4, Math.min(duration, roll.score.tpq / 2)) : duration;
      if (onset > tick || onset + length <= tick) continue;
      const share = 1 - (tick - onset) / length;
      pen.shadowColor = pen.fillStyle;
      pen.shadowBlur = 4 + 10 * share;
      pen.beginPath();
      const wide = Math.max(3, ((track.drums ? roll.score.tpq / 4 : duration) / roll.score.tpq) * roll.zoom);
      pen.roundRect(roll.x(onset) - 1, y(pitch) + (size - tall) / 2, wide + 1, tall, 3);
      pen.fill();
    }
  });
  pen.restore();
}

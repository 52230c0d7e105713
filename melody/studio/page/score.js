// A score as the server shows it, with its time: ticks, seconds, bars.

import { along } from "./voices.js";

const colours = new Map(); // a track keeps its colour in all states of a session, by its name

export function colourOf(track) {
  const key = `${track.drums ? "drums" : ""}|${track.name}`;
  if (!colours.has(key)) colours.set(key, colours.size % 8);
  return colours.get(key);
}

export const born = new WeakMap(); // notes that have just come, with the time at which they did

// Mark what is new in a score beside another one; return what is no longer there, by track.
export function changes(before, after) {
  const gone = new Map();
  if (before?.tpq !== after.tpq) return gone;
  for (const [index, track] of after.tracks.entries()) {
    const old = before.tracks.find((one) => one.name === track.name)?.notes ?? [];
    const key = (note) => note.slice(0, 3).join();
    const [was, is] = [new Set(old.map(key)), new Set(track.notes.map(key))];
    for (const note of track.notes) if (!was.has(key(note))) born.set(note, performance.now());
    gone.set(index, old.filter((note) => !is.has(key(note))));
  }
  return gone;
}

export class Score {
  constructor(view) {
    Object.assign(this, view);
    const [tick, qpm, second] = this.tempos.at(-1);
    this.times = [...this.tempos, [tick + this.tpq, qpm, second + 60 / qpm]]; // the last tempo goes on
    for (const track of this.tracks) track.notes.sort((a, b) => a[0] - b[0] || a[2] - b[2]);
  }

  get end() {
    return this.bars[this.bars.length - 1];
  }

  get barCount() {
    return this.bars.length - 1;
  }

  get seconds() {
    return this.secondAt(this.end);
  }

  secondAt(tick) {
    return along(this.times, tick, 0, 2);
  }

  tickAt(second) {
    return along(this.times, second, 2, 0);
  }

  barAt(tick) {
    let low = 0;
    let high = this.bars.length - 1;
    while (low < high - 1) {
      const middle = (low + high) >> 1;
      if (this.bars[middle] <= tick) low = middle;
      else high = middle;
    }
    return low;
  }

  // Quarters of the meter's beats within a bar.
  beatOf(bar) {
    let meter = this.meters[0];
    for (const next of this.meters) if (next[0] <= this.bars[bar]) meter = next;
    const [, numerator, denominator] = meter;
    const three = denominator >= 8 && numerator % 3 === 0 && numerator > 3;
    return { ticks: ((4 * this.tpq) / denominator) * (three ? 3 : 1), meter: `${numerator}/${denominator}` };
  }

  tempoAt(tick) {
    return this.tempos.filter(([at]) => at <= tick).at(-1)?.[1] ?? this.tempos[0][1];
  }

  // What is new in a take: from, to (ticks), and its tracks; null where these are all.
  newPart() {
    if (this.fresh || !this.take) return this.fresh ?? null;
    const { first_new_tick: first, resumes_tick: resumes, settings } = this.take;
    const scale = this.tpq / (this.take.tpq ?? this.tpq);
    const tracks = newTracks(this.tracks, settings, this.tracks.length - (settings.add?.length ?? 0));
    return [first * scale, resumes === null ? this.end : resumes * scale, tracks];
  }

  range(index) {
    const pitches = this.tracks[index].notes.map((note) => note[2]);
    if (!pitches.length) return [55, 72];
    const low = pitches.reduce((a, b) => Math.min(a, b));
    const high = pitches.reduce((a, b) => Math.max(a, b));
    const missing = Math.max(0, 11 - (high - low));
    return [low - Math.floor(missing / 2), high + Math.ceil(missing / 2)];
  }
}

// The tracks in which settings put new notes, by index; null: all. Added ones are numbered from `added` on.
function newTracks(tracks, settings, added) {
  const index = (name) => (/^\d+$/.test(name) ? Number(name) - 1 : tracks.findIndex((track) => track.name === name));
  if (settings.tracks?.length) return new Set(settings.tracks.map(index));
  const all = tracks.map((_, track) => track);
  if (settings.add?.length) return new Set(all.filter((track) => track >= added));
  if (!settings.with_tracks?.length) return null;
  const stay = new Set(settings.with_tracks.map(index));
  return new Set(all.filter((track) => !stay.has(track)));
}

// A take while it grows: what was there stays, bars are added or emptied, notes come in.
export function growing(base, model, asked) {
  const tpq = base?.tpq ?? 480;
  const bars = base ? base.bars.slice() : [0];
  const last = bars.length > 1 ? bars.at(-1) - bars.at(-2) : 4 * tpq;
  const fill = asked.settings.fill;
  const until = asked.until ?? bars.length - 1;
  if (!fill) {
    bars.length = until + 1;
    const more = asked.settings.with_tracks || asked.settings.add?.length ? 0 : (asked.settings.bars ?? 8);
    for (let bar = 0; bar < more; bar += 1) bars.push(bars.at(-1) + last);
  }
  const stop = bars[until] ?? bars.at(-1);
  const names = base ? base.tracks : model.tracks.map((track) => ({ ...track, instrument: track.name, notes: [] }));
  const chosen = new Set(asked.settings.tracks ?? []);
  const tracks = names.map((track, index) => ({
    ...track,
    notes: track.notes.filter((note) => {
      if (!fill) return note[0] < stop;
      const inside = note[0] >= bars[fill[0] - 1] && note[0] < bars[fill[1]];
      return !inside || (chosen.size > 0 && !chosen.has(String(index + 1)));
    }),
  }));
  const tempos = base ? base.tempos : [[0, model.tempo_qpm, 0]];
  const around = asked.settings.with_tracks ?? asked.settings.add;
  const given = tracks.length;
  for (const part of asked.settings.add ?? [])
    tracks.push({ name: part.replace(/^./, (letter) => letter.toUpperCase()), instrument: part, drums: part.startsWith("drums"), notes: [] });
  const from = fill ? bars[fill[0] - 1] : around ? 0 : stop;
  const to = fill ? bars[fill[1]] : bars.at(-1);
  const known = base ?? { meters: [[0, 4, 4]], keys: [], key: "", markers: [], chords: [], name: "", hand: [] };
  return new Score({ ...known, id: null, tpq, bars, tracks, tempos, fresh: [from, to, newTracks(tracks, asked.settings, given)] });
}

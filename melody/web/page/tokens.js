// From tokens to a score as the piano roll shows it: `melody.tokens.events` in short, for notes, meters and tempos.

import { Score } from "./score.js";

const TPQ = 24; // ticks of a quarter

export function scoreOf(ids, given) {
  const { kinds, meters, tempos, velocities, tracks } = given.vocabulary;
  const score = { tpq: TPQ, name: given.name, bars: [], tempos: [], meters: [], keys: [], chords: [], tracks: [], id: null, hand: [] };
  let [bar, tick, track, pitch, length, barTicks, start] = [-1, 0, 0, 0, 0, 4 * TPQ, 0];
  const velocity = [];
  for (const token of ids) {
    const kind = kinds.findLastIndex(([, first]) => first <= token);
    const [name, first] = kinds[kind];
    const value = token - first;
    if (name === "Bar") {
      start += bar >= 0 ? barTicks : 0;
      bar += 1;
      tick = start;
      score.bars.push(start);
    } else if (name === "TimeSignature") {
      barTicks = (4 * TPQ * meters[value][0]) / meters[value][1];
      score.meters.push([start, ...meters[value]]);
    } else if (name === "Tempo") addTempo(score, tick, tempos[value]);
    else if (name === "Position") tick = start + value;
    else if (name === "Track" && bar >= 0) track = value;
    else if (name === "Program") score.tracks.push(trackOf(tracks[score.tracks.length], value));
    else if (name === "Velocity") velocity[track] = velocities[value];
    else if (name === "Pitch" || name === "Drum") [pitch, length] = [value, 0];
    else if (name === "Sustain") length += given.vocabulary.sustain;
    else if (name === "Duration") score.tracks[track].notes.push([tick, length + value + 1, pitch, velocity[track] ?? 90]);
  }
  score.bars.push(start + barTicks);
  if (!score.meters.length) score.meters.push([0, 4, 4]);
  if (!score.tempos.length) addTempo(score, 0, given.tempo_qpm);
  return new Score(score);
}

function trackOf(known, program) {
  const drums = program === 128;
  return { name: known?.name ?? "Track", program: drums ? 0 : program, drums, notes: [], instrument: known?.name ?? "" };
}

function addTempo(score, tick, qpm) {
  const last = score.tempos.at(-1);
  const second = last ? last[2] + ((tick - last[0]) * 60) / (last[1] * TPQ) : 0;
  score.tempos.push([tick, qpm, second]);
}

// The chords of a take from nothing, step by step, drawn as `melody.tokens.harmonist` and `melody.generation.chord_plan`
// draw them: the same LSTM from the same random numbers.

import { product } from "./matrix.js";

const OCTAVE = 12;
const [NOT_YET, MOST_PLACES, MOST_SINCE, MOST_LEFT] = [13, 12, 24, 32];
const LENGTHS = 32; // steps of a phrase, at most
const UNKNOWN = LENGTHS; // steps until the phrase ends
const PHRASE_END = 2; // steps of a phrase's last note
const SOUNDS = 1; // the last note of a phrase sounds
const COLUMNS = 6; // told at each tick
const STREAM = 4; // of random numbers
const MOST_TRIES = 16; // for a plan that closes
const [TONIC, MAJOR, MINOR] = [1, 1, 2]; // root, and kinds

const sigmoid = (x) => 1 / (1 + Math.exp(-Math.min(Math.max(x, -30), 30)));

// A function that draws the chords from a moment on, as a table (ticks, COLUMNS); null for a model that plans no chords.
export function chordsOf(core, { seed, take = 1 }, form) {
  const facts = core.given.harmonist;
  if (!facts) return null;
  const weights = Object.fromEntries(facts.weights.map((name) => [name, core.array(`harmonist_${name}`)]));
  return (moment) => {
    const numbers = core.numbers(seed, take, STREAM);
    const steps = stepsFrom(moment, facts, core.given.vocabulary.meters);
    copy(steps, moment.bar, form, facts);
    const strong = facts.ends_at_home ? strongSteps(steps, core.given.vocabulary.meters[moment.meter]) : [];
    const next = () => core.calls.numbers_next(numbers);
    let best;
    for (let plan = 0; plan < facts.plans; plan += 1) {
      let drawn;
      for (let tries = 0; tries < MOST_TRIES && !(drawn && closes(drawn.steps, strong, moment)); tries += 1) {
        drawn = new Drawing(weights, facts, steps, moment, next).run();
      }
      if (!best || drawn.likely > best.likely) best = drawn;
    }
    return told(best.steps, (moment.key - 1) % OCTAVE, facts.waits);
  };
}

// Steps up to the last bar: tick, bar, place in it and places of it; and the tick at which they end.
function stepsFrom(moment, { halves }, meters) {
  const steps = [];
  const bars = Math.max(1, moment.stop - moment.bar);
  const length = moment.bar_ticks;
  const size = stepOf(length, meters[moment.meter], halves);
  for (let bar = 0; bar < bars; bar += 1) {
    const places = Math.ceil(length / size);
    for (let place = 0; place < places; place += 1) {
      steps.push({ tick: moment.bar_start + bar * length + place * size, bar, place, places, copied: -1 });
    }
  }
  return Object.assign(steps, { end: moment.bar_start + bars * length });
}

// Ticks of a step: a beat (of three eighths in 6/8), or half a bar where it has halves.
function stepOf(length, [numerator, denominator], halves) {
  const beat = Math.floor(96 / denominator) * (denominator >= 8 && numerator % 3 === 0 ? 3 : 1);
  if (!halves) return Math.max(1, beat);
  return length % (2 * beat) === 0 ? length / 2 : length;
}

// The steps of the last bar at which the tonic may close, as `melody.tokens.closing` has them.
function strongSteps(steps, [units]) {
  const { bar, places } = steps.at(-1);
  const strong = units % 4 === 0 && places % 2 === 0 ? [0, places / 2] : [0];
  return steps.flatMap((step, at) => (step.bar === bar && strong.includes(step.place) ? [at] : []));
}

function closes(steps, strong, { key }) {
  if (!strong.length) return true;
  const kinds = key - 1 >= OCTAVE ? [MAJOR, MINOR] : [MAJOR];
  const last = steps.findLastIndex(({ code }) => code[0]);
  const isHome = ({ code: [root, kind, bass] }) => root === TONIC && bass === TONIC && kinds.includes(kind);
  const before = steps.findLastIndex((step, at) => at <= last && !isHome(step));
  return strong.some((at) => at > before && at <= last);
}

// A bar that is planned as another has that one's chords; where tracks are planned apart most pitched ones say which.
function copy(steps, first, form, { pitched, likes }) {
  if (!form) return;
  const lines = form.lines.filter((_, track) => !form.byTrack || pitched.includes(track));
  for (const step of steps) {
    const counts = new Map();
    for (const [lag, like] of lines.map((line) => line[first + step.bar] ?? [0, 0])) {
      if (lag > 0 && like >= likes - 1) counts.set(lag, (counts.get(lag) ?? 0) + 1);
    }
    const [lag] = [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0])[0] ?? [0];
    if (lag) step.copied = steps.findIndex(({ bar, place }) => bar === step.bar - lag && place === step.place);
  }
}

function logSum(logits) {
  const top = Math.max(...logits);
  return top + Math.log(logits.reduce((sum, value) => sum + Math.exp(value - top), 0));
}

class Drawing {
  constructor(weights, { width, ago, closes, temperature }, steps, moment, next) {
    Object.assign(this, { weights, width, ago, closes, temperature, next });
    this.steps = Object.assign(
      steps.map((step) => ({ ...step })),
      { end: steps.end },
    );
    this.likely = 0; // ln p of the chords drawn
    this.minor = Number(moment.key - 1 >= OCTAVE);
    this.kinds = weights.to_kind_bias.length;
    this.h = new Float64Array(width);
    this.c = new Float64Array(width);
    this.y = new Float64Array(width);
    this.ahead = UNKNOWN; // steps until the phrase ends
    this.since = 0;
  }

  run() {
    this.opening = this.affine("to_length", this.y);
    this.steps.forEach((step, at) => {
      this.foreseeEnd();
      this.advance(step, at);
      step.code = step.copied >= 0 ? this.steps[step.copied].code : this.chord();
      step.last = this.ahead === 0;
      if (step.last) this.opening = this.affine("to_length", this.y);
      this.since = step.last ? 0 : this.since + 1;
      this.ahead = step.last || this.ahead === UNKNOWN ? UNKNOWN : this.ahead - 1;
    });
    return this;
  }

  foreseeEnd() {
    if (this.ahead !== UNKNOWN) return;
    const late = this.since >= LENGTHS;
    const logits = this.opening.map((value, length) => (late ? 0 : length < this.since ? -Infinity : value));
    this.ahead = this.pick(logits) - (late ? 0 : this.since);
  }

  advance(step, at) {
    const { width, weights } = this;
    const x = new Float64Array(width);
    for (const [name, row] of this.rows(step, at)) {
      for (let d = 0; d < width; d += 1) x[d] += weights[name][row * width + d];
    }
    const own = product(this.weights.weight_ih, x);
    const past = product(this.weights.weight_hh, this.h);
    const gate = (part, d) => own[part * width + d] + past[part * width + d] + weights.bias[part * width + d];
    for (let d = 0; d < width; d += 1) {
      this.c[d] = sigmoid(gate(1, d)) * this.c[d] + sigmoid(gate(0, d)) * Math.tanh(gate(2, d));
      this.h[d] = sigmoid(gate(3, d)) * Math.tanh(this.c[d]);
      this.y[d] = this.h[d] + x[d];
    }
  }

  rows({ bar, place, places }, at) {
    const [root, kind, bass] = at ? this.steps[at - 1].code : [NOT_YET, 0, 0];
    const before = this.ago.flatMap((bars) => {
      const same = this.steps.find((step) => step.bar === bar - bars && step.place === place);
      const [root, kind] = same ? same.code : [NOT_YET, 0];
      return [
        [`root_${bars}`, root],
        [`kind_${bars}`, kind],
      ];
    });
    return [
      ["root", root],
      ["kind", kind],
      ["bass", bass],
      ...before,
      ["place", Math.min(place, MOST_PLACES)],
      ["places", Math.min(places, MOST_PLACES)],
      ["until", Math.min(this.ahead, UNKNOWN)],
      ["since", Math.min(this.since, MOST_SINCE)],
      ["left", this.closes ? Math.min(this.steps.length - at, MOST_LEFT) : 0],
      ["minor", this.minor],
    ];
  }

  // Root, kind and bass over the tonic; 0 for none.
  chord() {
    const roots = this.shares(this.affine("to_root", this.y));
    const logits = roots.flatMap((share, root) => {
      const kinds = this.shares(this.affine("to_kind", this.beside("of_root", root)));
      return kinds.map((kind) => share + kind);
    });
    const chosen = this.pick(logits);
    const root = Math.floor(chosen / this.kinds);
    const kind = root ? 1 + (chosen % this.kinds) : 0;
    const basses = this.affine("to_bass", this.beside("of_kind", kind, this.beside("of_root", root)));
    const over = this.pick(basses);
    this.likely += logits[chosen] - logSum(logits) + (root ? basses[over] - logSum(basses) : 0);
    return [root, kind, root ? 1 + ((root - 1 + over) % OCTAVE) : 0];
  }

  beside(name, row, y = this.y) {
    return y.map((value, d) => value + this.weights[name][row * this.width + d]);
  }

  // Logarithms of what is likely, at the temperature.
  shares(logits) {
    const warm = logits.map((value) => value / this.temperature);
    const all = logSum(warm);
    return warm.map((value) => value - all);
  }

  pick(logits) {
    const top = Math.max(...logits);
    let total = 0;
    const mass = logits.map((value) => (total += Math.exp(value - top)));
    const drawn = this.next() * total;
    const found = mass.findIndex((sum) => sum > drawn);
    return found < 0 ? mass.length - 1 : found;
  }

  affine(name, x) {
    return [...product(this.weights[name], x)].map((value, at) => value + this.weights[`${name}_bias`][at]);
  }
}

// What a reader is told at each tick, as `HarmonyPlan.table` has it.
function told(steps, tonic, waits) {
  const far = 2 + waits.length;
  const waited = (ticks) => waits.filter((bound) => bound < ticks).length;
  const sounds = steps.map(({ code: [root, kind, bass] }) => {
    if (!root) return [0, 0];
    return [1 + ((root - 1 + tonic) % OCTAVE) + OCTAVE * (kind - 1), 1 + ((bass - 1 + tonic) % OCTAVE)];
  });
  const tickOf = (at) => steps[at]?.tick ?? steps.end;
  const ends = steps.flatMap(({ last, tick }, at) => (last ? [[tick, tickOf(at + PHRASE_END)]] : []));
  const untilEnd = (tick) => {
    const end = ends.find(([, stop]) => stop > tick);
    if (!end) return far;
    return end[0] <= tick ? SOUNDS : 2 + waited(end[0] - tick);
  };
  const table = new Int16Array((steps.end + 1) * COLUMNS);
  steps.forEach(({ tick }, at) => {
    const change = sounds.findIndex((sound, later) => later > at && String(sound) !== String(sounds[at]));
    for (let now = tick; now < tickOf(at + 1); now += 1) {
      const next = change < 0 ? [0, 0, 0] : [...sounds[change], 1 + waited(tickOf(change) - now)];
      table.set([...sounds[at], ...next, untilEnd(now)], now * COLUMNS);
    }
  });
  return table;
}

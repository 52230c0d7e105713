// The plan of a take, bar by bar, drawn as `melody.tokens.planner` draws it: the same LSTM from the same random numbers.

import { product } from "./matrix.js";

const UNTOLD = [0, 0];
const NEW = [0, 1];
const FIRST = [0, 2];
const EMPTY = [0, 3];
const PHRASE = 16;
const [MOST_LEFT, MOST_SO_FAR, MOST_IN_ALL, MOST_BEATS] = [9, 15, 65, 12];
const STREAM = 1; // of random numbers
const FOUR = 4; // bars, whose last one may have a fill

const modulo = (a, b) => ((a % b) + b) % b;
const same = (a, b) => a[0] === b[0] && a[1] === b[1];
const sigmoid = (x) => 1 / (1 + Math.exp(-Math.min(Math.max(x, -30), 30)));
const clip = (value, most) => Math.min(Math.max(value, 1), most);

// The plan of a piece from nothing; null for a model that plans no bars.
export function drawForm(core, { seed, take = 1, bars }) {
  const { planner } = core.given;
  if (!planner) return null;
  const numbers = core.numbers(seed, take, STREAM);
  const next = () => core.calls.numbers_next(numbers);
  const weights = Object.fromEntries(planner.weights.map((name) => [name, core.array(`planner_${name}`)]));
  const pickup = planner.pickup_drawn ? Number(next() < weights.pickup[0]) : 0;
  const cast = planner.tracks ? drawCast(core, numbers, weights, planner) : [0];
  const awake = beginning(core, numbers, cast, planner);
  const lines = new Planner(weights, planner, pickup, bars + pickup).draw(cast, awake, next);
  core.release();
  return { pickup, byTrack: planner.tracks ? 1 : 0, lines: lines.map((line) => closed(line, bars - 1, planner)) };
}

// A line whose end closes as its style asks: no copies from the `last` bar on, or a bar that goes round once more.
function closed(line, last, { ends_anew, loops_on, lags, likes }) {
  const copies = ([lag, like]) => lag > 0 && like >= likes - 1;
  if (ends_anew) return line.map((symbol, bar) => (bar >= last && copies(symbol) ? NEW : symbol));
  const before = last > 0 && last < line.length ? line[last - 1] : NEW;
  if (!loops_on || !copies(before) || before[0] > last || copies(line[last])) return line;
  return line.map((symbol, bar) => (bar === last ? [before[0], likes] : symbol));
}

// The tracks of a training piece that has a band's rhythm and as many tracks as begin it, where there is one.
function drawCast(core, numbers, weights, { most_tracks: most, tracks, rhythm, begin }) {
  const all = Array.from({ length: weights.casts.length / most }, (_, row) => weights.casts.subarray(row * most, (row + 1) * most));
  const least = rhythm.length ? begin : 0;
  const sounds = (row) => [...row.keys()].filter((track) => track < tracks && row[track] >= 0.5);
  const fits = all.filter((row) => rhythm.every((track) => row[track] >= 0.5) && sounds(row).length >= least);
  const casts = fits.length ? fits : all;
  const cast = sounds(casts[core.calls.numbers_below(numbers, casts.length)]);
  return cast.length ? cast : [0];
}

// The tracks that begin a band: its rhythm and some of the others, which numpy's `permutation` mixes.
function beginning(core, numbers, cast, { rhythm, begin }) {
  if (!rhythm.length) return [];
  const others = cast.filter((track) => !rhythm.includes(track));
  for (let last = others.length - 1; last > 0; last -= 1) {
    const other = core.calls.numbers_up_to(numbers, last);
    [others[last], others[other]] = [others[other], others[last]];
  }
  return [...rhythm.filter((track) => cast.includes(track)), ...others.slice(0, begin - rhythm.length)];
}

class Planner {
  constructor(weights, facts, pickup, bars) {
    Object.assign(this, { weights, pickup, bars, facts, lags: facts.lags, likes: facts.likes, width: facts.width });
    this.byTrack = facts.tracks > 0;
    this.lines = Array.from({ length: facts.tracks || 1 }, () => []);
    this.goals = this.lines.map(() => []); // the first bar that each goes back to as a copy
  }

  // The lines of a cast; tracks that are `awake` play in the first bar, and rest for some bars at most.
  draw(cast, awake, next) {
    Object.assign(this, { cast, awake });
    const states = new Map(cast.map((track) => [track, { h: new Float64Array(this.width), c: new Float64Array(this.width) }]));
    for (let bar = 0; bar < this.bars; bar += 1) {
      this.lines.forEach((line, track) => {
        line.push(states.has(track) ? this.symbol(bar, track, states.get(track), next) : EMPTY);
        this.goals[track].push(this.goal(track, bar));
      });
    }
    const { together } = this.facts;
    const holds = (track) => together.length && cast.includes(track) && !together.includes(track);
    return this.lines.map((line, track) => (holds(track) ? this.withFills(line, next) : line));
  }

  symbol(bar, track, state, next) {
    const y = this.step(bar, track, state);
    if (!this.byTrack && bar <= this.pickup) return FIRST;
    const less = this.less(bar, track);
    const logits = product(this.weights.state, y).map((value, at) => value + this.weights.state_bias[at] - less[at]);
    const chosen = choose(logits, this.fits(bar, track), next);
    if (chosen === 0) return bar <= this.pickup ? FIRST : NEW;
    if (chosen === 1) return EMPTY;
    const own = y.map((value, d) => value + this.weights.lag[(chosen - 2) * this.width + d]);
    const likes = product(this.weights.like, own).map((value, at) => value + this.weights.like_bias[at]);
    return [this.lags[chosen - 2], 1 + choose(likes, null, next)];
  }

  // The states that a bar may have: new, empty, each lag.
  fits(bar, track) {
    const line = this.lines[track];
    const most = this.byTrack && bar <= this.pickup ? -1 : bar;
    const last = this.byTrack && track === Math.max(...this.cast);
    const alone = last && this.cast.every((one) => one === track || same(this.lines[one][bar], EMPTY));
    const returns = (lag) => most >= lag && (!this.byTrack || lag > bar || !same(line[bar - lag], EMPTY));
    const lone = this.byTrack && this.cast.length === 1;
    const isOpen = (lag) => returns(lag) && !(lone && this.isSaid(this.goals[track], bar, lag));
    const band = this.facts.together.length > 0;
    const mayRest = !alone && this.mayRest(bar, track) && !(band && this.playsOn(line, bar));
    const rests = band && mayRest && this.restsOn(line, bar);
    return [!rests, mayRest, ...this.lags.map((lag) => !rests && isOpen(lag))];
  }

  // Who has played in a band for four bars begins to rest where four begin,
  playsOn(line, bar) {
    return modulo(bar - this.pickup, FOUR) > 0 && this.hasPlayed(line, bar);
  }

  // and rests until they end.
  restsOn(line, bar) {
    let since = 0;
    while (since < bar && same(line[bar - since - 1], EMPTY)) since += 1;
    return modulo(bar - this.pickup, FOUR) > 0 && since > 0 && this.hasPlayed(line, bar - since);
  }

  hasPlayed(line, bar) {
    const before = line.slice(Math.max(0, bar - FOUR), bar);
    return before.length === FOUR && !before.some((symbol) => same(symbol, EMPTY));
  }

  // A lag that brings what a lone player has just said often enough, at even distances.
  isSaid(goals, bar, lag) {
    if (lag > bar) return false;
    const { most_said: most, riff } = this.facts;
    let ago = 1;
    while (goals[bar - ago] !== goals[bar - lag]) ago += 1;
    const times = Math.max(most, Math.floor(riff / ago));
    return ago * times <= bar && Array.from({ length: times }).every((_, time) => goals[bar - ago * (time + 1)] === goals[bar - lag]);
  }

  mayRest(bar, track) {
    if (!this.awake.includes(track)) return true;
    const { most_rest: most } = this.facts;
    const rested = bar >= most && this.lines[track].slice(bar - most).every((symbol) => same(symbol, EMPTY));
    return bar > 0 && !rested;
  }

  // Nats by which each state is less likely: tracks that make harmony return together, drums alone have fewer new bars,
  // those of a band leave a groove where fours begin.
  less(bar, track) {
    const { together, hold, leave, apart } = this.facts;
    const less = new Float64Array(2 + this.lags.length);
    if (!together.includes(track)) {
      const grooves = together.length && this.lines[track].at(-1)?.[0];
      less[0] = grooves ? (modulo(bar - this.pickup, FOUR) ? leave : -leave) : hold;
      return less;
    }
    const others = together.filter((other) => other < track).map((other) => this.goals[other]);
    const returning = others.filter((goals) => goals[bar] !== bar);
    this.lags.forEach((lag, place) => {
      const elsewhere = returning.filter((goals) => lag <= bar && goals[bar - lag] !== goals[bar]);
      less[2 + place] = returning.length ? (apart * elsewhere.length) / returning.length : 0;
    });
    return less;
  }

  goal(track, bar) {
    const [lag, like] = this.lines[track][bar];
    return lag && lag <= bar && like >= this.likes - 1 ? this.goals[track][bar - lag] : bar;
  }

  // A line of drums with fills at some ends of phrases, behind which they go back to what was before.
  withFills(line, next) {
    const { filled, long_fill } = this.facts;
    const made = [...line];
    line.forEach(([lag, like], bar) => {
      if (!lag) return;
      const place = bar - this.pickup;
      let back = lag;
      while (back <= bar && made[bar - back][0] && this.isAtFill(made, bar - back)) back += made[bar - back][0];
      if (back > bar || !this.lags.includes(back)) back = lag;
      const [, share] = filled.find(([bars]) => modulo(1 + place, bars) === 0) ?? [0, 0];
      const [chance, length] = [next(), next()];
      const other = this.isFill([lag, like], place) ? this.likes : like;
      made[bar] = [back, chance < share ? this.likes - 1 - Number(length < long_fill) : other];
    });
    return made;
  }

  // A bar with a fill, or the one behind it.
  isAtFill(line, bar) {
    return [bar, bar - 1].some((one) => one >= 0 && this.isFill(line[one], one - this.pickup));
  }

  isFill([lag, like], place) {
    return modulo(place, FOUR) === FOUR - 1 && lag > 0 && (like === this.likes - 2 || like === this.likes - 1);
  }

  step(bar, track, state) {
    const { width, weights } = this;
    const x = new Float64Array(width);
    const add = (name, row, share = 1) => {
      for (let d = 0; d < width; d += 1) x[d] += share * weights[name][row * width + d];
    };
    this.rows(this.lines[track][bar - 1] ?? UNTOLD, bar).forEach(([name, row]) => add(name, row));
    if (this.byTrack) {
      add("track", track);
      const before = this.cast.filter((other) => other < track).map((other) => this.code(this.lines[other][bar]));
      const behind = this.cast.filter((other) => other > track && bar).map((other) => this.code(this.lines[other][bar - 1]));
      before.forEach((code) => add("before", code, 1 / before.length));
      behind.forEach((code) => add("behind", code, 1 / behind.length));
    }
    const own = product(this.weights.weight_ih, x);
    const past = product(this.weights.weight_hh, state.h);
    const gate = (part, d) => own[part * width + d] + past[part * width + d] + weights.bias[part * width + d];
    const y = new Float64Array(width);
    for (let d = 0; d < width; d += 1) {
      state.c[d] = sigmoid(gate(1, d)) * state.c[d] + sigmoid(gate(0, d)) * Math.tanh(gate(2, d));
      y[d] = sigmoid(gate(3, d)) * Math.tanh(state.c[d]);
    }
    state.h = y.slice();
    return y.map((value, d) => value + x[d]);
  }

  rows(before, bar) {
    return [
      ["symbol", this.code(before)],
      ["phrase", modulo(bar - this.pickup, PHRASE)],
      ["left", clip(this.bars - bar, MOST_LEFT)],
      ["so_far", Math.min(bar, MOST_SO_FAR)],
      ["in_all", clip(this.bars - this.pickup, MOST_IN_ALL)],
      ["beats", Math.min(this.facts.meter[0], MOST_BEATS)],
      ["unit", Math.min(Math.log2(this.facts.meter[1]), 5)],
    ];
  }

  code([lag, like]) {
    return lag ? 4 + this.likes * this.lags.indexOf(lag) + like - 1 : like;
  }
}

function choose(logits, fits, next) {
  const able = logits.map((value, at) => (fits && !fits[at] ? -Infinity : value));
  const top = Math.max(...able);
  let total = 0;
  const mass = able.map((value) => (total += Math.exp(value - top)));
  const drawn = next() * total;
  const found = mass.findIndex((sum) => sum > drawn);
  return found < 0 ? mass.length - 1 : found;
}

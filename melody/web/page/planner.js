// The plan of a take, bar by bar, drawn as `melody.tokens.planner` draws it: the same LSTM from the same random numbers.

import { product } from "./matrix.js";

const UNTOLD = [0, 0];
const NEW = [0, 1];
const FIRST = [0, 2];
const EMPTY = [0, 3];
const PHRASE = 16;
const [MOST_LEFT, MOST_SO_FAR, MOST_IN_ALL, MOST_BEATS] = [9, 15, 65, 12];
const STREAM = 1; // of random numbers

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
  const made = new Planner(weights, planner, pickup, bars + pickup).draw(cast, next);
  core.release();
  const lines = planner.ends_anew ? made.map((line) => ended(line, bars - 1, planner.likes)) : made;
  return { pickup, byTrack: planner.tracks ? 1 : 0, lines };
}

// A line whose bars from the `last` one on are no copies, so that the last can close as its style asks.
const ended = (line, last, likes) => line.map((symbol, bar) => (bar >= last && symbol[0] && symbol[1] >= likes - 1 ? NEW : symbol));

function drawCast(core, numbers, weights, { most_tracks: most, tracks }) {
  const row = core.calls.numbers_below(numbers, weights.casts.length / most);
  const cast = [...Array(tracks).keys()].filter((track) => weights.casts[row * most + track] >= 0.5);
  return cast.length ? cast : [0];
}

class Planner {
  constructor(weights, facts, pickup, bars) {
    Object.assign(this, { weights, pickup, bars, lags: facts.lags, likes: facts.likes, meter: facts.meter, width: facts.width });
    this.apart = facts.tracks > 0;
    this.lines = Array.from({ length: facts.tracks || 1 }, () => []);
  }

  draw(cast, next) {
    this.cast = cast;
    const states = new Map(cast.map((track) => [track, { h: new Float64Array(this.width), c: new Float64Array(this.width) }]));
    for (let bar = 0; bar < this.bars; bar += 1) {
      this.lines.forEach((line, track) => line.push(states.has(track) ? this.symbol(bar, track, states.get(track), next) : EMPTY));
    }
    return this.lines;
  }

  symbol(bar, track, state, next) {
    const y = this.step(bar, track, state);
    if (!this.apart && bar <= this.pickup) return FIRST;
    const logits = product(this.weights.state, y).map((value, at) => value + this.weights.state_bias[at]);
    const fits = this.fits(bar, track);
    const chosen = choose(logits, fits, next);
    if (chosen === 0) return bar <= this.pickup ? FIRST : NEW;
    if (chosen === 1) return EMPTY;
    const own = y.map((value, d) => value + this.weights.lag[(chosen - 2) * this.width + d]);
    const likes = product(this.weights.like, own).map((value, at) => value + this.weights.like_bias[at]);
    return [this.lags[chosen - 2], 1 + choose(likes, null, next)];
  }

  // The states that a bar may have: new, empty, each lag.
  fits(bar, track) {
    const line = this.lines[track];
    const most = this.apart && bar <= this.pickup ? -1 : bar;
    const last = this.cast.length > 1 && track === Math.max(...this.cast);
    const alone = last && this.cast.every((one) => one === track || same(this.lines[one][bar], EMPTY));
    return [true, !alone, ...this.lags.map((lag) => most >= lag && (!this.apart || lag > bar || !same(line[bar - lag], EMPTY)))];
  }

  step(bar, track, state) {
    const { width, weights } = this;
    const x = new Float64Array(width);
    const add = (name, row, share = 1) => {
      for (let d = 0; d < width; d += 1) x[d] += share * weights[name][row * width + d];
    };
    this.rows(this.lines[track][bar - 1] ?? UNTOLD, bar).forEach(([name, row]) => add(name, row));
    if (this.apart) {
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
      ["phrase", (((bar - this.pickup) % PHRASE) + PHRASE) % PHRASE],
      ["left", clip(this.bars - bar, MOST_LEFT)],
      ["so_far", Math.min(bar, MOST_SO_FAR)],
      ["in_all", clip(this.bars - this.pickup, MOST_IN_ALL)],
      ["beats", Math.min(this.meter[0], MOST_BEATS)],
      ["unit", Math.min(Math.log2(this.meter[1]), 5)],
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

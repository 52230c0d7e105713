// Sound: the stems that melody's synthesizer renders, played together. A stem is fetched and decoded once, whatever
// score it belongs to; so takes that share a track share its sound, and going from one to another takes no time.
// Where stems are still rendered, excerpts of the whole score bridge the time until they are here.

import * as api from "./api.js";
import { Voices } from "./voices.js";

const KEPT = 3000; // seconds of decoded stems: 400 MB
const AHEAD = 0.02;
const RATE = 32000; // of the stems
const LONG = 90; // seconds of all tracks of a score from which on an excerpt is made before anybody wants it
const SPARE = 3; // seconds before its end at which the next excerpt is asked for

export class Sound {
  constructor(changed) {
    this.changed = changed; // told when it starts, stops, or waits
    this.context = null;
    this.buffers = new Map(); // by the name of a stem: promises of decoded sound
    this.stems = new Map(); // by the id of a score: promises
    this.here = new Map(); // by the id of a score: stems that have come
    this.excerpts = new Map(); // promises
    this.playing = null;
    this.position = 0; // seconds, while it rests
    this.loop = null; // [from, to] seconds
    this.score = null;
    this.mix = {}; // by track name: {mute, solo, volume}
    this.waiting = false;
  }

  // ---- stems, in the background ----

  ready(score) {
    if (!score?.id) return Promise.reject(new Error("not yet"));
    if (!this.stems.has(score.id)) {
      const coming = this.fetched(score.id);
      this.stems.set(score.id, coming);
      coming.then((stems) => this.here.set(score.id, stems), () => this.stems.delete(score.id));
      if (this.stems.size > 40) this.forget(this.stems.keys().next().value);
    }
    return this.stems.get(score.id);
  }

  forget(id) {
    this.stems.delete(id);
    this.here.delete(id);
  }

  async fetched(id) {
    const told = await api.json("GET", `v1/scores/${id}/stems`);
    const stems = await Promise.all(told.stems.map(async (stem) => ({ ...stem, buffer: await this.buffer(stem.sound) })));
    this.makeRoom(new Set(stems.map((stem) => stem.sound)));
    return { gain: told.gain, seconds: told.seconds, stems };
  }

  async decoded(data) {
    return (this.decoder ??= new OfflineAudioContext(1, 1, RATE)).decodeAudioData(data);
  }

  buffer(name) {
    if (!this.buffers.has(name)) {
      const coming = api.bytes(`v1/sounds/${name}`).then(([data]) => this.decoded(data));
      this.buffers.set(name, { coming, seconds: 0 });
      coming.then((buffer) => (this.buffers.get(name).seconds = buffer.duration), () => this.buffers.delete(name));
    }
    return this.buffers.get(name).coming;
  }

  // Decoded sound is large: what came first goes first, with the scores that it belongs to.
  makeRoom(wanted) {
    let seconds = [...this.buffers.values()].reduce((sum, one) => sum + one.seconds, 0);
    for (const [name, one] of this.buffers) {
      if (seconds < KEPT) return;
      if (wanted.has(name)) continue;
      seconds -= one.seconds;
      this.buffers.delete(name);
      for (const [id, { stems }] of this.here) if (stems.some((stem) => stem.sound === name)) this.forget(id);
    }
  }

  // ---- excerpts ----

  excerpt(score, from, to = null) {
    const heard = score.tracks.map((_, track) => track).filter((track) => this.level(score, track) > 0);
    const asked = `v1/scores/${score.id}/excerpt?start=${from.toFixed(6)}${to === null ? "" : `&stop=${to.toFixed(6)}`}&tracks=${heard}`;
    if (!this.excerpts.has(asked)) {
      const coming = api.bytes(asked).then(async ([data, told]) => ({ buffer: await this.decoded(data), seconds: Number(told.get("seconds")), gain: Number(told.get("gain")) }));
      this.excerpts.set(asked, coming);
      coming.catch(() => this.excerpts.delete(asked));
      if (this.excerpts.size > 6) this.excerpts.delete(this.excerpts.keys().next().value);
    }
    return this.excerpts.get(asked);
  }

  // Play excerpt after excerpt until the stems are here.
  async bridge(score, from, asked) {
    const loop = this.region();
    let begun = null; // what bridges
    let next = from; // second of the music from which on nothing is there yet
    let when = 0; // its time on the audio clock
    const over = () => this.asked !== asked || this.here.has(score.id) || (begun && this.playing !== begun);
    while (!over() && next < score.seconds) {
      const { buffer, seconds, gain } = await this.excerpt(score, next, loop?.[1]);
      if (over()) return;
      if (!begun) {
        const at = Math.max(next, this.now); // what sounded before has gone on meanwhile
        begun = this.begin(score, gain, [{ buffer, origin: next }], { at, loop, seconds: score.seconds + 1 });
        when = begun.zero + next;
      } else begun.voices.add({ buffer, gain: gain / begun.voices.gain }, when);
      next += seconds;
      when += seconds;
      if (loop && next > loop[1] - 0.02) [next] = loop;
      await new Promise((done) => setTimeout(done, Math.max(0, (when - this.context.currentTime - SPARE) * 1000)));
    }
  }

  // ---- transport ----

  get now() {
    if (!this.playing) return this.position;
    const { zero, loop } = this.playing;
    const at = this.context.currentTime - zero;
    if (!loop || at < loop[1]) return Math.max(this.playing.from, at);
    return loop[0] + ((at - loop[0]) % (loop[1] - loop[0]));
  }

  get sounds() {
    return this.playing !== null;
  }

  region() {
    return this.loop && this.loop[1] > this.loop[0] + 0.05 ? this.loop : null;
  }

  // The way to the loudspeakers takes a while to open: do it at the first press of anything.
  warm() {
    this.context ??= new AudioContext({ latencyHint: "interactive" });
    return this.context.resume();
  }

  async play(score = this.score, at = null) {
    this.warm();
    const asked = (this.asked = {});
    const stems = this.ready(score);
    if (at !== null && !this.here.has(score.id)) this.rest(at, asked);
    if (this.here.has(score.id)) return this.start(score, this.here.get(score.id), at ?? this.now);
    this.waiting = true;
    this.changed();
    const loop = this.region();
    const place = at ?? this.now;
    const outside = loop && (place < loop[0] || place >= loop[1]);
    this.bridge(score, outside ? loop[0] : place, asked).catch(() => {}); // stems will come all the same
    try {
      const ready = await stems;
      if (this.asked === asked) this.start(score, ready, this.now);
    } finally {
      if (this.asked === asked) {
        this.waiting = false;
        this.changed();
      }
    }
    return undefined;
  }

  start(score, ready, at) {
    const loop = this.region();
    const from = loop && (at < loop[0] || at >= loop[1]) ? loop[0] : Math.min(at, ready.seconds - 0.05);
    const stems = ready.stems.map(({ buffer, gain, pan, track }) => ({ buffer, gain, pan, loop, level: this.level(score, track) }));
    this.begin(score, ready.gain, stems, { at: from, loop, seconds: ready.seconds, tracks: ready.stems.map((stem) => stem.track) });
  }

  // Let voices sound from a second of the music on; what sounded before ends as they begin. A stem has an `origin`:
  // the second of the music at which its sound begins.
  begin(score, gain, stems, { at, loop, seconds, tracks = null }) {
    const { context, playing: before } = this;
    if (!this.out) {
      this.out = new DynamicsCompressorNode(context, { threshold: -2, knee: 0, ratio: 20, attack: 0.001, release: 0.08 });
      this.out.connect(context.destination);
    }
    const when = context.currentTime + AHEAD;
    const from = before && Math.abs(at - this.now) < AHEAD ? at + AHEAD : at; // the music goes on, or begins here
    const placed = stems.map(({ origin = 0, ...stem }) => ({ ...stem, offset: from - origin }));
    const voices = new Voices(context, this.out, gain, placed, when);
    before?.voices.stop(when);
    if (before?.score === score && !before.tracks) voices.after(before.voices.gain);
    this.score = score;
    this.playing = { zero: when - from, from, loop, voices, seconds, tracks, score };
    this.waiting = false;
    this.changed();
    return this.playing;
  }

  silence() {
    if (!this.playing) return;
    this.position = this.now;
    this.playing.voices.stop();
    this.playing = null;
  }

  rest(at = this.now, asked = null) {
    this.asked = asked;
    this.waiting = false;
    this.silence();
    this.position = Math.max(0, at);
    this.changed();
  }

  toggle(score) {
    if (this.playing || this.waiting) this.rest();
    else return this.play(score);
    return undefined;
  }

  seek(second) {
    if (this.playing) this.play(this.score, second).catch(() => {});
    else {
      this.position = Math.max(0, second);
      this.changed();
    }
  }

  // Another score from the same place: what sounds goes on until the other is ready.
  show(score) {
    this.score = score;
    if (this.playing) this.play(score).catch(() => this.rest());
    else if (score?.id) {
      const long = score.seconds * score.tracks.length > LONG && this.position < score.seconds;
      if (long && !this.stems.has(score.id)) this.excerpt(score, this.region()?.[0] ?? this.position, this.region()?.[1]).catch(() => {});
      this.ready(score).catch(() => {});
    }
  }

  ended() {
    return this.playing && !this.playing.loop && this.now > this.playing.seconds;
  }

  // ---- mixer ----

  level(score, index) {
    const tracks = score.tracks;
    const own = this.mix[tracks[index]?.name] ?? {};
    const solo = tracks.some((track) => this.mix[track.name]?.solo);
    const on = solo ? own.solo : !own.mute;
    return on ? (own.volume ?? 1) ** 2 : 0;
  }

  mixed() {
    const { tracks, voices } = this.playing ?? {};
    if (tracks) tracks.forEach((track, index) => voices.level(index, this.level(this.score, track)));
    else if (voices) this.play(this.score, this.now).catch(() => {});
  }
}

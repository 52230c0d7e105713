// Sound: the stems that melody's synthesizer renders, played together. A stem is fetched and decoded once, whatever
// score it belongs to; so takes that share a track share its sound, and going from one to another takes no time.

import * as api from "./api.js";

const FADE = 0.012; // seconds, against clicks
const KEPT = 96; // decoded stems
const AHEAD = 0.03;

export class Sound {
  constructor(changed) {
    this.changed = changed; // told when it starts, stops, or waits for stems
    this.context = null;
    this.buffers = new Map(); // by the name of a stem: promises of decoded sound
    this.stems = new Map(); // by the id of a score: promises
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
      coming.catch(() => this.stems.delete(score.id));
      if (this.stems.size > 40) this.stems.delete(this.stems.keys().next().value);
    }
    return this.stems.get(score.id);
  }

  async fetched(id) {
    const told = await api.json("GET", `v1/scores/${id}/stems`);
    const stems = await Promise.all(told.stems.map(async (stem) => ({ ...stem, buffer: await this.buffer(stem.sound) })));
    return { gain: told.gain, seconds: told.seconds, stems };
  }

  buffer(name) {
    if (!this.buffers.has(name)) {
      const decoder = (this.decoder ??= new OfflineAudioContext(1, 1, 44100));
      const coming = api.bytes(`v1/sounds/${name}`).then((data) => decoder.decodeAudioData(data));
      this.buffers.set(name, coming);
      coming.catch(() => this.buffers.delete(name));
      if (this.buffers.size > KEPT) this.buffers.delete(this.buffers.keys().next().value);
    }
    return this.buffers.get(name);
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

  // The way to the loudspeakers takes a while to open: do it at the first press of anything.
  warm() {
    this.context ??= new AudioContext({ latencyHint: "interactive" });
    return this.context.resume();
  }

  async play(score = this.score, at = null) {
    this.warm();
    const asked = (this.asked = {});
    this.waiting = true;
    this.changed();
    try {
      const ready = await this.ready(score);
      if (this.asked !== asked) return;
      this.start(score, ready, at ?? this.now);
    } finally {
      if (this.asked === asked) {
        this.waiting = false;
        this.changed();
      }
    }
  }

  start(score, ready, at) {
    this.silence();
    const { context } = this;
    this.out ??= new DynamicsCompressorNode(context, { threshold: -2, knee: 0, ratio: 20, attack: 0.001, release: 0.08 });
    this.out.connect(context.destination);
    const master = new GainNode(context, { gain: 0 });
    master.gain.setTargetAtTime(ready.gain, context.currentTime, FADE);
    master.connect(this.out);
    const loop = this.loop && this.loop[1] > this.loop[0] + 0.05 ? this.loop : null;
    const from = loop && (at < loop[0] || at >= loop[1]) ? loop[0] : Math.min(at, ready.seconds - 0.05);
    const when = context.currentTime + AHEAD;
    const voices = ready.stems.map((stem) => {
      const source = new AudioBufferSourceNode(context, { buffer: stem.buffer });
      if (loop) Object.assign(source, { loop: true, loopStart: loop[0], loopEnd: Math.min(loop[1], stem.buffer.duration) });
      const gain = new GainNode(context, { gain: this.level(score, stem.track) });
      const level = new GainNode(context, { gain: stem.gain });
      source.connect(level).connect(gain).connect(new StereoPannerNode(context, { pan: stem.pan })).connect(master);
      source.start(when, Math.max(0, from));
      return { source, gain, track: stem.track };
    });
    this.score = score;
    this.playing = { zero: when - from, from, loop, master, voices, seconds: ready.seconds };
    this.changed();
  }

  silence() {
    if (!this.playing) return;
    this.position = this.now;
    const { master, voices } = this.playing;
    const now = this.context.currentTime;
    master.gain.cancelScheduledValues(now);
    master.gain.setTargetAtTime(0, now, FADE);
    for (const { source } of voices) source.stop(now + 8 * FADE);
    this.playing = null;
  }

  rest(at = this.now) {
    this.asked = null;
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
    else if (score?.id) this.ready(score).catch(() => {});
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
    for (const voice of this.playing?.voices ?? [])
      voice.gain.gain.setTargetAtTime(this.level(this.score, voice.track), this.context.currentTime, FADE);
  }
}

// A small synthesizer: each note is a few nodes of the Web Audio API. Notes are handed over a little ahead of time.

const AHEAD = 0.25; // seconds
const EVERY = 60; // ms
const VOICES = [
  // up to this program: shapes, cutoff in octaves above the note, attack, decay, sustained share, release (seconds)
  { to: 7, shapes: ["triangle", "sine"], octaves: 3.2, attack: 0.004, decay: 0.7, sustain: 0.12, release: 0.18 }, // pianos
  { to: 15, shapes: ["sine", "sine"], octaves: 4, attack: 0.002, decay: 0.5, sustain: 0.02, release: 0.3 }, // bells
  { to: 23, shapes: ["square", "sine"], octaves: 2, attack: 0.02, decay: 0.1, sustain: 0.8, release: 0.08 }, // organs
  { to: 39, shapes: ["sawtooth", "triangle"], octaves: 2.2, attack: 0.004, decay: 0.5, sustain: 0.25, release: 0.1 }, // plucked
  { to: 55, shapes: ["sawtooth", "sawtooth"], octaves: 2, attack: 0.05, decay: 0.2, sustain: 0.7, release: 0.2 }, // bowed
  { to: 71, shapes: ["sawtooth", "square"], octaves: 1.8, attack: 0.03, decay: 0.15, sustain: 0.7, release: 0.09 }, // blown
  { to: 79, shapes: ["triangle", "sine"], octaves: 2.4, attack: 0.03, decay: 0.1, sustain: 0.75, release: 0.1 }, // flutes
  { to: 127, shapes: ["sawtooth", "triangle"], octaves: 2.4, attack: 0.02, decay: 0.3, sustain: 0.5, release: 0.2 },
];
const hertz = (pitch) => 440 * 2 ** ((pitch - 69) / 12);

export class Synth {
  constructor(changed) {
    this.changed = changed; // told when it starts or stops
    this.score = null;
    this.position = 0; // seconds, while it rests
    this.playing = false;
  }

  get now() {
    if (!this.playing) return this.position;
    return Math.max(0, this.context.currentTime - this.zero);
  }

  set(score) {
    this.rest();
    this.score = score;
    this.position = 0;
    this.notes = score.tracks.flatMap((track) =>
      track.notes.map(([onset, duration, pitch, velocity]) => {
        const at = score.secondAt(onset);
        return { at, seconds: score.secondAt(onset + duration) - at, pitch, velocity, track };
      }),
    );
    this.notes.sort((a, b) => a.at - b.at);
  }

  async play() {
    if (!this.score || this.playing) return;
    this.context ??= new AudioContext();
    await this.context.resume();
    this.noise ??= noiseOf(this.context);
    this.out = this.context.createGain();
    this.out.gain.value = 0.5;
    this.limiter ??= limiterOf(this.context);
    this.out.connect(this.limiter);
    this.zero = this.context.currentTime + 0.06 - this.position;
    this.next = this.notes.findIndex((note) => note.at >= this.position - 0.001);
    if (this.next < 0) this.next = this.notes.length;
    this.playing = true;
    this.timer = setInterval(() => this.hand(), EVERY);
    this.hand();
    this.changed();
  }

  rest() {
    if (!this.playing) return;
    this.position = this.now;
    this.playing = false;
    clearInterval(this.timer);
    const { out, context } = this;
    out.gain.setTargetAtTime(0, context.currentTime, 0.02);
    setTimeout(() => out.disconnect(), 200);
    this.changed();
  }

  seek(second) {
    const was = this.playing;
    this.rest();
    this.position = Math.max(0, Math.min(second, this.score?.seconds ?? 0));
    if (was) this.play();
  }

  hand() {
    const until = this.context.currentTime + AHEAD - this.zero;
    for (; this.next < this.notes.length && this.notes[this.next].at < until; this.next += 1) this.sound(this.notes[this.next]);
    if (this.now > this.score.seconds + 0.3) {
      this.rest();
      this.position = 0;
      this.changed();
    }
  }

  sound(note) {
    const at = Math.max(this.context.currentTime, this.zero + note.at);
    const loud = (note.velocity / 127) ** 1.6;
    if (note.track.drums) this.hit(note.pitch, at, loud);
    else this.tone(note.pitch, at, note.seconds, loud, VOICES.find((voice) => note.track.program <= voice.to));
  }

  tone(pitch, at, seconds, loud, { shapes, octaves, attack, decay, sustain, release }) {
    const frequency = hertz(pitch);
    const filter = this.context.createBiquadFilter();
    filter.frequency.value = Math.min(16000, frequency * 2 ** octaves);
    const gain = this.context.createGain();
    const end = at + Math.max(seconds, attack);
    gain.gain.setValueAtTime(0, at);
    gain.gain.linearRampToValueAtTime(0.34 * loud, at + attack);
    gain.gain.setTargetAtTime(0.34 * loud * sustain, at + attack, decay / 2);
    gain.gain.setTargetAtTime(0, end, release / 3);
    filter.connect(gain).connect(this.out);
    shapes.forEach((type, number) => {
      const voice = new OscillatorNode(this.context, { type, frequency, detune: number ? 6 : -4 });
      voice.connect(filter);
      voice.start(at);
      voice.stop(end + release * 2);
    });
  }

  hit(pitch, at, loud) {
    if (pitch === 35 || pitch === 36) return this.drum(at, loud, 130, 46, 0.28);
    if (TOMS[pitch]) return this.drum(at, loud * 0.8, TOMS[pitch] * 1.5, TOMS[pitch], 0.32);
    if (pitch === 37 || pitch === 38 || pitch === 40) {
      this.drum(at, loud * 0.5, 260, 170, 0.1);
      return this.hiss(at, loud * 0.75, 1400, pitch === 37 ? 0.05 : 0.19);
    }
    const ring = { 42: 0.05, 44: 0.06, 46: 0.34, 49: 1.1, 57: 1.1, 51: 0.5, 59: 0.5, 53: 0.6 }[pitch] ?? 0.12;
    return this.hiss(at, loud * (ring > 0.4 ? 0.34 : 0.42), pitch === 51 || pitch === 59 ? 6000 : 7500, ring);
  }

  drum(at, loud, from, to, seconds) {
    const voice = this.context.createOscillator();
    voice.frequency.setValueAtTime(from, at);
    voice.frequency.exponentialRampToValueAtTime(to, at + seconds / 3);
    voice.connect(this.fading(at, 0.9 * loud, seconds));
    voice.start(at);
    voice.stop(at + seconds * 2);
  }

  hiss(at, loud, cutoff, seconds) {
    const noise = new AudioBufferSourceNode(this.context, { buffer: this.noise, loop: true });
    const filter = new BiquadFilterNode(this.context, { type: "highpass", frequency: cutoff });
    noise.connect(filter).connect(this.fading(at, loud, seconds));
    noise.start(at, (at * 7) % 1);
    noise.stop(at + seconds * 2);
  }

  fading(at, loud, seconds) {
    const gain = this.context.createGain();
    gain.gain.setValueAtTime(loud, at);
    gain.gain.setTargetAtTime(0, at, seconds / 3);
    gain.connect(this.out);
    return gain;
  }
}

const TOMS = { 41: 82, 43: 98, 45: 116, 47: 138, 48: 155, 50: 185 };

function limiterOf(context) {
  const limiter = new DynamicsCompressorNode(context, { threshold: -10, ratio: 8, attack: 0.003, release: 0.12 });
  limiter.connect(context.destination);
  return limiter;
}

function noiseOf(context) {
  const buffer = context.createBuffer(1, context.sampleRate * 2, context.sampleRate);
  buffer.getChannelData(0).forEach((_, at, samples) => (samples[at] = Math.random() * 2 - 1));
  return buffer;
}

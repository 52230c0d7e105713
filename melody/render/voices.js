// Music in time, for every page of melody that plays: seconds and ticks, and voices that sound together. The player of
// a single file has this inlined before its own script; the studio imports it as a module.

const FADE = 0.012; // seconds, against clicks

// A value on the way between points: [[tick, ..., second], ...] take ticks to seconds, and back.
export function along(points, value, from, to) {
  let i = 1;
  while (i < points.length - 1 && points[i][from] < value) i += 1;
  const [a, b] = [points[i - 1], points[i]];
  return a[to] + ((value - a[from]) / (b[from] - a[from] || 1)) * (b[to] - a[to]);
}

export const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

// Stems that start together at one time of the audio clock, each through a gain of its own and a panner.
export class Voices {
  // gain: of all; stems: [{buffer, level, gain, pan, offset, loop}]: `level` is the mixer's, `loop` in seconds; without `pan` as it is
  constructor(context, out, gain, stems, when) {
    this.context = context;
    this.gain = gain;
    this.all = new GainNode(context, { gain: 0 });
    this.all.gain.setTargetAtTime(gain, when, FADE / 4);
    this.all.connect(out);
    this.sources = [];
    this.levels = stems.map((stem) => this.add(stem, when));
  }

  add({ buffer, level = 1, gain = 1, pan = null, offset = 0, loop = null }, when) {
    const { context } = this;
    const source = new AudioBufferSourceNode(context, { buffer });
    if (loop) Object.assign(source, { loop: true, loopStart: loop[0], loopEnd: Math.min(loop[1], buffer.duration) });
    const mixer = new GainNode(context, { gain: level });
    const placed = source.connect(new GainNode(context, { gain })).connect(mixer);
    (pan === null ? placed : placed.connect(new StereoPannerNode(context, { pan }))).connect(this.all);
    source.start(when, Math.max(0, offset));
    this.sources.push(source);
    return mixer;
  }

  level(index, value) {
    this.levels[index].gain.setTargetAtTime(value, this.context.currentTime, FADE);
  }

  // From the loudness of other voices to one's own, slowly.
  after(gain) {
    const { all, context } = this;
    all.gain.cancelScheduledValues(0);
    all.gain.setTargetAtTime(gain, context.currentTime, FADE / 4);
    all.gain.setTargetAtTime(this.gain, context.currentTime + 1, 1.5);
  }

  stop(when = this.context.currentTime) {
    this.all.gain.cancelScheduledValues(when);
    this.all.gain.setTargetAtTime(0, when, FADE);
    for (const source of this.sources) source.stop(when + 8 * FADE);
  }
}

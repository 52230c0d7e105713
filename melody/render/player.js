// Plays the takes of a page, one at a time. A take is as many compressed stems as it has tracks: they start together at
// one time of the audio clock, each through a gain of its own (mute, solo) and a panner. Times are seconds, and ticks
// where the roll is meant. The page asks nothing of any network: stems, notes and MIDI lie in it.

const takes = [];
let context = null;
let current = null; // the take that sounds, or that space would start

async function decoded(base64) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return context.decodeAudioData(bytes.buffer);
}

class Take {
  constructor(card) {
    this.card = card;
    Object.assign(this, JSON.parse(card.querySelector("script").textContent)); // tempo, bars, systems, sound
    this.end = this.bars[this.bars.length - 1];
    this.position = 0; // where it rests or was started
    this.playing = null; // {zero, voices} while it sounds
    this.muted = new Set();
    this.soloed = new Set();
    this.rows = [...card.querySelectorAll(".system")];
    this.roll = card.querySelector(".roll");
    this.button = card.querySelector(".play");
    this.button.addEventListener("click", () => this.toggle());
    for (const [name, chosen] of [["mute", this.muted], ["solo", this.soloed]])
      card.querySelectorAll(`.${name}`).forEach((button, track) =>
        button.addEventListener("click", () => this.choose(button, chosen, track)));
    this.rows.forEach((row, index) => row.addEventListener("click", (event) => this.point(event, row, index)));
    this.roll.addEventListener("keydown", (event) => this.step(event));
  }

  // ---- sound ----

  get now() {
    if (!this.playing) return this.position;
    return Math.max(this.position, context.currentTime - (context.outputLatency || 0) - this.playing.zero);
  }

  async toggle() {
    if (this.playing) return this.rest(this.now < this.end ? this.now : 0);
    if (this.button.ariaBusy === "true") return undefined;
    this.button.ariaBusy = "true";
    try {
      await this.play();
    } finally {
      this.button.ariaBusy = "false";
    }
  }

  async play() {
    context ??= new AudioContext();
    if (current && current !== this) {
      current.rest(0);
      current.buffers = null; // decoded sound is large
    }
    current = this;
    await context.resume();
    this.buffers ??= await Promise.all(this.sound.stems.map((stem) => decoded(stem.data)));
    if (current === this) this.start();
  }

  start() {
    const when = context.currentTime + 0.06; // time for all of them to be ready
    const stems = this.buffers.map((buffer, track) => {
      const kept = buffer.duration - this.sound.seconds > 0.02; // this browser keeps the silence of the encoder
      const offset = this.position + (kept ? this.sound.delay : 0);
      return { buffer, offset, pan: this.sound.stems[track].pan, level: this.hears(track) ? 1 : 0 };
    });
    this.playing = { zero: when - this.position, voices: new Voices(context, context.destination, this.sound.gain, stems, when) };
    this.card.classList.add("playing");
    this.button.setAttribute("aria-label", this.button.dataset.stop);
    requestAnimationFrame(() => this.follow());
  }

  rest(position) {
    this.playing?.voices.stop();
    this.playing = null;
    this.card.classList.remove("playing");
    this.button.setAttribute("aria-label", this.button.dataset.start);
    this.position = position;
    this.show();
  }

  seek(seconds) {
    const sounded = Boolean(this.playing);
    this.rest(Math.min(Math.max(0, seconds), this.end));
    if (sounded) this.start();
  }

  hears(track) {
    return this.soloed.size ? this.soloed.has(track) : !this.muted.has(track);
  }

  choose(button, chosen, track) {
    if (!chosen.delete(track)) chosen.add(track);
    button.setAttribute("aria-pressed", chosen.has(track));
    this.sound.stems.forEach((_, each) => {
      const on = this.hears(each);
      this.playing?.voices.level(each, on ? 1 : 0);
      for (const part of this.card.querySelectorAll(`[data-track="${each}"]`)) part.classList.toggle("off", !on);
    });
  }

  // ---- sight ----

  follow() {
    if (!this.playing) return;
    if (this.now > this.sound.seconds) {
      this.rest(0);
      return;
    }
    this.show();
    requestAnimationFrame(() => this.follow());
  }

  show() {
    const seconds = Math.min(this.now, this.end);
    const tick = along(this.tempo, seconds, 1, 0);
    const last = this.rows.length - 1;
    const place = this.systems.findIndex(([, stop], index) => tick < stop || index === last);
    this.rows.forEach((row, index) => {
      const cursor = row.querySelector(".cursor");
      cursor.classList.toggle("here", index === place && (this.playing !== null || seconds > 0));
      const [start, stop, left, right] = this.systems[index];
      if (index === place) cursor.style.left = `${100 * (left + ((tick - start) / (stop - start)) * (right - left))}%`;
    });
    this.reveal(place);
    this.light(tick);
    this.card.querySelector(".now").textContent = clock(seconds);
    const bar = Math.max(1, this.bars.filter((line) => line <= seconds && line < this.end).length);
    this.roll.setAttribute("aria-valuenow", bar);
    this.roll.setAttribute("aria-valuetext", `bar ${bar} of ${this.bars.length - 1}, ${clock(seconds)}`);
  }

  // Where the roll is wider or longer than what is seen of it, it follows the cursor.
  reveal(place) {
    if (!this.playing) return;
    if (place !== this.place) this.rows[place].scrollIntoView({ block: "nearest", behavior: "smooth" });
    this.place = place;
    if (this.roll.scrollWidth > this.roll.clientWidth)
      this.roll.scrollLeft = this.rows[place].querySelector(".cursor").offsetLeft - this.roll.clientWidth / 2;
  }

  // Notes light up while they sound; each shape of the roll says where it lies, and so when.
  light(tick) {
    this.shapes ??= this.rows.flatMap((row, index) => {
      const [start, stop, left, right] = this.systems[index];
      const width = row.querySelector("svg").viewBox.baseVal.width;
      const at = (x) => start + ((x / width - left) / (right - left)) * (stop - start);
      return [...row.querySelectorAll(".hue rect")].map((shape) => {
        const x = shape.x.baseVal.value;
        return { shape, onset: at(x), end: at(x + shape.width.baseVal.value), lit: false };
      });
    });
    for (const note of this.shapes) {
      const lit = this.playing !== null && note.onset <= tick && tick < note.end;
      if (lit !== note.lit) note.shape.classList.toggle("sounds", (note.lit = lit));
    }
  }

  // ---- hands ----

  point(event, row, index) {
    const [start, stop, left, right] = this.systems[index];
    const box = row.getBoundingClientRect();
    const share = ((event.clientX - box.left) / box.width - left) / (right - left);
    this.seek(along(this.tempo, start + Math.min(Math.max(0, share), 1) * (stop - start), 0, 1));
  }

  step(event) {
    const now = this.now;
    const after = this.bars.find((line) => line > now + 0.01) ?? this.end;
    const before = this.bars.findLast((line) => line < now - 0.5) ?? 0; // soon after a line, to the one before
    const aim = { ArrowRight: after, ArrowUp: after, ArrowLeft: before, ArrowDown: before, Home: 0 }[event.key];
    if (aim === undefined) return;
    event.preventDefault();
    this.seek(aim);
  }
}

for (const card of document.querySelectorAll(".take:not(.silent)")) takes.push(new Take(card));
[current] = takes;
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("button, a, summary")) return;
  const take = event.key === " " ? current : takes[Number.parseInt(event.key, 10) - 1];
  if (!take || event.repeat) return;
  event.preventDefault();
  take.toggle();
});

// Recording, from a MIDI keyboard or by voice. What is played beside the music becomes a track of it, on a grid of
// sixteenths; where there is no music yet, a session begins with it.

import * as api from "./api.js";
import { $, say, trouble } from "./dom.js";
import * as midi from "./midi.js";
import * as voice from "./voice.js";

const QPM = 100; // of a session that begins with a keyboard
const LONGEST = 240; // seconds of a voice
const PARTS = { keys: ["Recorded", 0], voice: ["Hummed", 53] }; // names and programs of new tracks

export class Recorder {
  constructor(studio) {
    this.studio = studio;
    this.buttons = { keys: $("#record"), voice: $("#hum") };
    this.buttons.voice.hidden = !voice.able();
    this.stop = null; // ends what is recorded
    for (const [kind, button] of Object.entries(this.buttons)) button.addEventListener("click", () => this.press(kind));
  }

  press(kind) {
    this.studio.quietly(this.stop ? this.stop() : this.begin(kind));
  }

  // The place in the music that the player hears, now and at another time of performance.now() in seconds.
  clock() {
    const { sound } = this.studio;
    const seconds = () => performance.now() / 1000;
    const late = () => (sound.context?.outputLatency || 0) + (sound.context?.baseLatency || 0);
    let zero = seconds() - sound.now;
    const timer = setInterval(() => {
      if (!sound.sounds) return;
      zero = seconds() - sound.now + late(); // the music has begun
      clearInterval(timer);
    }, 10);
    return { seconds, now: () => (sound.sounds ? sound.now - late() : seconds() - zero), at: (time) => time - zero, stop: () => clearInterval(timer) };
  }

  async begin(kind) {
    const { studio } = this;
    const plays = studio.shown?.id;
    if (kind === "voice" && !studio.about.hears) return trouble("Humming is heard with swift-f0: pip install 'melody[audio-in]'");
    this.stop = async () => {}; // until it has begun
    try {
      const begun = kind === "keys" ? await this.keys() : await this.voice();
      this.stop = async () => {
        this.stop = null;
        clearTimeout(this.timer);
        this.mark(kind, false);
        studio.sound.rest();
        await begun();
      };
    } catch (error) {
      this.stop = null;
      throw error;
    }
    this.mark(kind, true);
    if (plays) studio.quietly(studio.sound.play(studio.shown));
    say(kind === "voice" && plays ? "Recording. With headphones the microphone hears you alone." : "Recording.");
    return undefined;
  }

  mark(kind, on) {
    this.buttons[kind].setAttribute("aria-pressed", String(on));
    this.buttons[kind].style.setProperty("--loud", 0);
    document.dispatchEvent(new CustomEvent("recording", { detail: on ? kind : null }));
  }

  async keys() {
    const clock = this.clock();
    const stop = await midi.record(clock.now, (notes) => say(`${notes.length} notes`));
    return async () => {
      clock.stop();
      const notes = stop();
      if (!notes.length) return undefined;
      if (!this.studio.shown) return this.studio.take(new File([midi.file(notes, QPM)], "recorded.mid"));
      return this.add(notes, "keys");
    };
  }

  async voice() {
    const stop = await voice.record((loud) => this.buttons.voice.style.setProperty("--loud", loud.toFixed(2)));
    const clock = this.clock();
    const began = clock.seconds();
    this.timer = setTimeout(() => this.stop && this.press("voice"), LONGEST * 1000);
    return async () => {
      clock.stop();
      const from = clock.at(began);
      trouble(`Listening to ${Math.round(clock.seconds() - began)} seconds …`, true);
      const data = await stop();
      if (!this.studio.shown) {
        trouble("");
        return this.studio.take(new File([data], "hummed.wav"));
      }
      const heard = await api.json("POST", "v1/hear?name=hummed.wav", data);
      trouble(`${heard.notes.length} notes heard. They are a track of their own now.`);
      return this.add(heard.notes.map(([at, ...note]) => [from + at, ...note]), "voice");
    };
  }

  add(notes, kind) {
    const { shown } = this.studio;
    const [name, program] = PARTS[kind];
    const step = shown.tpq / 4;
    const heard = notes.filter(([at]) => at > -0.2).map(([at, length, pitch, velocity]) => {
      const onset = Math.max(0, Math.round(shown.tickAt(at) / step) * step);
      return [onset, Math.max(step / 2, shown.tickAt(at + length) - shown.tickAt(at)), pitch, velocity];
    });
    for (const note of heard) {
      const next = Math.min(...heard.filter((other) => other[2] === note[2] && other[0] > note[0]).map(([at]) => at));
      note[1] = Math.min(note[1], next - note[0]); // a pitch ends where it comes again
    }
    return this.studio.edit({ track: shown.tracks.length, remove: [], add: heard, newTracks: [{ name, program }] }, `${heard.length} notes`);
  }
}

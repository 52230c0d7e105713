// Recording from a MIDI keyboard: what is played beside the music becomes a track; where there is none, a session.

import { $, say, trouble } from "./dom.js";
import * as midi from "./midi.js";

const QPM = 100; // of a session that begins with playing

export function recorder(studio) {
  const button = $("#record");
  let stop = null;

  async function begin() {
    if (!midi.able()) return trouble("This browser has no Web MIDI; Chromium, Edge and Firefox have.");
    const { sound, shown } = studio;
    const zero = performance.now() / 1000 - sound.now;
    const now = () => (sound.sounds ? sound.now : performance.now() / 1000 - zero);
    stop = await midi.record(now, (notes) => say(`${notes.length} notes`));
    button.setAttribute("aria-pressed", "true");
    if (shown?.id) studio.quietly(sound.play(shown));
    return undefined;
  }

  async function end() {
    const notes = stop();
    stop = null;
    button.setAttribute("aria-pressed", "false");
    studio.sound.rest();
    if (!notes.length) return undefined;
    const { shown } = studio;
    if (!shown) return studio.take(new File([midi.file(notes, QPM)], "recorded.mid"));
    const step = shown.tpq / 4;
    const heard = notes.map(([at, length, pitch, velocity]) => {
      const onset = Math.round(shown.tickAt(at) / step) * step;
      return [onset, Math.max(step / 2, shown.tickAt(at + length) - shown.tickAt(at)), pitch, velocity];
    });
    return studio.edit({ track: shown.tracks.length, remove: [], add: heard, newTracks: [{ name: "Recorded", program: 0 }] }, "recorded");
  }

  button.addEventListener("click", () => studio.quietly(stop ? end() : begin()));
}

// MIDI in and out of the browser: what is played on a keyboard becomes notes, what is shown goes to a port in time.

import * as api from "./api.js";
import { trouble } from "./dom.js";
import { noteEvents, smf, tempoEvent } from "./smf.js";

const LOOK_AHEAD = 0.12; // seconds

export const able = () => typeof navigator.requestMIDIAccess === "function";

let access = null;
async function ports() {
  access ??= await navigator.requestMIDIAccess();
  return access;
}

export async function outputs() {
  return [...(await ports()).outputs.values()];
}

// Listen until the function that is returned is called; it gives the notes: [second, seconds, pitch, velocity]. Where
// the browser has no keyboard, melody's own port is listened to.
export async function record(now, heard) {
  const held = new Map();
  const notes = [];
  const end = (pitch) => {
    const note = held.get(pitch);
    if (!note) return;
    held.delete(pitch);
    notes.push([note.at, Math.max(0.03, now() - note.at), pitch, note.velocity]);
    heard(notes);
  };
  const listen = ({ data: [status, pitch, velocity] }) => {
    const kind = status & 0xf0;
    if (kind === 0x90 && velocity) {
      end(pitch);
      held.set(pitch, { at: now(), velocity });
    } else if (kind === 0x80 || kind === 0x90) end(pitch);
  };
  const inputs = able() ? await ports().then((access) => [...access.inputs.values()], () => []) : []; // none, or forbidden
  const stop = inputs.length ? fromBrowser(inputs, listen) : await fromServer(listen);
  return () => {
    stop();
    for (const pitch of [...held.keys()]) end(pitch);
    return notes;
  };
}

function fromBrowser(inputs, listen) {
  for (const input of inputs) input.addEventListener("midimessage", listen);
  return () => inputs.forEach((input) => input.removeEventListener("midimessage", listen));
}

async function fromServer(listen) {
  const abort = new AbortController();
  const events = api.events("GET", "v1/midi", undefined, abort.signal);
  const { port } = (await events.next()).value;
  trouble(`Listening to the MIDI port ${port}. Send your keyboard there.`);
  const heard = async () => {
    for await (const event of events) if (event.event === "midi") listen(event);
  };
  heard().catch(() => {}); // stopped
  return () => abort.abort();
}

// Sends what sounds to a port, a little ahead, as long as `place` gives {score, second, heard(track)}.
export class Sender {
  constructor(port, place) {
    Object.assign(this, { port, place });
    this.sent = 0;
    this.score = null;
    this.timer = setInterval(() => this.send(), 40);
  }

  send() {
    const place = this.place();
    if (!place) return this.quiet();
    const { score, second, heard } = place;
    if (score !== this.score || second < this.sent - LOOK_AHEAD - 0.05 || second > this.sent) {
      this.quiet();
      this.score = score;
      this.sent = second;
      for (const [index, track] of score.tracks.entries()) this.port.send([0xc0 | channel(score, index), track.program ?? 0]);
    }
    const to = second + LOOK_AHEAD;
    const zero = performance.now() - second * 1000;
    for (const [index, track] of score.tracks.entries()) {
      if (!heard(track)) continue;
      for (const [onset, duration, pitch, velocity] of track.notes) {
        const at = score.secondAt(onset);
        if (at < this.sent || at >= to) continue;
        const on = channel(score, index);
        this.port.send([0x90 | on, pitch, velocity], zero + at * 1000);
        this.port.send([0x80 | on, pitch, 0], zero + score.secondAt(onset + duration) * 1000 - 1);
      }
    }
    this.sent = to;
    return undefined;
  }

  quiet() {
    if (this.score === null) return;
    this.score = null;
    for (let on = 0; on < 16; on += 1) this.port.send([0xb0 | on, 123, 0]);
  }

  close() {
    clearInterval(this.timer);
    this.quiet();
  }
}

function channel(score, index) {
  if (score.tracks[index].drums) return 9;
  const pitched = score.tracks.slice(0, index).filter((track) => !track.drums).length % 15;
  return pitched < 9 ? pitched : pitched + 1;
}

// A file of notes [second, seconds, pitch, velocity], for a session that begins with playing: 480 ticks a quarter.
export function file(notes, qpm) {
  const ticks = (second) => Math.round((second * qpm * 480) / 60);
  const events = notes.flatMap(([at, length, pitch, velocity]) => noteEvents(0, ticks(at), ticks(at + length), pitch, velocity));
  return smf(480, [[[0, 0, tempoEvent(qpm)], ...events]]);
}

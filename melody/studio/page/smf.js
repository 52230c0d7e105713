// Standard MIDI files: tracks of [tick, order, bytes] become bytes; what has the lower order comes first at a tick.

export function smf(tpq, tracks) {
  const head = [...tag("MThd"), 0, 0, 0, 6, 0, tracks.length > 1 ? 1 : 0, ...two(tracks.length), ...two(tpq)];
  return new Blob([new Uint8Array([...head, ...tracks.flatMap(chunk)])], { type: "audio/midi" });
}

export const tempoEvent = (qpm) => {
  const mspq = Math.round(60e6 / qpm);
  return [0xff, 0x51, 3, mspq >> 16, (mspq >> 8) & 255, mspq & 255];
};

export const meterEvent = (numerator, denominator) => [0xff, 0x58, 4, numerator, Math.log2(denominator), 24, 8];

// The start and the end of a note, which sounds for a tick at least.
export const noteEvents = (channel, onset, end, pitch, velocity) => [
  [onset, 2, [0x90 | channel, pitch, velocity]],
  [Math.max(onset + 1, end), 1, [0x80 | channel, pitch, 0]],
];

function chunk(events) {
  const bytes = [];
  let last = 0;
  for (const [tick, , message] of [...events].sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
    bytes.push(...variable(tick - last), ...message);
    last = tick;
  }
  bytes.push(0, 0xff, 0x2f, 0);
  return [...tag("MTrk"), ...two(bytes.length >> 16), ...two(bytes.length), ...bytes];
}

const tag = (text) => [...text].map((letter) => letter.charCodeAt(0));
const two = (value) => [(value >> 8) & 255, value & 255];

function variable(value) {
  const digits = [value & 127];
  for (let left = value >> 7; left; left >>= 7) digits.unshift((left & 127) | 128);
  return digits;
}

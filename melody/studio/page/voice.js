// A voice, or an instrument, from the microphone: recorded by the browser, and given as WAV at the rate at which melody
// listens. How loud it is, from 0 to 1, is told meanwhile.

const RATE = 16000;
const QUIET_DB = -60;

export const able = () => Boolean(navigator.mediaDevices?.getUserMedia && globalThis.MediaRecorder);

// Record until the function that is returned is called; it gives the WAV.
export async function record(loud) {
  const audio = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const stream = await navigator.mediaDevices.getUserMedia({ audio }).catch((error) => {
    throw new Error(error.name === "NotFoundError" ? "No microphone is connected." : "The browser may not use the microphone; allow it beside the address, and try again.");
  });
  const recorder = new MediaRecorder(stream);
  const parts = [];
  recorder.addEventListener("dataavailable", ({ data }) => parts.push(data));
  await new Promise((begun) => {
    recorder.addEventListener("start", begun, { once: true });
    recorder.start();
  });
  const deaf = meter(stream, loud);
  return async () => {
    await new Promise((ended) => {
      recorder.addEventListener("stop", ended, { once: true });
      recorder.stop();
    });
    stream.getTracks().forEach((track) => track.stop());
    deaf();
    const data = await new Blob(parts).arrayBuffer();
    const sound = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(data); // at its rate, not the microphone's
    return wav(sound.getChannelData(0));
  };
}

function meter(stream, loud) {
  const context = new AudioContext();
  const ear = new AnalyserNode(context, { fftSize: 1024 });
  context.createMediaStreamSource(stream).connect(ear);
  const samples = new Float32Array(ear.fftSize);
  const timer = setInterval(() => {
    ear.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
    loud(Math.max(0, Math.min(1, 1 - (10 * Math.log10(power + 1e-9)) / QUIET_DB)));
  }, 50);
  return () => {
    clearInterval(timer);
    context.close();
  };
}

// Samples as a WAV of 16 bits, mono.
function wav(samples) {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (at, letters) => [...letters].forEach((letter, index) => view.setUint8(at + index, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + 2 * samples.length, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  [[20, 1], [22, 1], [32, 2], [34, 16]].forEach(([at, value]) => view.setUint16(at, value, true));
  view.setUint32(24, RATE, true);
  view.setUint32(28, 2 * RATE, true);
  text(36, "data");
  view.setUint32(40, 2 * samples.length, true);
  samples.forEach((sample, index) => view.setInt16(44 + 2 * index, Math.round(32767 * Math.max(-1, Math.min(1, sample))), true));
  return view.buffer;
}

// The page that composes by itself: a model and the native core lie beside it, nothing is fetched.

import { Core } from "./core.js";
import { $, trouble } from "./dom.js";
import { chordsOf } from "./harmonist.js";
import { drawForm } from "./planner.js";
import { RULER } from "./paint.js";
import { Roll } from "./roll.js";
import { meterEvent, noteEvents, smf, tempoEvent } from "./smf.js";
import { Synth } from "./synth.js";
import { scoreOf } from "./tokens.js";
import { clock } from "./voices.js";

const LANE = 224; // pixels of a track at most

const given = globalThis.MELODY;
const roll = new Roll({ scroller: $("#scroller"), space: $("#space"), paper: $("#paper"), light: $("#light"), hues: $("#hues") });
const synth = new Synth(show);
let core = null;
let take = null; // {ids, score, seed, bars, temperature, tokensPerSecond}

// Composes and shows a take; gives what a program may want of it. The same arguments give the same tokens as
// `melody compose --model NAME --bars BARS --seed SEED --temperature TEMPERATURE`.
export async function compose(asked) {
  core ??= await Core.open(given);
  const ids = [];
  let [working, last] = [0, performance.now()];
  let started = last;
  const form = drawForm(core, asked);
  const chords = chordsOf(core, asked, form);
  for (const tokens of core.compose({ ...asked, form, chords })) {
    ids.push(...tokens);
    working += performance.now() - started;
    if (performance.now() - last > 30) {
      roll.set(scoreOf(ids, given), false);
      await new Promise((go) => setTimeout(go)); // lets the page draw
      last = performance.now();
    }
    started = performance.now();
  }
  return { ...asked, ids, score: scoreOf(ids, given), tokensPerSecond: (1000 * (ids.length - given.ids.length)) / working };
}

function show() {
  document.body.classList.toggle("playing", synth.playing);
  $("#play").setAttribute("aria-label", synth.playing ? "Pause" : "Play");
  if (synth.playing) requestAnimationFrame(move);
  else place();
}

function place() {
  const tick = take ? take.score.tickAt(synth.now) : 0;
  roll.shine(tick, synth.playing);
  $("#place").textContent = clock(synth.now);
  if (synth.playing) roll.reveal(tick);
}

function move() {
  place();
  if (synth.playing) requestAnimationFrame(move);
}

const bounded = (field) => {
  const value = Number(field.value);
  if (field.validity.valid && field.value !== "") return value;
  throw new Error(`${field.labels[0].textContent.trim()}: ${field.min} to ${field.max}`);
};

async function act(seed) {
  $("#compose").disabled = $("#again").disabled = true;
  trouble("");
  try {
    const asked = { seed, bars: bounded($("#bars")), temperature: bounded($("#temperature")) };
    if (!/^\d{1,18}$/.test(seed)) throw new Error("Seed: a whole number");
    synth.rest();
    take = await compose(asked);
    $("#seed").value = seed;
    synth.set(take.score);
    $("#stage").style.maxHeight = `${RULER + LANE * take.score.tracks.length}px`;
    roll.set(take.score, false);
    const notes = take.score.tracks.reduce((sum, track) => sum + track.notes.length, 0);
    const speed = Math.round(take.tokensPerSecond).toLocaleString("en");
    $("#facts").textContent = `${take.score.barCount} bars, ${notes} notes, ${clock(take.score.seconds)}; ${speed} tokens a second`;
    $("#play").disabled = $("#save").disabled = false;
    document.body.classList.remove("empty");
    show();
  } catch (error) {
    trouble(error.message, true);
  } finally {
    $("#compose").disabled = $("#again").disabled = false;
  }
}

function save() {
  const { score } = take;
  const facts = [
    ...score.tempos.map(([tick, qpm]) => [tick, 0, tempoEvent(qpm)]),
    ...score.meters.map(([tick, numerator, denominator]) => [tick, 0, meterEvent(numerator, denominator)]),
  ];
  let pitched = 0;
  const tracks = score.tracks.map((track) => {
    if (!track.drums) pitched += 1;
    const channel = track.drums ? 9 : pitched - 1 + (pitched > 9);
    const notes = track.notes.flatMap(([at, length, pitch, velocity]) => noteEvents(channel, at, at + length, pitch, velocity));
    return [[0, 0, [0xc0 | channel, track.program]], ...notes];
  });
  const link = $("#link");
  URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(smf(score.tpq, [facts, ...tracks]));
  link.download = `${given.name}-${take.seed}.mid`;
  link.click();
}

function begin() {
  document.title = `${given.name} - melody`;
  $("#name").textContent = given.name;
  $("#about").textContent = given.description;
  $("#licence").textContent = given.licence;
  $("#temperature").value = given.sampling.temperature;
  $("#compose").addEventListener("click", () => act(String(Math.floor(Math.random() * 2 ** 31))));
  $("#again").addEventListener("click", () => act($("#seed").value.trim()));
  $("#play").addEventListener("click", () => (synth.playing ? synth.rest() : synth.play()));
  $("#save").addEventListener("click", save);
  $("#scroller").addEventListener("click", (event) => {
    if (!take) return;
    synth.seek(take.score.secondAt(roll.tickAt(event.clientX - $("#scroller").getBoundingClientRect().left)));
    show();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== " " || event.target.matches("input, button") || !take) return;
    event.preventDefault();
    $("#play").click();
  });
}

begin();
globalThis.melody = { compose, synth, roll, take: () => take };

// The page's state, and what happens when: a session's score, the takes beside it, the transport, hands and keys.

import * as api from "./api.js";
import { Compose } from "./compose.js";
import { $, el, say, trouble } from "./dom.js";
import { Exports, link } from "./export.js";
import { Hand } from "./hand.js";
import { Heads } from "./heads.js";
import { History } from "./history.js";
import { Roll } from "./roll.js";
import { Score, changes, growing } from "./score.js";
import { Sound } from "./sound.js";
import { Takes } from "./takes.js";
import { clock } from "./voices.js";

const RETRY = 2000; // ms
const SAVE = 700;
const LIKE = 0.3; // of a take's new bars that are composed anew for more of its kind

export class Studio {
  constructor(about) {
    this.about = about;
    this.session = null;
    this.base = null; // the score of the state that is worked on
    this.shown = null; // what is seen and heard: that, or a take
    this.cache = new Map(); // scores by id
    this.roll = new Roll({ scroller: $("#scroller"), space: $("#space"), paper: $("#paper"), light: $("#light"), hues: $("#hues") });
    this.sound = new Sound(() => this.transport());
    this.roll.dim = (track) => this.heads.deaf(track);
    this.heads = new Heads($("#heads"), { mix: () => this.sound.mix, mixed: () => this.mixed(), choose: (track, more) => this.chooseTrack(track, more), open: (track) => this.openNotes(track) });
    this.compose = new Compose($("#compose"), about, { go: () => this.go(), cancel: () => this.abort?.abort(), context: () => ({ score: this.shown?.id ? this.shown : this.base, selection: this.roll.selection }) });
    this.takes = new Takes($("#cards"), { show: (number, plays) => this.showTake(number, plays), keep: (number) => this.keep(number), like: "strength" in this.compose.settings ? (take) => this.more(take) : null, link, hues: () => this.roll.hue });
    this.history = new History($("#history"), (state) => this.goTo(state), (state, label) => this.change("PATCH", `states/${state}`, { label }));
    this.hand = new Hand(this.roll, (edit, did) => this.edit(edit, did));
    this.exports = new Exports($("#out"), $("#out-menu"), { score: () => this.shown, session: () => this.session, command: () => this.command(), play: () => (this.sound.sounds ? { score: this.sound.score, second: this.sound.now, heard: (track) => !this.heads.deaf(track) } : null) });
    this.roll.recoloured = () => this.takes.redraw();
    this.takes.clear();
    requestAnimationFrame(() => this.tick());
  }

  // ---- scores ----

  async score(id) {
    if (!this.cache.has(id)) {
      this.cache.set(id, new Score(await api.json("GET", `v1/scores/${id}`)));
      if (this.cache.size > 60) this.cache.delete(this.cache.keys().next().value);
    }
    return this.cache.get(id);
  }

  hold(view) {
    const score = new Score(view);
    this.cache.set(score.id, score);
    return score;
  }

  display(score, fit = false) {
    const lanes = this.shown?.tracks.length;
    if (score && this.shown && score !== this.shown) this.roll.leaving(changes(this.shown, score));
    this.shown = score;
    document.body.classList.toggle("empty", !score);
    this.roll.marks = score !== this.base;
    this.roll.set(score, !fit);
    if (!score) return;
    if (lanes !== score.tracks.length || fit) this.roll.resize();
    this.heads.draw(score, this.roll);
    this.facts(score);
    this.compose.update();
    if (score.id) this.sound.show(score);
  }

  facts(score) {
    const { meter } = score.beatOf(0);
    const fact = (name, value) => value && el("span", {}, el("b", {}, String(value)), name && ` ${name}`);
    $("#facts").replaceChildren(...[fact("", score.key), fact("", meter), fact("qpm", Math.round(score.tempos[0][1] * 10) / 10), fact("bars", score.barCount)].filter(Boolean));
  }

  // ---- session and history ----

  async begin(name) {
    if (this.session) return;
    this.session = await api.json("POST", "v1/sessions", { name });
    this.remember();
  }

  remember() {
    const held = new URLSearchParams(location.hash.slice(1));
    held.set("session", this.session.session);
    window.history.replaceState(null, "", `#${held}`);
    $("#session-name").value = this.session.name;
    document.title = `${this.session.name || "untitled"} – melody studio`;
  }

  async resume(id) {
    this.session = await api.json("GET", `v1/sessions/${id}`);
    this.sound.mix = this.session.mixer.tracks ?? {};
    this.remember();
    if (this.session.at === null) return;
    await this.arrive(true);
  }

  async arrive(fit = false) {
    this.history.set(this.session);
    const state = this.history.state();
    this.base = await this.score(state.score);
    this.display(this.base, fit);
  }

  async add(score, did) {
    await this.begin(score.name.replace(/\.[^.]*$/, ""));
    const first = this.session.at === null;
    this.session = await api.json("POST", `v1/sessions/${this.session.session}/states`, { score: score.id, parent: this.session.at, did });
    await this.arrive(first);
  }

  async change(method, path, body) {
    this.session = await api.json(method, `v1/sessions/${this.session.session}${path ? `/${path}` : ""}`, body);
    this.history.set(this.session);
    this.remember();
  }

  async goTo(state) {
    if (state === null || state === undefined) return;
    this.abort?.abort();
    this.takes.clear();
    await this.change("PATCH", "", { at: state });
    await this.arrive();
    say(`State: ${this.history.state().label || this.history.state().did}`);
  }

  mixed() {
    this.sound.mixed();
    this.heads.draw(this.shown, this.roll);
    this.roll.draw();
    clearTimeout(this.saving);
    this.saving = setTimeout(() => this.session && this.quietly(this.change("PATCH", "", { mixer: { tracks: this.sound.mix } })), SAVE);
  }

  // ---- files ----

  async take(file) {
    if (file.name.endsWith(".melody")) {
      const session = await api.json("POST", "v1/sessions/open", await file.arrayBuffer());
      return this.resume(session.session);
    }
    const view = await api.json("POST", `v1/scores?name=${encodeURIComponent(file.name)}`, await file.arrayBuffer());
    const score = this.hold(view);
    this.takes.clear();
    if (view.told.length) trouble(view.told.slice(0, 3).join(" · "));
    return this.add(score, `opened ${file.name}`);
  }

  // ---- composing ----

  async go() {
    if (this.compose.busy) return;
    const asked = this.compose.request();
    if (this.takes.shown) await this.keep(this.takes.shown);
    await this.run({ score: this.base.id, ...asked.body }, asked.did);
  }

  // Four more of a take's kind: its new bars again, but for a part of them.
  async more(take) {
    const { score } = take;
    const [from, to, tracks] = score.newPart();
    const fill = [score.barAt(from) + 1, score.barAt(to - 1) + 1];
    const names = tracks ? { tracks: [...tracks].map((track) => String(track + 1)) } : {};
    await this.run({ score: score.id, settings: { fill, ...names, strength: LIKE }, takes: 4 }, `${take.did}, varied`, score);
  }

  async run(body, did, base = this.base) {
    const abort = (this.abort = new AbortController());
    let expected = 0;
    let come = 0;
    this.compose.working(0);
    try {
      for await (const event of api.events("POST", "v1/compose", body, abort.signal)) {
        come += 1;
        if (event.event === "start") expected = this.started(event, body, did, base);
        else if (event.event === "bar") this.bar(event);
        else if (event.event === "take") await this.taken(event);
        else if (event.event === "error") throw new api.Refused(event.code, event.message, event.status);
        if (this.compose.busy) this.compose.working(Math.min(1, come / expected));
      }
      say(`${this.takes.takes.length} takes are here. Keys 1 to ${this.takes.takes.length} play them, 0 is as it was, K keeps one.`);
    } catch (error) {
      if (error.name !== "AbortError") this.failed(error);
      this.takes.takes.filter((take) => !take.told).forEach((take) => take.card.remove());
      this.takes.takes = this.takes.takes.filter((take) => take.told);
      if (!this.takes.takes.length) this.takes.clear();
      if (this.shown && !this.shown.id) this.showTake(0);
    } finally {
      if (this.abort === abort) this.abort = null;
      this.compose.working(null);
    }
  }

  started(event, body, did, base) {
    const model = this.about.models.find((one) => one.name === event.model) ?? this.about.models[0];
    const scores = Array.from({ length: body.takes }, () => growing(base, model, body));
    const { fresh } = scores[0];
    this.takes.region = fresh;
    this.takes.begin(this.base, scores, did);
    this.showTake(1);
    this.roll.resize();
    this.roll.reveal(Math.max(0, fresh[0] - 4 * scores[0].tpq), fresh[1] > fresh[0] && this.roll.x(fresh[1]) > this.roll.width);
    const bars = scores[0].barAt(fresh[1] - 1) - scores[0].barAt(fresh[0]) + 1;
    return 2 + body.takes * (bars + 1);
  }

  bar(event) {
    const take = this.takes.takes[event.take - 1];
    const scale = take.score.tpq / 480;
    this.takes.grow(event.take, event.notes.map(([track, onset, duration, ...rest]) => [track, onset * scale, duration * scale, ...rest]));
    if (this.takes.shown === event.take) {
      this.roll.draw();
      if (this.heads.place.children.length !== take.score.tracks.length) this.heads.draw(take.score, this.roll);
    }
  }

  async taken(event) {
    const score = await this.score(event.score);
    this.takes.finish(event.take, score, event);
    if (this.takes.shown === event.take) this.display(score);
    this.sound.ready(score).catch(() => {});
  }

  showTake(number, plays = false) {
    const score = number ? this.takes.takes[number - 1]?.score : this.base;
    if (!score) return;
    this.takes.mark(number);
    this.display(score);
    if (!score.id || this.sound.sounds || !plays) return;
    const from = score.take?.first_new_tick;
    if (number && from && this.sound.position < 0.05) this.sound.position = Math.max(0, score.secondAt(score.bars[Math.max(0, score.barAt(from) - 1)]));
    this.quietly(this.sound.play(score));
  }

  async keep(number = this.takes.shown) {
    const take = this.takes.takes[number - 1];
    if (!take?.told) return;
    this.takes.clear();
    await this.add(take.score, take.did);
    say("Kept.");
  }

  // ---- hands ----

  async edit({ track, remove, add, newTracks = [] }, did) {
    const { shown } = this;
    const name = shown.tracks[track]?.name ?? newTracks[0]?.name;
    if (this.takes.shown && shown !== this.base) await this.keep(this.takes.shown);
    const round = (note) => note.slice(0, 4).map(Math.round);
    const body = {
      remove: remove.map(([onset, , pitch]) => [track, Math.round(onset), pitch]),
      add: add.map((note) => [track, ...round(note)]),
      ...(newTracks.length ? { new_tracks: newTracks } : {}),
    };
    this.editing = (this.editing ?? Promise.resolve()).then(async () => {
      const score = this.hold(await api.json("POST", `v1/scores/${this.base.id}/edit`, body));
      const { open } = this.roll;
      await this.add(score, `${name}: ${did}`);
      if (open !== null && this.shown.tracks[open]) {
        const wanted = new Set(add.map((note) => round(note).join()));
        this.roll.chosen = new Set(this.shown.tracks[open].notes.filter((note) => wanted.has(note.join())));
        this.roll.draw();
      }
    });
    await this.editing.catch((error) => {
      this.editing = null;
      this.cache.delete(this.base.id);
      this.arrive().catch(() => {});
      this.failed(error);
    });
  }

  chooseTrack(track, more) {
    const { roll } = this;
    roll.lane = track;
    const all = { from: 0, to: this.shown.barCount };
    if (more && roll.selection) {
      const tracks = new Set(roll.selection.tracks);
      if (!tracks.delete(track)) tracks.add(track);
      this.select(tracks.size ? { ...roll.selection, tracks } : null);
    } else this.select({ ...all, tracks: new Set([track]) });
  }

  select(selection) {
    this.roll.selection = selection;
    this.heads.draw(this.shown, this.roll);
    this.roll.draw();
    this.compose.selected(selection);
    this.looped();
    if (selection) {
      const names = [...selection.tracks].map((track) => this.shown.tracks[track].name).join(", ");
      say(`Bars ${selection.from + 1} to ${selection.to}, ${selection.tracks.size === this.shown.tracks.length ? "all tracks" : names}`);
    }
  }

  openNotes(track) {
    this.roll.chosen = new Set();
    this.roll.open = track;
    if (track !== null) this.roll.lane = track;
    document.body.classList.toggle("editing", track !== null);
    $("#notes").hidden = track === null;
    if (track !== null && this.roll.zoom < 50) this.roll.zoomBy(50 / this.roll.zoom, this.roll.x(this.shown.tickAt(this.sound.now)));
    this.roll.resize();
    this.heads.draw(this.shown, this.roll);
    if (track !== null) say(`Notes of ${this.shown.tracks[track].name}. Escape closes them.`);
  }

  // ---- transport ----

  seek(tick) {
    this.sound.seek(this.shown.secondAt(Math.max(0, tick)));
  }

  togglePlay() {
    if (!this.shown?.id && this.takes.takes.length) return;
    this.quietly(this.sound.toggle(this.shown));
  }

  looped() {
    const { selection } = this.roll;
    const on = $("#loop").getAttribute("aria-pressed") === "true";
    const { shown } = this;
    const loop = !on || !shown ? null : selection ? [selection.from, selection.to] : [0, shown.barCount];
    const next = loop && loop.map((bar) => shown.secondAt(shown.bars[bar]));
    if (String(next) === String(this.sound.loop)) return;
    this.sound.loop = next;
    if (this.sound.sounds) this.quietly(this.sound.play(this.sound.score));
  }

  transport() {
    document.body.classList.toggle("playing", this.sound.sounds);
    const play = $("#play");
    play.setAttribute("aria-label", this.sound.sounds ? "Pause" : "Play");
    play.setAttribute("aria-busy", String(this.sound.waiting && !this.sound.sounds));
  }

  // Each frame: nothing is drawn where nothing has moved.
  tick() {
    requestAnimationFrame(() => this.tick());
    const { shown, roll, sound } = this;
    if (!shown) return;
    if (sound.ended()) sound.rest(0);
    const tick = Math.min(shown.tickAt(sound.now), shown.end);
    roll.cursor = tick;
    if (sound.sounds && !this.held) this.follow(tick);
    const { scrollLeft, scrollTop } = roll.scroller;
    const drawn = [tick, scrollLeft, scrollTop, roll.zoom, roll.open, roll.lane, roll.focused, roll.width, roll.height, shown.tracks.length, shown.id].join();
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    const bar = shown.barAt(tick);
    const beat = Math.floor((tick - shown.bars[bar]) / shown.beatOf(bar).ticks + 0.001) + 1;
    $("#place b").textContent = `${bar + 1}.${beat}`;
    $("#place span").textContent = clock(sound.now);
    roll.shine(tick, sound.sounds);
    this.heads.place.scrollTop = scrollTop;
  }

  follow(tick) {
    const x = this.roll.x(tick);
    if (x > this.roll.width - 70 || x < this.roll.gutter) this.roll.scroller.scrollLeft += x - this.roll.gutter - 90;
  }

  // ---- trouble ----

  command() {
    return this.takes.takes[this.takes.shown - 1]?.told?.command ?? this.shown?.take?.command ?? null;
  }

  quietly(promise) {
    promise?.catch((error) => this.failed(error));
  }

  failed(error) {
    if (error.name === "AbortError") return;
    trouble(error.message, error.code === "gone");
    if (error.code === "gone") this.wait();
    else if (!(error instanceof api.Refused)) console.error(error);
  }

  // The server has gone: ask until it is back; what was kept is there.
  async wait() {
    if (this.waiting) return;
    this.waiting = true;
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, RETRY));
      try {
        await api.json("GET", "v1/models");
        break;
      } catch (error) {
        if (error.code !== "gone") break;
      }
    }
    this.waiting = false;
    trouble("The server is back.");
    if (this.session) this.quietly(this.resume(this.session.session));
  }
}

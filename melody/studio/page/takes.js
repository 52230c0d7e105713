// Takes as they come: a card each, with what is new drawn small; each can be heard while the others are still composed.

import { calm, el } from "./dom.js";
import { born, colourOf } from "./score.js";

export class Takes {
  constructor(list, { show, keep, like, link, hues }) {
    Object.assign(this, { list, show, keep, like, link, hues });
    this.takes = []; // {number, score, told, did, card}
    this.base = null;
    this.shown = 0; // 0: as it was
  }

  clear() {
    this.takes = [];
    this.shown = 0;
    this.list.replaceChildren();
    this.list.parentElement.hidden = true;
  }

  begin(base, scores, did) {
    this.clear();
    this.list.parentElement.hidden = false;
    this.base = base;
    if (base) this.list.append(this.card({ number: 0, score: base, did: "as it was" }));
    for (const [index, score] of scores.entries()) {
      const take = { number: index + 1, score, told: null, did };
      this.takes.push(take);
      this.list.append(this.card(take));
    }
  }

  card(take) {
    const number = el("button", { type: "button", class: "number", "aria-label": take.number ? `Take ${take.number}` : "As it was", title: `Hear it (${take.number})`, onclick: () => this.show(take.number, true) }, String(take.number));
    const small = el("button", { type: "button", class: "small", tabIndex: -1, "aria-hidden": "true", onclick: () => this.show(take.number) }, el("canvas"));
    take.fact = el("span", { class: "fact" }, take.number ? "composing …" : "as it was");
    take.tell = el("div", { class: "tell" });
    take.card = el("li", { class: take.number ? "card coming" : "card", "data-take": take.number }, number, take.fact, small, take.tell);
    take.canvas = small.firstChild;
    requestAnimationFrame(() => this.sketch(take));
    if (!take.number) this.before = take;
    return take.card;
  }

  // Notes that have come: [track, onset, duration, pitch, velocity] in ticks of the take.
  grow(number, notes) {
    const take = this.takes[number - 1];
    for (const [track, onset, duration, pitch, velocity] of notes) {
      while (take.score.tracks.length <= track) take.score.tracks.push({ name: `new ${take.score.tracks.length + 1}`, instrument: "", notes: [], drums: false });
      const note = [onset, duration, pitch, velocity];
      born.set(note, performance.now());
      take.score.tracks[track].notes.push(note);
      take.score.tracks[track].notes.sort((a, b) => a[0] - b[0]);
    }
    this.sketch(take);
  }

  finish(number, score, told) {
    const take = this.takes[number - 1];
    Object.assign(take, { score, told });
    take.card.classList.remove("coming");
    const known = told.in_training > 0.2 ? ` · ${Math.round(100 * told.in_training)} % known` : "";
    take.fact.replaceChildren(el("b", {}, told.key || "drums"), ` · ${told.notes} notes${known}`);
    take.fact.title = told.messages?.join("\n") ?? "";
    take.tell.replaceChildren(
      el("button", { type: "button", class: "keep", title: "Keep it and work on (k)", onclick: () => this.keep(number) }, "Keep"),
      ...(this.like ? [el("button", { type: "button", title: "Four more of its kind", onclick: () => this.like(take) }, "More")] : []),
      this.link(score, told.name),
    );
    this.sketch(take);
  }

  mark(number) {
    this.shown = number;
    for (const card of this.list.children) {
      const on = Number(card.dataset.take) === number;
      card.classList.toggle("shown", on);
      if (on) this.reveal(card);
      card.querySelector(".number").setAttribute("aria-pressed", String(on));
    }
  }

  reveal(card) {
    const left = card.offsetLeft - this.list.offsetLeft;
    const { scrollLeft, clientWidth } = this.list;
    if (left < scrollLeft || left + card.offsetWidth > scrollLeft + clientWidth)
      this.list.scrollTo({ left: left - 40, behavior: calm() ? "auto" : "smooth" });
  }

  redraw() {
    for (const take of [this.before, ...this.takes]) if (take) this.sketch(take);
  }

  sketch({ canvas, score }) {
    const scale = devicePixelRatio || 1;
    const wide = canvas.clientWidth;
    const tall = canvas.clientHeight;
    if (!wide || !score) return;
    canvas.width = wide * scale;
    canvas.height = tall * scale;
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    const other = this.takes[0]?.score;
    let [from, to] = (other?.fresh && other.tpq === score.tpq ? other.fresh : null) ?? this.region ?? [0, score.end];
    this.region = [from, to];
    if (from >= score.end) [from, to] = [0, score.end]; // as it was, before more bars
    const pitches = score.tracks.filter((track) => !track.drums).flatMap((track) => track.notes).filter((note) => note[0] >= from && note[0] < to).map((note) => note[2]);
    const low = Math.min(127, ...pitches) - 2;
    const high = Math.max(0, ...pitches) + 2;
    const hits = score.tracks.some((track) => track.drums);
    const room = tall - (hits && pitches.length ? 9 : 2);
    const mine = score.newPart()?.[2];
    for (const [index, track] of score.tracks.entries()) {
      pen.fillStyle = this.hues()[colourOf(track)];
      for (const [onset, duration, pitch, velocity] of track.notes) {
        if (onset < from || onset >= to) continue;
        const x = 2 + ((onset - from) / (to - from)) * (wide - 4);
        const y = track.drums ? tall - 3 - ((pitch * 7) % 5) : 1 + (1 - (pitch - low) / Math.max(1, high - low)) * (room - 3);
        pen.globalAlpha = mine && !mine.has(index) ? 0.16 : 0.45 + (0.55 * velocity) / 127;
        pen.fillRect(x, y, track.drums ? 1.6 : Math.max(1.6, (duration / (to - from)) * (wide - 4) - 0.6), track.drums ? 1.8 : 2.4);
      }
    }
  }
}

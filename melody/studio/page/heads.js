// The heads of the lanes: names, instruments, mute, solo, volume; a head can be dragged out as a MIDI file.

import { el } from "./dom.js";
import { draggable, fileOf } from "./export.js";
import { colourOf } from "./score.js";

export class Heads {
  constructor(place, { mix, mixed, choose, open }) {
    Object.assign(this, { place, mix, mixed, choose, open });
    this.shown = "";
  }

  draw(score, roll) {
    const tall = roll.laneHeight();
    const visible = roll.open === null ? score.tracks.map((_, index) => index) : [roll.open];
    const shown = JSON.stringify([score.id, visible, score.tracks.map((track) => [track.name, track.instrument])]);
    if (shown !== this.shown) {
      this.shown = shown;
      this.score = score;
      this.place.replaceChildren(...visible.map((index) => this.head(score, index)));
    }
    this.place.classList.toggle("low", tall < 78);
    for (const head of this.place.children) {
      const index = Number(head.dataset.track);
      head.style.height = `${tall}px`;
      head.classList.toggle("on", roll.selection?.tracks.has(index) ?? false);
      head.classList.toggle("deaf", this.deaf(score.tracks[index]));
    }
    this.place.scrollTop = roll.scroller.scrollTop;
  }

  deaf(track) {
    const solo = this.score.tracks.some((one) => this.mix()[one.name]?.solo);
    const own = this.mix()[track.name] ?? {};
    return solo ? !own.solo : Boolean(own.mute);
  }

  head(score, index) {
    const track = score.tracks[index];
    const own = () => (this.mix()[track.name] ??= {});
    const press = (kind, letter) => {
      const button = el("button", { type: "button", class: kind, "aria-pressed": String(Boolean(own()[kind])), "aria-label": `${kind === "mute" ? "Mute" : "Solo"} ${track.name}`, title: `${kind === "mute" ? "Mute (m)" : "Solo (s)"}`, onclick: () => {
        own()[kind] = !own()[kind];
        button.setAttribute("aria-pressed", String(own()[kind]));
        this.mixed();
      } }, letter);
      return button;
    };
    const names = el("button", { type: "button", class: "names", title: `${track.name}: click selects, a double click opens its notes`, onclick: (event) => this.choose(index, event.shiftKey || event.ctrlKey || event.metaKey), ondblclick: () => this.open(index) },
      el("b", {}, track.name), el("small", {}, track.instrument === track.name ? " " : track.instrument));
    const volume = el("input", { type: "range", min: 0, max: 1.3, step: 0.01, value: own().volume ?? 1, "aria-label": `Volume of ${track.name}`, oninput: () => {
      own().volume = Number(volume.value);
      this.mixed();
    } });
    const head = el("div", { class: `head hue c${colourOf(track)}`, "data-track": index }, names, el("div", { class: "ms" }, press("mute", "M"), press("solo", "S")), volume);
    if (score.id) draggable(names, () => fileOf(score, ".mid", index), () => `${score.name.replace(/\.[^.]*$/, "")}-${index + 1}.mid`);
    return head;
  }
}

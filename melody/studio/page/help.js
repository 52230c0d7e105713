// The list of keys.

import { $, el } from "./dom.js";

const KEYS = [
  ["space", "play, pause"], ["← →", "bar by bar"], ["↑ ↓", "track by track"], ["Shift + arrows", "select bars and tracks"],
  ["a", "select all"], ["Esc", "let go, cancel, close"], ["g", "compose"], ["1 to 9", "hear a take"], ["0", "as it was"],
  ["k", "keep the take"], ["z  Z", "back, forth again"], ["b", "the state before, from the same place"], ["Enter", "open the notes of a track"],
  ["arrows", "move chosen notes"], ["Shift + ↑ ↓", "by an octave"], ["Shift + ← →", "shorter, longer"], ["Alt + ↑ ↓", "louder, softer"],
  ["n", "a note at the cursor"], ["Delete", "take notes out"], ["m  s", "mute, solo"], ["l", "loop"], ["r  h", "record a keyboard, a voice"], ["+ − f", "zoom, all of it"],
  ["o  e", "open, export"], ["F2", "name a state"],
];

export function help() {
  const dialog = $("#helping");
  dialog.replaceChildren(
    el("h2", { id: "help-title" }, "Keys"),
    el("dl", {}, KEYS.map(([key, what]) => el("div", {}, el("dt", {}, el("kbd", {}, key)), el("dd", {}, what)))),
    el("div", { class: "go" }, el("button", { type: "button", class: "strong", autofocus: true, onclick: () => dialog.close() }, "Close")),
  );
  dialog.showModal();
}

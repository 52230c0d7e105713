// The first page: a file, nothing, chords, a groove, or a session from before.

import { el } from "./dom.js";
import { Line } from "./line.js";
import { motif } from "./motif.js";
import { able as voiceAble } from "./voice.js";

const CHORDS = "Am F | C G";
const ago = (seconds) => {
  const minutes = Math.round((Date.now() / 1000 - seconds) / 60);
  if (minutes < 2) return "just now";
  if (minutes < 120) return `${minutes} minutes ago`;
  return minutes < 2880 ? `${Math.round(minutes / 60)} hours ago` : `${Math.round(minutes / 1440)} days ago`;
};

export function start(place, about, sessions, { open, compose, record, resume }) {
  const models = about.models.filter((model) => model.tracks.length);
  const select = (label, choices) => el("select", { "aria-label": label }, choices.map(([value, word]) => el("option", { value }, word)));
  const model = select("Model", models.map((one) => [one.name, one.name]));
  model.value = models.some((one) => one.name === "band") ? "band" : about.from_nothing;
  const chords = el("input", { type: "text", value: CHORDS, "aria-label": "Chords", spellcheck: false });
  const over = select("Model over chords", models.filter((one) => one.tracks.some((track) => !track.drums)).map((one) => [one.name, one.name]));
  if ([...over.options].some((option) => option.value === "pop")) over.value = "pop";
  const drums = models.find((one) => one.tracks.every((track) => track.drums));
  const style = drums && select("Style", [["", "any style"], ...drums.styles.map((name) => [name, name])]);
  const way = (title, text, row, kind = "") => el("section", { class: `way ${kind}` }, el("h2", {}, title), el("p", {}, text), el("div", { class: "row" }, row.filter(Boolean)));
  const follower = models.find((one) => one.follows);
  const line = new Line();
  const along = () => (line.points ? { contour: line.points } : {});
  const records = [["keys", "Record keys"], ["voice", "Hum it"]].filter(([kind]) => kind === "keys" || voiceAble()).map(([kind, label]) => {
    const button = el("button", { type: "button", class: "plain", onclick: () => record(kind) }, label);
    document.addEventListener("recording", ({ detail }) => {
      button.textContent = detail === kind ? "Stop" : label;
      button.classList.toggle("on", detail === kind);
    });
    return button;
  });
  const go = (label, act) => el("button", { type: "button", class: "strong", onclick: act }, label);
  place.replaceChildren(
    el("div", { class: "door" },
      el("p", {}, "Begin with an idea."),
      el("p", {}, "Hear what could follow, keep what you like, change a corner, go back. All of it stays on this machine."),
      motif(),
      el("div", { class: "ways" },
        way("Your music", "Drop a MIDI, MusicXML, ABC or kern file anywhere on this page.", [go("Open a file", open), ...records], "file"),
        way("From nothing", "Four pieces by a model, of which you keep one.", [model, go("Compose", () => compose({ model: model.value, settings: { bars: 8 } }, "from nothing"))]),
        way("Over chords", "A chord a bar, or several between bar lines.", [chords, over, go("Compose", () => compose({ model: over.value, settings: { bars: 8, chords: chords.value } }, `over ${chords.value}`))]),
        drums && way("A groove", "Drums alone, as a drummer played them.", [style, go("Compose", () => compose({ model: drums.name, settings: { bars: 8, ...(style.value ? { style: style.value } : {}) } }, `${style.value || "a"} groove`))]),
        follower && way("Along a line", "A new tune that rises and falls as you draw.", [line.element, go("Compose", () => compose({ model: follower.name, settings: { bars: 8, ...along() } }, line.points ? "along a line" : "a tune"))], "wide"),
      ),
      sessions.length > 0 && el("ul", { class: "recent", "aria-label": "Sessions" }, sessions.slice(0, 8).map((one) =>
        el("li", {}, el("a", { href: `#session=${one.session}`, onclick: (event) => {
          event.preventDefault();
          resume(one.session);
        } }, one.name || "untitled", el("span", {}, `${one.states} state${one.states === 1 ? "" : "s"}, ${ago(one.changed)}`))))),
    ),
  );
}

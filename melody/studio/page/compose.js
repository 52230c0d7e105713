// What can be asked for: the actions that the server knows, the few controls that matter, and all others one click away.

import { Refused } from "./api.js";
import { el } from "./dom.js";
import { Line } from "./line.js";

const NAMES = { C: 0, D: 2, E: 4, F: 5, G: 7, A: 9, B: 11 };
const OWN = ["bars", "temperature", "density", "contour", "key", "chords", "form", "ranges", "style"]; // controls of their own
const ELSEWHERE = ["fill", "tracks", "with_tracks", "keep", "add", "mapping", "only_new", "strength"]; // what actions say
const KEYS = ["C", "G", "D", "A", "E", "B", "F#", "Db", "Ab", "Eb", "Bb", "F"].flatMap((name) => [`${name} major`, `${name} minor`]);
const KEPT = {
  rhythm: "in the rhythm that is there, with new pitches",
  pitches: "with the pitches that are there, in a new rhythm",
  bars: "like those that are there, every fourth with new pitches",
};
const FORMS = ["AABA", "AABB", "ABAB", "ABAC", "AAAA"];

const bars = (from, to) => (to - from === 1 ? `Bar ${from + 1}` : `Bars ${from + 1} to ${to}`);
const listed = (names) => (names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : (names[0] ?? ""));

export function pitchOf(text) {
  const match = /^\s*([A-Ga-g])([#b]?)(-?\d)\s*$/.exec(text);
  if (!match) return Number.parseInt(text, 10);
  return NAMES[match[1].toUpperCase()] + (match[2] === "#" ? 1 : match[2] === "b" ? -1 : 0) + 12 * (Number(match[3]) + 1);
}

// A gap that is composed is filled; bars with notes are rewritten.
const isGap = ({ score, selection }) =>
  Boolean(selection) && ![...selection.tracks].some((t) => score.tracks[t]?.notes.some(([at]) => at >= score.bars[selection.from] && at < score.bars[selection.to]));

// Tracks beside the chosen ones, where these go on as long: they are composed anew. Where they end sooner, they go on.
function beside({ score, selection }) {
  const end = (track) => score.tracks[track].notes.reduce((last, [at]) => Math.max(last, score.barAt(at)), -1);
  const others = score.tracks.map((_, track) => track).filter((track) => !selection.tracks.has(track) && end(track) >= 0);
  return Math.max(...others.map(end)) >= Math.max(...[...selection.tracks].map(end)) ? others : [];
}

// Each action: when it is there, if it can be done now (or what is missing), what it will do, and what it asks for.
const ACTIONS = {
  continue: {
    title: "Continue",
    controls: ["bars", "wild", "dense", "key", "chords", "form", "range", "line"],
    does: ({ score, selection }, values) =>
      selection && selection.to < score.barCount
        ? [`${values.bars} bars after bar ${selection.to}; what follows there is left out.`]
        : [`${values.bars} more bars after bar ${score.barCount}.`],
    asks: ({ score, selection }, values) => ({
      settings: { bars: values.bars },
      ...(selection && selection.to < score.barCount ? { until: selection.to } : {}),
    }),
    did: (_, values) => `+ ${values.bars} bars${values.line ? ", along a line" : ""}`,
  },
  rewrite: {
    title: "Rewrite",
    titled: (context) => (isGap(context) ? "Fill" : "Rewrite"),
    missing: ({ selection }) => (selection ? "" : "Drag over the bars and tracks that are to be composed anew."),
    controls: ["wild", "dense", "key", "chords", "range"],
    does: ({ score, selection }) => [
      `${bars(selection.from, selection.to)} of ${selection.tracks.size === score.tracks.length ? "all tracks" : listed([...selection.tracks].map((t) => score.tracks[t].name))}, composed anew. All else stays.`,
    ],
    asks: ({ score, selection }) => ({
      settings: {
        fill: [selection.from + 1, selection.to],
        ...(selection.tracks.size < score.tracks.length ? { tracks: [...selection.tracks].map((t) => String(t + 1)) } : {}),
      },
    }),
    did: ({ score, selection }) =>
      `${selection.tracks.size < score.tracks.length ? [...selection.tracks].map((t) => score.tracks[t].name).join(", ") : "all"} ${selection.from + 1}–${selection.to} anew`,
  },
  vary: {
    title: "Vary",
    there: (settings) => "strength" in settings,
    missing: ({ selection }) => (selection ? "" : "Drag over the bars and tracks that are to be varied."),
    controls: ["strength", "wild", "key", "chords"],
    does: ({ selection }, values) => [`${bars(selection.from, selection.to)} as they are, but for ${Math.round(100 * values.strength)} % of them.`],
    asks: (context, values) => {
      const asked = ACTIONS.rewrite.asks(context);
      return { settings: { ...asked.settings, strength: values.strength } };
    },
    did: ({ selection }) => `${selection.from + 1}–${selection.to} varied`,
  },
  harmonise: {
    title: "Harmonise",
    missing: ({ score, selection }) =>
      selection && selection.tracks.size < Math.max(2, score.tracks.length + 1) ? "" : "Choose the track that stays: the other voices are composed around it.",
    controls: ["wild", "dense", "key", "chords"],
    does: ({ score, selection }) => {
      const others = beside({ score, selection });
      const around = others.length ? `${listed(others.map((t) => score.tracks[t].name))} composed anew around` : "the model's other voices composed around";
      return [`${listed([...selection.tracks].map((t) => score.tracks[t].name))} stays; ${around} it.`];
    },
    asks: ({ score, selection }) => {
      const others = beside({ score, selection });
      if (others.length) return { settings: { fill: [1, score.barCount], tracks: others.map((t) => String(t + 1)) } };
      return { settings: { with_tracks: [...selection.tracks].map((t) => String(t + 1)) } };
    },
    did: ({ score, selection }) => `around ${[...selection.tracks].map((t) => score.tracks[t].name).join(", ")}`,
  },
  add: {
    title: "Add",
    there: (settings) => "add" in settings,
    controls: ["roles", "wild", "dense", "chords"],
    missing: (_, values) => (values.roles.length ? "" : "Choose what is added."),
    does: (_, values) => [`${listed(values.roles)}, to the bars that are there.`.replace(/^./, (letter) => letter.toUpperCase())],
    asks: (_, values) => ({ settings: { add: values.roles } }),
    did: (_, values) => `+ ${values.roles.join(", ")}`,
  },
  keep: {
    title: "Keep",
    there: (settings) => "keep" in settings,
    controls: ["bars", "kept", "wild"],
    does: (_, values) => [`${values.bars} more bars ${KEPT[values.kept]}.`],
    asks: (_, values) => ({ settings: { keep: values.kept, bars: values.bars } }),
    did: (_, values) => `+ ${values.bars}, same ${values.kept}`,
  },
};

export class Compose {
  constructor(section, about, { go, cancel, context }) {
    Object.assign(this, { section, about, go, cancel, context });
    this.settings = about.settings.properties;
    this.values = { bars: 8, wild: 1, dense: "", key: "", chords: "", form: "", range: "", style: "", line: null, takes: 4, model: "", roles: [], kept: "rhythm", strength: 0.3 };
    this.action = "continue";
    this.every = {};
    this.build();
  }

  build() {
    const there = Object.entries(ACTIONS).filter(([, action]) => !action.there || action.there(this.settings));
    this.acts = el("div", { class: "acts", role: "group", "aria-label": "What to do" });
    for (const [name, action] of there)
      this.acts.append(el("button", { type: "button", "data-action": name, "aria-pressed": "false", onclick: () => this.choose(name) }, action.title));
    this.told = el("p", { class: "about", "aria-live": "polite" });
    this.fields = el("div", { class: "fields" });
    this.controls = { ...this.ownControls() };
    this.button = el("button", { type: "button", class: "strong", title: "Ctrl+Enter", onclick: () => (this.busy ? this.cancel() : this.go()) }, "Compose");
    const takes = el("select", { "aria-label": "Number of takes", onchange: () => (this.values.takes = Number(takes.value)) });
    for (let count = 1; count <= this.about.bounds.takes; count += 1) takes.append(el("option", { value: count, selected: count === 4 }, `${count} take${count > 1 ? "s" : ""}`));
    this.progress = el("progress", { max: 1, value: 0, hidden: true, "aria-label": "Progress" });
    this.section.append(this.acts, this.told, this.fields, el("div", { class: "go" }, this.button, takes), this.progress, this.allSettings());
    this.choose(this.action);
  }

  ownControls() {
    const field = (label, input, more = []) => el("label", { class: more.length ? "field two" : "field" }, el("span", {}, label), input, ...more);
    const half = (...given) => {
      const label = field(...given);
      label.classList.add("half");
      return label;
    };
    const text = (name, label, given) =>
      half(label, el("input", { type: "text", autocomplete: "off", spellcheck: false, ...given, oninput: (event) => this.set(name, event.target.value) }));
    const keys = el("datalist", { id: "keys" }, KEYS.map((key) => el("option", { value: key })));
    const forms = el("datalist", { id: "forms" }, FORMS.map((form) => el("option", { value: form })));
    this.section.append(keys, forms);
    return {
      bars: field("Bars", el("input", { type: "number", min: 1, max: this.about.bounds.bars, value: 8, oninput: (event) => this.set("bars", Math.max(1, Number(event.target.value) || 1)) })),
      wild: this.slider("Wild", "wild", 0.5, 1.5, (value) => (value < 0.8 ? "tame" : value < 0.95 ? "calm" : value <= 1.05 ? "as it is" : value < 1.25 ? "bold" : "wild")),
      strength: this.slider("Change", "strength", 0.05, 1, (value) => `${Math.round(100 * value)} %`),
      dense: this.chips("Dense", "dense", [["", "as it is"], ["low", "low"], ["medium", "mid"], ["high", "high"]]),
      kept: this.chips("Keep", "kept", Object.keys(KEPT).map((kept) => [kept, kept])),
      roles: this.several("Add", "roles", this.parts()),
      key: text("key", "Key", { placeholder: "as it is", "list-of": "keys", title: "E minor, Bb major" }),
      chords: text("chords", "Chords", { placeholder: "Am F | C G", title: "A chord a bar; several between bar lines; over again from the end" }),
      form: text("form", "Form", { placeholder: "none", "list-of": "forms", title: "AABA, or as-primer" }),
      line: this.about.models.some((model) => model.follows) && this.line(),
      range: text("range", "Range", { placeholder: "C3 A5", title: "Lowest and highest new note of the tracks selected, or of the first" }),
    };
  }

  // Parts that some model plays beside others.
  parts() {
    const bands = this.about.models.filter((model) => model.tracks.filter((track) => track.role).length > 2);
    return [...new Set(bands.flatMap((model) => model.tracks.map((track) => track.role)))].filter(Boolean);
  }

  // A line that the new tune follows, for models that follow one.
  line() {
    const line = new Line(() => this.set("line", line.points));
    return el("div", { class: "field" }, el("span", {}, "Line"), line.element);
  }

  slider(label, name, min, max, word) {
    const output = el("output", {}, word(this.values[name]));
    const input = el("input", { type: "range", min, max, step: 0.05, value: this.values[name], oninput: () => {
      this.set(name, Number(input.value));
      output.textContent = word(Number(input.value));
    } });
    return el("label", { class: "field two" }, el("span", {}, label), input, output);
  }

  chips(label, name, options) {
    const group = el("div", { class: "chips", role: "group", "aria-label": label });
    for (const [value, word] of options)
      group.append(el("button", { type: "button", "aria-pressed": String(value === this.values[name]), onclick: (event) => {
        for (const chip of group.children) chip.setAttribute("aria-pressed", String(chip === event.target));
        this.set(name, value);
      } }, word));
    return el("div", { class: "field" }, el("span", {}, label), group);
  }

  several(label, name, options) {
    const group = el("div", { class: "chips", role: "group", "aria-label": label });
    for (const value of options)
      group.append(el("button", { type: "button", "aria-pressed": "false", onclick: (event) => {
        const on = event.target.getAttribute("aria-pressed") !== "true";
        event.target.setAttribute("aria-pressed", String(on));
        this.set(name, on ? [...this.values[name], value] : this.values[name].filter((one) => one !== value));
      } }, value));
    return el("div", { class: "field" }, el("span", {}, label), group);
  }

  // ---- all settings, as the server describes them ----

  allSettings() {
    const names = Object.keys(this.settings).filter((name) => !OWN.includes(name) && !ELSEWHERE.includes(name));
    const model = el("select", { onchange: () => {
      this.values.model = model.value;
      this.update();
    } }, el("option", { value: "" }, "the one that suits"), this.about.models.map((one) => el("option", { value: one.name }, one.name)));
    this.modelSelect = model;
    this.styles = el("select", { onchange: () => (this.values.style = this.styles.value) });
    const rows = [
      el("label", { class: "field" }, el("span", {}, "model"), model),
      el("label", { class: "field" }, el("span", {}, "style"), this.styles),
      el("label", { class: "field" }, el("span", {}, "seed"), el("input", { type: "number", placeholder: "any", oninput: (event) => (this.values.seed = event.target.value) })),
      ...names.map((name) => this.setting(name, this.settings[name])),
    ];
    return el("details", {}, el("summary", {}, "All settings"), el("div", { class: "every" }, rows));
  }

  setting(name, schema) {
    const kinds = (schema.anyOf ?? [schema]).map((one) => one.type);
    const initial = schema.default ?? null;
    let input;
    if (kinds.includes("boolean")) input = el("input", { type: "checkbox", checked: initial === true, onchange: () => this.note(name, input.checked, initial) });
    else if (kinds.includes("integer") || kinds.includes("number"))
      input = el("input", { type: "number", step: kinds.includes("number") ? "any" : 1, placeholder: initial ?? "model's", oninput: () => this.note(name, input.value === "" ? initial : Number(input.value), initial) });
    else if (kinds.includes("array"))
      input = el("input", { type: "text", placeholder: name === "meter" ? "3/4" : "", oninput: () => this.note(name, input.value.trim() ? input.value.split(/[/\s,-]+/).map(Number) : initial, initial) });
    else input = el("input", { type: "text", placeholder: initial ?? "", oninput: () => this.note(name, input.value.trim() || initial, initial) });
    return el("label", { class: "field" }, el("span", {}, name.replaceAll("_", " ").replace("qpm", "")), input);
  }

  note(name, value, initial) {
    if (value === initial) delete this.every[name];
    else this.every[name] = value;
  }

  // ---- what is chosen ----

  set(name, value) {
    this.values[name] = value;
    this.update();
  }

  choose(name) {
    this.action = name;
    for (const button of this.acts.children) button.setAttribute("aria-pressed", String(button.dataset.action === name));
    this.fields.replaceChildren(...ACTIONS[name].controls.map((control) => this.controls[control]).filter(Boolean));
    for (const input of this.fields.querySelectorAll("[list-of]")) input.setAttribute("list", input.getAttribute("list-of"));
    this.update();
  }

  update() {
    const context = this.context();
    if (!context.score) return;
    const action = ACTIONS[this.action];
    const missing = action.missing?.(context, this.values) ?? "";
    this.told.textContent = missing || action.does(context, this.values)[0];
    for (const button of this.acts.children) button.textContent = ACTIONS[button.dataset.action].titled?.(context) ?? button.textContent;
    this.button.disabled = !this.busy && Boolean(missing);
    const styles = this.about.models.find((one) => one.name === this.values.model)?.styles ?? [];
    if (this.styles.options.length !== styles.length + 1)
      this.styles.replaceChildren(el("option", { value: "" }, styles.length ? "its own" : "choose a model first"), ...styles.map((style) => el("option", { value: style }, style)));
  }

  // A selection suggests what it is for, until somebody chooses.
  selected(selection) {
    if (selection && this.action === "continue" && selection.to < this.context().score.barCount) this.choose("rewrite");
    else if (!selection && ["rewrite", "vary", "harmonise"].includes(this.action)) this.choose("continue");
    else this.update();
  }

  working(share) {
    this.busy = share !== null;
    this.button.textContent = this.busy ? "Cancel" : "Compose";
    this.progress.hidden = !this.busy;
    this.progress.value = share ?? 0;
    this.update();
  }

  request() {
    const context = this.context();
    const action = ACTIONS[this.action];
    const missing = action.missing?.(context, this.values);
    if (missing) throw new Refused("missing", missing, 0);
    const asked = action.asks(context, this.values);
    const on = new Set(action.controls);
    const { values } = this;
    const settings = { ...this.every, ...asked.settings };
    if (on.has("wild") && values.wild !== 1) settings.temperature = values.wild;
    if (on.has("dense") && values.dense) settings.density = values.dense;
    for (const name of ["key", "chords", "form"]) if (on.has(name) && values[name].trim()) settings[name] = values[name].trim();
    if (on.has("line") && values.line) settings.contour = values.line;
    if (values.style) settings.style = values.style;
    if (on.has("range") && values.range.trim()) {
      const [low, high] = values.range.trim().split(/[\s:,–]+/).map(pitchOf);
      const tracks = context.selection ? [...context.selection.tracks] : context.score.tracks.map((_, track) => track).filter((track) => !context.score.tracks[track].drums);
      settings.ranges = Object.fromEntries(tracks.map((track) => [String(track + 1), [low, high]]));
    }
    const seed = values.seed ? { seed: Number(values.seed) } : {};
    const body = { ...asked, ...seed, settings, takes: values.takes, ...(values.model ? { model: values.model } : {}) };
    return { body, did: action.did(context, values) };
  }
}

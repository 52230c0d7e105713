// History as a tree: each state below the one that it came from, the way to the present in colour.

import { el, svg } from "./dom.js";

const WIDE = 148;
const TALL = 31;
const TOP = 12;

export class History {
  constructor(place, go, rename) {
    Object.assign(this, { place, go, rename });
    this.session = null;
    this.last = null; // the state before this one, to compare with
  }

  get at() {
    return this.session?.at ?? null;
  }

  state(number = this.at) {
    return this.session?.states.find((state) => state.state === number);
  }

  parent() {
    return this.state()?.parent ?? null;
  }

  child() {
    return this.session?.states.filter((state) => state.parent === this.at).at(-1)?.state ?? null;
  }

  set(session) {
    if (this.session && this.session.at !== session.at && this.session.session === session.session) this.last = this.session.at;
    this.session = session;
    this.draw();
  }

  places() {
    const children = new Map();
    for (const state of this.session.states) children.set(state.parent, [...(children.get(state.parent) ?? []), state.state]);
    const places = new Map();
    let rows = 0;
    const roots = [...(children.get(null) ?? [])].reverse().map((state) => [state, 0, null]);
    while (roots.length) {
      const [state, depth, row] = roots.pop();
      const mine = row ?? rows++;
      places.set(state, [depth, mine]);
      const below = children.get(state) ?? [];
      for (const [index, child] of [...below.entries()].reverse()) roots.push([child, depth + 1, index === 0 ? mine : null]);
    }
    return { places, rows };
  }

  draw() {
    const { places, rows } = this.places();
    const deepest = Math.max(0, ...[...places.values()].map(([depth]) => depth));
    const lines = svg("svg", { width: (deepest + 1) * WIDE, height: rows * TALL + 2 * TOP, "aria-hidden": "true" });
    const way = new Set();
    for (let state = this.state(); state; state = this.state(state.parent)) way.add(state.state);
    const buttons = this.session.states.map((state) => {
      const [depth, row] = places.get(state.state);
      const x = depth * WIDE;
      const y = TOP + row * TALL;
      if (state.parent !== null) {
        const [before, other] = places.get(state.parent);
        const from = [before * WIDE + 10, TOP + other * TALL + 12.5];
        const line = svg("path", { d: `M${from[0]} ${from[1]}C${from[0] + 100} ${from[1]} ${x - 40} ${y + 12.5} ${x + 6} ${y + 12.5}` });
        if (way.has(state.state)) line.classList.add("way-here");
        lines.append(line);
      }
      const name = state.label || state.did;
      const button = el("button", {
        type: "button", class: way.has(state.state) ? "state way-here" : "state", "data-state": state.state,
        title: `${name} (F2 or a double click names it)`, "aria-current": state.state === this.at ? "step" : null,
        onclick: () => this.go(state.state), ondblclick: () => this.name(state),
        onkeydown: (event) => event.key === "F2" && this.name(state),
      }, el("span", {}, name));
      button.style.left = `${x}px`;
      button.style.top = `${y}px`;
      return button;
    });
    const held = this.place.contains(document.activeElement) ? document.activeElement.dataset.state : null;
    const tree = el("div", { class: "tree", role: "group", "aria-label": "States" }, ...buttons);
    tree.prepend(lines);
    tree.style.height = `${rows * TALL + TOP}px`;
    this.place.replaceChildren(tree);
    if (held) this.place.querySelector(`[data-state="${held}"]`)?.focus();
    this.place.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  name(state) {
    const button = this.place.querySelector(`[data-state="${state.state}"]`);
    const input = el("input", { type: "text", value: state.label || state.did, maxLength: 60, "aria-label": "Name of this state" });
    const done = (keep) => {
      if (input.disabled) return;
      input.disabled = true;
      if (keep && input.value.trim() !== (state.label || state.did)) this.rename(state.state, input.value.trim());
      else this.draw();
    };
    input.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter") done(true);
      if (event.key === "Escape") done(false);
    });
    input.addEventListener("blur", () => done(true));
    button.replaceChildren(input);
    input.select();
  }
}

// The keyboard: everything can be done with it. Letters act wherever nobody writes.

import { $ } from "./dom.js";

const writes = (target) => target.matches("input:not([type=range]):not([type=checkbox]), select, textarea") || target.isContentEditable;

export function keys(studio, { open, help }) {
  const { roll, hand, history, takes } = studio;
  const press = (selector) => $(selector).click();
  const mix = (kind) => $(`#heads [data-track="${roll.lane}"] .${kind}`)?.click();
  const keep = () => studio.keep(takes.shown || 1);

  const letters = {
    " ": () => studio.togglePlay(),
    Home: () => studio.seek(0),
    End: () => studio.seek(studio.shown.bars.at(-2)),
    l: () => press("#loop"),
    r: () => press("#record"),
    h: () => press("#hum"),
    o: open,
    e: () => press("#out"),
    "?": help,
    m: () => mix("mute"),
    s: () => mix("solo"),
    f: () => roll.fit(),
    "+": () => roll.zoomBy(1.4),
    "=": () => roll.zoomBy(1.4),
    "-": () => roll.zoomBy(1 / 1.4),
    z: () => studio.quietly(studio.goTo(history.parent())),
    Z: () => studio.quietly(studio.goTo(history.child())),
    b: () => studio.quietly(studio.goTo(history.last)),
    k: () => studio.quietly(keep()),
    g: () => studio.quietly(studio.go()),
    a: () => studio.select({ from: 0, to: studio.shown.barCount, tracks: new Set(studio.shown.tracks.keys()) }),
    Escape: () => escape(),
  };

  function escape() {
    if (studio.compose.busy) studio.abort?.abort();
    else if (roll.open !== null) studio.openNotes(null);
    else if (roll.selection) studio.select(null);
    else if (takes.takes.length) {
      studio.showTake(0);
      takes.clear();
    }
  }

  addEventListener("keydown", (event) => {
    const { key, target } = event;
    if ((event.ctrlKey || event.metaKey) && key === "Enter") {
      event.preventDefault();
      return void studio.quietly(studio.go());
    }
    if ((event.ctrlKey || event.metaKey) && key.toLowerCase() === "z") {
      if (writes(target)) return;
      event.preventDefault();
      return void (event.shiftKey ? letters.Z() : letters.z());
    }
    if (event.ctrlKey || event.metaKey || writes(target) || target.closest("dialog, .menu")) return;
    if (key === " " && target.matches("button, a, summary") && !target.closest("#transport")) return;
    if (target.matches("input[type=range]") && key.startsWith("Arrow")) return;
    if (!studio.shown) return void ((key === "o" || key === "?") && letters[key]());
    if (target === roll.scroller && onRoll(event)) return void event.preventDefault();
    if (/^[0-9]$/.test(key) && takes.takes.length && !event.repeat) return void studio.showTake(Number(key), true);
    if (event.altKey || event.repeat && key === " ") return;
    const act = letters[key];
    if (!act) return;
    event.preventDefault();
    act();
  });

  // Arrows and Enter on the roll.
  function onRoll(event) {
    const { shown } = studio;
    if (roll.open !== null && hand.key(event)) return true;
    const bar = shown.barAt(roll.cursor + 1);
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.key === "Enter") {
      studio.openNotes(roll.open === null ? roll.lane : null);
      return true;
    }
    if (!steps) return false;
    if (event.shiftKey) extend(bar, ...steps);
    else {
      const inside = steps[0] < 0 && roll.cursor > shown.bars[bar] + shown.tpq / 2; // first to the start of this bar
      const next = Math.max(0, Math.min(shown.barCount - 1, bar + (inside ? 0 : steps[0])));
      if (steps[0]) studio.seek(shown.bars[next]);
      roll.lane = Math.max(0, Math.min(shown.tracks.length - 1, roll.lane + steps[1]));
      roll.reveal(shown.bars[next]);
    }
    return true;
  }

  let anchor = null; // where a selection by keys began
  function extend(bar, bars, lanes) {
    const { shown } = studio;
    if (!roll.selection || !anchor) anchor = { bar, lane: roll.lane, atBar: bar, atLane: roll.lane, fresh: !roll.selection };
    if (!anchor.fresh) {
      anchor.atBar = Math.max(0, Math.min(shown.barCount - 1, anchor.atBar + bars));
      anchor.atLane = Math.max(0, Math.min(shown.tracks.length - 1, anchor.atLane + lanes));
    }
    anchor.fresh = false;
    const [from, to] = [anchor.bar, anchor.atBar].sort((a, b) => a - b);
    const [top, bottom] = [anchor.lane, anchor.atLane].sort((a, b) => a - b);
    studio.select({ from, to: to + 1, tracks: new Set(Array.from({ length: bottom - top + 1 }, (_, index) => top + index)) });
    roll.revealBars(from, to + 1);
  }
  addEventListener("keyup", () => {
    if (!roll.selection) anchor = null;
  });
}

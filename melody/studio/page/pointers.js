// What the mouse and the finger do on the page: select, seek, zoom, edit notes, drop files.

import { $ } from "./dom.js";
import { RULER } from "./paint.js";
import { velocityStrip } from "./stalks.js";

const FAR = 5; // pixels from which on a press is a drag

export function pointers(studio) {
  const { roll, hand } = studio;
  const { scroller } = roll;
  let gesture = null;

  const at = (event) => {
    const box = scroller.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const barAt = (x) => Math.max(0, Math.min(studio.shown.barCount - 1, studio.shown.barAt(roll.tickAt(x))));

  scroller.addEventListener("pointerdown", (event) => {
    if (event.button || !studio.shown) return;
    const [x, y] = at(event);
    if (x > scroller.clientWidth || y > scroller.clientHeight) return; // its scroll bars
    const touch = event.pointerType === "touch";
    if (y >= RULER && roll.open !== null && !touch) gesture = { ...hand.down(x, y, event), edits: true };
    else gesture = { x, y, lane: y < RULER ? null : roll.laneAt(y), bar: barAt(x), touch, extends: event.shiftKey };
    if (!touch) scroller.setPointerCapture(event.pointerId);
    studio.held = true;
  });

  scroller.addEventListener("pointermove", (event) => {
    const [x, y] = at(event);
    if (!gesture) return hover(x, y);
    if (gesture.edits) {
      if (gesture.moves || Math.hypot(x - gesture.x, y - gesture.y) > 3) {
        gesture.moves = true;
        hand.moved(gesture, x, y, event);
      }
      return undefined;
    }
    if (gesture.touch || (!gesture.drags && Math.hypot(x - gesture.x, y - gesture.y) < FAR)) return undefined;
    gesture.drags = true;
    edge(x);
    select(gesture, x, y);
    return undefined;
  });

  function edge(x) {
    if (x > scroller.clientWidth - 24) scroller.scrollLeft += 14;
    else if (x < 24) scroller.scrollLeft -= 14;
  }

  function select(from, x, y) {
    const bars = [from.bar, barAt(x)].sort((a, b) => a - b);
    const lanes = from.lane === null ? [0, studio.shown.tracks.length - 1] : [from.lane, roll.laneAt(Math.max(RULER, y))].sort((a, b) => a - b);
    const tracks = new Set();
    for (let lane = lanes[0]; lane <= lanes[1]; lane += 1) tracks.add(lane);
    studio.select({ from: bars[0], to: bars[1] + 1, tracks });
  }

  const up = (event) => {
    if (!gesture) return;
    const [x, y] = at(event);
    const done = gesture;
    gesture = null;
    studio.held = false;
    if (done.edits) return hand.up(done);
    if (done.drags) return undefined;
    if (done.touch) return tap(done, x, y);
    if (done.lane !== null) roll.lane = done.lane;
    if (done.extends && roll.selection) {
      const { from, to, tracks } = roll.selection;
      studio.select({ from: Math.min(from, done.bar), to: Math.max(to, done.bar + 1), tracks: new Set([...tracks, ...(done.lane === null ? [] : [done.lane])]) });
      return undefined;
    }
    if (roll.selection && done.lane !== null) studio.select(null);
    studio.seek(roll.tickAt(x));
    return undefined;
  };
  scroller.addEventListener("pointerup", up);
  scroller.addEventListener("pointercancel", () => {
    gesture = null;
    studio.held = false;
  });

  // A finger scrolls when it moves; a tap on a bar selects it, a tap elsewhere extends, one within lets go.
  function tap({ lane, bar }, x, y) {
    if (Math.hypot(x - gestureStart[0], y - gestureStart[1]) > 12) return;
    if (lane === null) return void studio.seek(roll.tickAt(x));
    const { selection } = roll;
    if (!selection) studio.select({ from: bar, to: bar + 1, tracks: new Set([lane]) });
    else if (bar >= selection.from && bar < selection.to && selection.tracks.has(lane)) studio.select(null);
    else studio.select({ from: Math.min(selection.from, bar), to: Math.max(selection.to, bar + 1), tracks: new Set([...selection.tracks, lane]) });
  }
  let gestureStart = [0, 0];
  scroller.addEventListener("pointerdown", (event) => (gestureStart = at(event)), { capture: true });

  function hover(x, y) {
    if (roll.open === null || y < RULER) return void (scroller.style.cursor = y < RULER ? "pointer" : "default");
    const hit = roll.noteAt(x, y);
    scroller.style.cursor = y >= velocityStrip(roll).top ? "ns-resize" : hit ? (hit.edge ? "ew-resize" : "grab") : "crosshair";
  }

  scroller.addEventListener("dblclick", (event) => {
    if (!studio.shown) return;
    const [x, y] = at(event);
    if (y < RULER) return;
    if (roll.open === null) studio.openNotes(roll.laneAt(y));
    else hand.double(x, y);
  });

  scroller.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      roll.zoomBy(Math.exp(-event.deltaY / 240), at(event)[0]);
      studio.heads.draw(studio.shown, roll);
    },
    { passive: false },
  );
  scroller.addEventListener("scroll", () => (studio.heads.place.scrollTop = scroller.scrollTop), { passive: true });
  for (const kind of ["focus", "blur"]) scroller.addEventListener(kind, () => (roll.focused = scroller.matches(":focus-visible")));
  new ResizeObserver(() => {
    if (!studio.shown) return;
    studio.heads.draw(studio.shown, roll);
    studio.takes.redraw();
  }).observe(scroller);

  for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, () => studio.sound.warm(), { once: true });

  // ---- buttons ----

  $("#play").addEventListener("click", () => studio.togglePlay());
  $("#to-start").addEventListener("click", () => studio.seek(0));
  $("#loop").addEventListener("click", (event) => {
    const button = event.currentTarget;
    button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
    studio.looped();
  });
  $("#in-zoom").addEventListener("click", () => roll.zoomBy(1.4));
  $("#out-zoom").addEventListener("click", () => roll.zoomBy(1 / 1.4));
  $("#fit").addEventListener("click", () => roll.fit());
  $("#notes").addEventListener("click", () => studio.openNotes(null));
  const name = $("#session-name");
  name.addEventListener("change", () => studio.session && studio.quietly(studio.change("PATCH", "", { name: name.value.trim() })));
  name.addEventListener("keydown", (event) => event.key === "Enter" && name.blur());

  // ---- files dropped ----

  const drop = $("#drop");
  const holds = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragover", (event) => {
    if (!holds(event)) return;
    event.preventDefault();
    drop.hidden = false;
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) drop.hidden = true;
  });
  addEventListener("drop", (event) => {
    drop.hidden = true;
    if (!holds(event)) return;
    event.preventDefault();
    const [file] = event.dataTransfer.files;
    if (file) studio.quietly(studio.take(file));
  });
}

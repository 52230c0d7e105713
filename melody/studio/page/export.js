// Ways out: files to download or to drag into a DAW, the command line that does the same, a MIDI port.

import * as api from "./api.js";
import { el, say, trouble } from "./dom.js";
import * as midi from "./midi.js";

const KINDS = {
  ".mid": ["MIDI", "drag it into a DAW"],
  ".wav": ["Mix", "WAV"],
  ".mp3": ["Mix", "MP3"],
  ".zip": ["Stems", "a WAV per track"],
  ".musicxml": ["MusicXML", "notation"],
  ".dawproject": ["DAWproject", "Bitwig, Studio One, Cubase"],
  ".html": ["Page", "plays offline"],
  ".png": ["Picture", "piano roll"],
};

const stem = (name) => name.replace(/\.[^.]*$/, "");
export const fileOf = (score, suffix, track = null) =>
  `v1/scores/${score.id}/file/${encodeURIComponent(stem(score.name))}${suffix}${track === null ? "" : `?track=${track}`}`;

// Something that can be dragged to a folder or a DAW: the browser fetches it when it is dropped.
export function draggable(element, path, name) {
  element.draggable = true;
  element.addEventListener("dragstart", (event) => {
    const url = api.whole(path());
    event.dataTransfer.setData("DownloadURL", `audio/midi:${name()}:${url}`);
    event.dataTransfer.setData("text/uri-list", url);
    event.dataTransfer.effectAllowed = "copy";
  });
  return element;
}

export function link(score, name) {
  const path = fileOf(score, ".mid");
  const anchor = el("a", { href: api.address(path), download: name, title: "Drag it to a folder or into a DAW, or click to download" }, "MIDI");
  return draggable(anchor, () => path, () => name);
}

export class Exports {
  constructor(button, menu, { score, session, command, play }) {
    Object.assign(this, { button, menu, score, session, command, play });
    this.sender = null;
    button.addEventListener("click", () => (menu.hidden ? this.open() : this.close()));
    document.addEventListener("pointerdown", (event) => {
      if (!menu.hidden && !menu.contains(event.target) && !button.contains(event.target)) this.close();
    });
    menu.addEventListener("keydown", (event) => this.key(event));
  }

  open() {
    const score = this.score();
    if (!score?.id) return;
    const formats = Object.entries(KINDS).map(([suffix, [name, what]]) => {
      const path = fileOf(score, suffix);
      const anchor = el("a", { href: api.address(path), download: stem(score.name) + suffix }, name, el("small", {}, what));
      return suffix === ".mid" ? draggable(anchor, () => path, () => `${stem(score.name)}.mid`) : anchor;
    });
    const command = this.command();
    const session = this.session();
    this.menu.replaceChildren(
      ...formats,
      el("hr"),
      el("button", { type: "button", disabled: !command, onclick: () => this.copy(command) }, "Copy the command line", el("small", {}, command ? "" : "of a take")),
      el("a", { href: api.address(`v1/sessions/${session.session}/file`), download: `${session.name || "session"}.melody` }, "Session", el("small", {}, "all states, one file")),
      ...(midi.able() ? [el("hr"), this.ports()] : []),
    );
    this.menu.hidden = false;
    this.button.setAttribute("aria-expanded", "true");
    this.menu.querySelector("a").focus();
  }

  close() {
    this.menu.hidden = true;
    this.button.setAttribute("aria-expanded", "false");
  }

  key(event) {
    const items = [...this.menu.querySelectorAll("a, button:not(:disabled), select")];
    const at = items.indexOf(document.activeElement);
    const next = { ArrowDown: at + 1, ArrowUp: at - 1 + items.length, Home: 0, End: items.length - 1 }[event.key];
    if (event.key === "Escape") {
      this.close();
      this.button.focus();
    } else if (next !== undefined) items[next % items.length].focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  async copy(command) {
    await navigator.clipboard.writeText(command);
    this.close();
    say("The command line is copied.");
    trouble(command);
  }

  ports() {
    const select = el("select", { "aria-label": "MIDI port" }, el("option", { value: "" }, this.sender ? this.sender.port.name : "choose …"));
    const choose = async () => {
      const found = await midi.outputs().catch(() => []);
      if (!found.length) return trouble("No MIDI port is there, or the browser may not use it.");
      select.replaceChildren(el("option", { value: "" }, "none"), ...found.map((port) => el("option", { value: port.id, selected: this.sender?.port === port }, port.name)));
      select.onchange = () => {
        this.sender?.close();
        const port = found.find((one) => one.id === select.value);
        this.sender = port ? new midi.Sender(port, this.play) : null;
      };
      return undefined;
    };
    select.addEventListener("pointerdown", choose, { once: true });
    select.addEventListener("focus", choose, { once: true });
    return el("label", {}, "Send to a MIDI port", select);
  }
}

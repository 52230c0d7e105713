"""Pieces as one HTML file that plays them: piano rolls, sound with mute and solo for each track, figures, downloads.

The page stands alone: scripts and style (`voices.js`, `player.js`, `player.css`, `player.html`) are inlined, sound
(`stems`), rolls (`svg`) and MIDI files lie in it, and its Content-Security-Policy lets nothing in that did not come
with the file: it names script and style by their hashes and allows no request at all. What a stranger may have chosen
(names of tracks and files, settings) is escaped wherever it goes. Equal pieces make equal bytes, as sound does.
"""

import base64
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from html import escape
from pathlib import Path
from string import Template
from typing import NamedTuple

from melody.errors import LimitExceeded, MelodyError, UnreadableFile
from melody.formats.colours import PALETTE
from melody.music.score import Score, note_count
from melody.render.page import Page, RollPart, layout
from melody.render.sound import seconds_at
from melody.render.stems import StemSound, sound_of, track_seconds
from melody.render.svg import System, systems_of
from melody.storage.display import escaped
from melody.storage.files import refuse_overwrite, write_bytes

MAX_TRACK_SECONDS = 2400.0  # of all stems of a page: some 18 MB
MAX_NOTES = 100_000  # of all rolls of a page, a shape each
PIXELS_AN_INCH, AROUND_A_ROLL = 84, 300  # in a notebook of usual width
KEYS = (
    '<p class="keys"><kbd>space</kbd> plays and pauses, <kbd>1</kbd> to <kbd>9</kbd> a take, a click on the roll or '
    "<kbd>←</kbd> <kbd>→</kbd> on it goes elsewhere. M mutes a track, S plays it alone.</p>"
)


class Figure(NamedTuple):
    """A number about a piece; `meaning` is a clause that explains it."""

    label: str
    value: str
    meaning: str = ""


@dataclass(frozen=True)
class Panel:
    """A piece on a page. Up to `first_new_tick` and from `resumes_tick` on it was given; `midi` is its file."""

    name: str
    score: Score
    midi: bytes
    first_new_tick: int = 0
    resumes_tick: int | None = None
    figures: Sequence[Figure] = ()
    settings: Sequence[tuple[str, str]] = ()
    letters: Mapping[int, str] = field(default_factory=dict)  # of the sections, by their first bar


def write_page(
    panels: Sequence[Panel],
    path: str | os.PathLike[str],
    subtitle: str = "",
    soundfont: str | os.PathLike[str] | None = None,
    force: bool = False,
) -> list[str]:
    """Write a page of the panels, titled by the file's name; return what had to be left out of it, a line each.

    Raises `MelodyError` where the file exists (unless `force`), a score has no notes or all have too many,
    `UnreadableFile` for a SoundFont that is none.
    """
    path = Path(path)
    refuse_overwrite(path, force)
    text, left_out = page(panels, path.stem, subtitle, soundfont)
    write_bytes(path, text.encode(), force=force)
    return [f"{path}: {line}" for line in left_out]


def page(
    panels: Sequence[Panel], title: str, subtitle: str = "", soundfont: str | os.PathLike[str] | None = None
) -> tuple[str, list[str]]:
    """The page as text, and what had to be left out of it. Raises as `write_page`."""
    if (notes := sum(note_count(panel.score) for panel in panels)) > MAX_NOTES:
        raise LimitExceeded(f"{title}: {notes:,} notes; a page shows up to {MAX_NOTES:,}; take fewer, or cut them")
    cards: list[str] = []
    silent: dict[str, list[str]] = {}  # names by the reason
    room = MAX_TRACK_SECONDS
    for number, panel in enumerate(panels, 1):
        sound, reason = _sound(panel, soundfont, room)
        room -= sound.seconds * len(sound.stems) if sound else 0.0
        if reason:
            silent.setdefault(reason, []).append(panel.name)
        cards.append(_card(number, panel, sound))
    parts = (escaped(title), escaped(subtitle), "\n".join(cards), _footer(panels))
    text = document(*parts, look=style(), script=voices() + _asset("player.js"))
    return text, [f"{_first_to_last(names)} without sound: {reason}" for reason, names in silent.items()]


def notebook(panel: Panel, subtitle: str = "") -> str:
    """The page of one piece for a notebook's cell, in a frame of its own: cells cannot get into each other's way."""
    text, _ = page([panel], panel.name, subtitle)
    drawn = layout(panel.score)
    height = AROUND_A_ROLL + len(drawn.systems) * drawn.system_height * PIXELS_AN_INCH
    return (
        f'<iframe title="{escaped(panel.name)}" sandbox="allow-scripts allow-downloads" srcdoc="{escape(text)}" '
        f'style="width: 100%; height: {height:.0f}px; border: 0"></iframe>'
    )


def _first_to_last(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} to {names[-1]} ({len(names)})"


def _sound(panel: Panel, soundfont: str | os.PathLike[str] | None, room: float) -> tuple[StemSound | None, str]:
    """The sound of a piece, or why there is none."""
    try:
        if track_seconds(panel.score) > room:
            return None, f"a page holds {MAX_TRACK_SECONDS / 60:.0f} minutes of tracks"
        return sound_of(panel.score, soundfont), ""
    except UnreadableFile:  # the SoundFont that was asked for
        raise
    except MelodyError as error:
        return None, str(error)


# ---- the file --------------------------------------------------------------------------------------------------------


def document(title: str, subtitle: str, main: str, footer: str, *, look: str, script: str = "") -> str:
    """A page of these parts, all HTML, with a style and a script in it; its policy lets in nothing else."""
    sources = {"script-src": script, "style-src": look}
    allowed = "".join(f"{kind} '{_hash(text)}'; " for kind, text in sources.items() if text)
    return Template(_asset("player.html")).substitute(
        policy=f"default-src 'none'; {allowed}base-uri 'none'; form-action 'none'",
        title=title,
        subtitle=subtitle,
        style=look,
        main=main,
        footer=footer,
        script=f'<script type="module">{script}</script>' if script else "",
    )


@cache
def _asset(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def style() -> str:
    """The style of pages with piano rolls: in light, in dark and on paper."""
    hues = "".join(f".c{index} {{ --hue: {colour}; }}\n" for index, colour in enumerate(PALETTE))
    return hues + _asset("player.css")


def voices() -> str:
    """The script, a module, that pages have in common: time, and stems that sound together."""
    return _asset("voices.js")


def _hash(text: str) -> str:
    """Return the name that a Content-Security-Policy has for an inline script or style."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


# ---- a piece on it ---------------------------------------------------------------------------------------------------


def _card(number: int, panel: Panel, sound: StemSound | None) -> str:
    drawn = layout(panel.score, panel.first_new_tick, panel.resumes_tick, panel.letters)
    systems = systems_of(drawn)
    bar_seconds = [seconds_at(panel.score, int(line)) for line in drawn.lines]
    return (
        f'<article class="take{"" if sound else " silent"}" aria-labelledby="take-{number}">\n'
        f"{_head(number, panel, sound is not None, bar_seconds[-1])}\n"
        f'<ul class="tracks">{"".join(_track(i, part, sound is not None) for i, part in enumerate(drawn.parts))}</ul>\n'
        f"{_roll(panel, systems, len(bar_seconds) - 1)}\n"
        f"{_settings(panel)}\n"
        f'<script type="application/json">{_data(drawn, systems, bar_seconds, sound)}</script>\n'
        "</article>"
    )


def _head(number: int, panel: Panel, sounds: bool, seconds: float) -> str:
    name, length = escaped(panel.name), f"{int(seconds) // 60}:{int(seconds) % 60:02}"
    play = (
        f'<button class="play" type="button" aria-label="Play {name}" data-start="Play {name}" '
        f'data-stop="Pause {name}"><svg viewBox="0 0 46 46" aria-hidden="true"><path class="start" '
        'd="M18.5 14.5v17l14-8.5z"/><path class="stop" d="M16 15h5v16h-5zM25 15h5v16h-5z"/></svg></button>'
    )
    time = f'<span class="now">0:00</span> / {length}' if sounds else f"{length}, without sound"
    figures = "".join(
        f'<div title="{escaped(figure.meaning)}"><dt>{escaped(figure.label)}</dt><dd>{escaped(figure.value)}</dd></div>'
        for figure in panel.figures
    )
    return (
        f'<div class="head">{play if sounds else ""}<div><h2 id="take-{number}">{name}</h2>'
        f'<span class="time">{time}</span></div><dl class="figures">{figures}</dl>'
        f'<a class="download" download="{name}.mid" href="data:audio/midi;base64,{_base64(panel.midi)}" '
        f'aria-label="Download {name}.mid">↓ MIDI</a></div>'
    )


def _track(index: int, part: RollPart, sounds: bool) -> str:
    name = escaped(part.name)
    buttons = "".join(
        f'<button class="{verb.lower()}" type="button" aria-pressed="false" aria-label="{verb} {name}" '
        f'title="{verb} {name}">{verb[0]}</button>'
        for verb in ("Mute", "Solo")
    )
    swatch = f'<i class="swatch hue c{index % len(PALETTE)}"></i>'
    return f'<li data-track="{index}">{swatch}<span>{name}</span>{buttons if sounds else ""}</li>'


def _roll(panel: Panel, systems: Sequence[System], bars: int) -> str:
    rows = "".join(f'<div class="system">{system.svg}<div class="cursor"></div></div>\n' for system in systems)
    return (
        f'<div class="roll" role="slider" tabindex="0" aria-label="Place in {escaped(panel.name)}" aria-valuemin="1" '
        f'aria-valuemax="{bars}" aria-valuenow="1">{rows}</div>'
    )


def _settings(panel: Panel) -> str:
    if not panel.settings:
        return ""
    lines = "".join(f"<div><dt>{escaped(name)}</dt><dd>{escaped(value)}</dd></div>\n" for name, value in panel.settings)
    return f"<details><summary>Settings</summary><dl>{lines}</dl></details>"


def _data(drawn: Page, systems: Sequence[System], bar_seconds: Sequence[float], sound: StemSound | None) -> str:
    """Return the player's data of a piece, as JSON that cannot end its script element."""
    end = int(drawn.lines[-1])
    ticks = sorted({0, end, *(int(tempo.time) for tempo in drawn.score.tempos if 0 < tempo.time < end)})
    data = {
        "tempo": [(tick, round(seconds_at(drawn.score, tick), 5)) for tick in ticks],
        "bars": [round(seconds, 5) for seconds in bar_seconds],
        "systems": [(s.start, s.stop, round(s.left, 5), round(s.right, 5)) for s in systems],
        "sound": sound
        and {
            "gain": round(sound.gain, 5),
            "seconds": sound.seconds,
            "delay": sound.delay_seconds,
            "stems": [{"pan": stem.pan, "data": _base64(stem.data)} for stem in sound.stems],
        },
    }
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def _footer(panels: Sequence[Panel]) -> str:
    meanings = {figure.label: figure.meaning for panel in panels for figure in panel.figures if figure.meaning}
    lines = "".join(f"<p><b>{escaped(label)}</b>: {escaped(meaning)}.</p>" for label, meaning in meanings.items())
    return f"{KEYS}{lines}"

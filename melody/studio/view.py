"""A score as JSON that a page can draw: notes by track, bars, meters, keys, tempos, chords as they are heard.

Times are ticks, `tpq` of them a quarter; seconds stand beside the ticks where the tempo changes. 60 = middle C.
"""

from typing import Any

import numpy as np

from melody.formats.midi import Reading
from melody.music.chords import OCTAVE, Chord
from melody.music.general_midi import default_name, drum_name
from melody.music.heard_chords import heard
from melody.music.key import estimate_key, key_of_signature
from melody.music.score import Notes, Score, bars, end_tick, meters, notes_of
from melody.render.sound import seconds_at
from melody.storage.display import shown
from melody.studio.shelf import Sheet

LETTERS = 60


def view_of(sheet: Sheet, reading: Reading) -> dict[str, Any]:
    """Return what a page draws of a score."""
    score = reading.score
    end = end_tick(score)
    lines = bars(score) if end else np.zeros(1, np.int64)
    pitched = [track for track in score.tracks if not track.is_drum]
    return {
        "id": sheet.id,
        "name": sheet.name,
        "sha256": sheet.sha256,
        "tpq": score.tpq,
        "bars": lines.tolist(),
        "meters": [list(meter) for meter in meters(score)],
        "tempos": _tempos(score, int(lines[-1])),
        "keys": [[k.time, key_of_signature(k.key, k.tonality).name] for k in score.key_signatures],
        "key": estimate_key(score).name if any(len(track.notes) for track in pitched) else "",
        "markers": [[m.time, shown(m.text, LETTERS)] for m in score.markers if not m.text.startswith("melody: ")],
        "chords": _chords(score, lines),
        "tracks": [_track(track) for track in score.tracks],
        "take": dict(sheet.take) or None,
        "hand": [list(note) for note in sheet.hand],
    }


def _track(track: Any) -> dict[str, Any]:
    notes = notes_of(track)
    columns = (notes.onset, notes.duration, notes.pitch, notes.velocity)
    sounding = default_name(track.program, track.is_drum)
    view = {
        "name": shown(track.name.strip() or sounding, LETTERS),
        "instrument": sounding,
        "program": track.program,
        "drums": bool(track.is_drum),
        "notes": np.stack(columns, axis=1).tolist(),
    }
    if track.is_drum:
        view["drum_names"] = {int(pitch): drum_name(int(pitch)) for pitch in np.unique(notes.pitch)}
    return view


def _tempos(score: Score, end: int) -> list[list[float]]:
    """Return (tick, quarters a minute, second) where the tempo changes, and at the end."""
    changes = {0: 120.0} | {max(0, int(t.time)): float(t.qpm) for t in sorted(score.tempos, key=lambda t: t.time)}
    last = [qpm for tick, qpm in changes.items() if tick <= end][-1]
    points = {tick: qpm for tick, qpm in changes.items() if tick < end} | {end: last}
    return [[tick, round(qpm, 3), round(seconds_at(score, tick), 6)] for tick, qpm in points.items()]


def _chords(score: Score, lines: Any) -> list[list[Any]]:
    """Return (tick, symbol) of the chord heard in each bar, or half of one, where it changes."""
    voices = [notes_of(track) for track in score.tracks if not track.is_drum and len(track.notes)]
    if not voices:
        return []
    together = Notes(*map(np.concatenate, zip(*voices, strict=True)))
    middle = (lines[:-1] + lines[1:]) // 2
    edges = np.unique(np.concatenate([lines, middle]))
    names = [_symbol(*map(int, row)) for row in heard(together, edges)]
    changes = zip(edges[:-1].tolist(), names, ["", *names[:-1]], strict=True)
    return [[tick, name] for tick, name, last in changes if name not in ("", last)]


def _symbol(value: int, bass: int) -> str:
    """Return the symbol of a chord as `heard` numbers it; empty for none."""
    if not value:
        return ""
    return Chord((value - 1) % OCTAVE, (value - 1) // OCTAVE, bass - 1).name

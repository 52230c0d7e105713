"""The Groove MIDI Dataset: drummers on an electronic kit, as General MIDI drums on the grid.

The kit (Roland TD-11) has pitches of its own for rims and edges; each goes to the General MIDI drum that sounds like it
(a rim shot is a snare, the edge of a crash no splash). Timing goes to the subdivision of each beat that fits; the
deviation from it is kept apart, as the player's feel (`melody.corpus.played`), dynamics stay. The length of a hit says
nothing on drums and is a sixteenth throughout, which also mends those of no length. Two hits of one drum that fall
together become the louder one.
Source: Gillick et al., Learning to Groove with Inverse Sequence Transformations, ICML 2019.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from symusic import Track

from melody.corpus.pieces import LeftOut, one_piece
from melody.corpus.played import PlayedPiece, played_of
from melody.errors import MelodyError
from melody.formats.reading import read
from melody.music.drumkit import FOLD as SECOND_SOUNDS
from melody.music.drumkit import as_hits, folded
from melody.music.quantize import snapped, subdivisions
from melody.music.score import GRID, Ints, Notes, Score, notes_of, set_notes

_FILE = re.compile(r"(?:^|/)(drummer\d+/[\w-]+/[\w-]+_(beat|fill)_[\w-]+)\.mid$")
FOLD = SECOND_SOUNDS | {58: 43}  # the rim of the floor tom; in General MIDI a vibraslap
LEAST_HITS = 8


def items(root: Path) -> list[str]:
    """The performances below `root`, by path."""
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*.mid") if _FILE.search(path.as_posix()))


def name_of(item: str) -> str:
    """``fill/drummer1/session1/...``: what it is goes first, as the style that a model may be asked for."""
    match = _FILE.search(item)
    assert match
    return f"{'groove' if match[2] == 'beat' else 'fill'}/{match[1]}"


def read_drums(item: str, root: Path) -> Mapping[str, Score | MelodyError]:
    """One performance."""
    return one_piece(name_of(item), lambda: performance(read(root / item)))


def performance(score: Score) -> Score:
    """The drums of a score on the grid; raises `LeftOut` where there are fewer than eight hits."""
    result = on_grid(score)
    if len(result.tracks[0].notes) < LEAST_HITS:
        raise LeftOut(f"fewer than {LEAST_HITS} hits")
    return result


def on_grid(score: Score) -> Score:
    """The drums of a score as one track of General MIDI on the grid."""
    notes, onset = _drums_of(score)
    result = score.resample(GRID, 1)
    result.key_signatures = []
    track = Track("Drums", 0, True)
    set_notes(track, as_hits(notes._replace(onset=onset)))
    result.tracks = [track]
    return result


def _drums_of(score: Score) -> tuple[Notes, Ints]:
    """All drums of a score in its ticks, those of General MIDI, and their onsets on the grid."""
    tracks = [notes_of(track) for track in score.tracks if track.is_drum]
    notes = Notes(*(np.concatenate([n[column] for n in tracks] or [np.zeros(0, np.int64)]) for column in range(4)))
    ticks = notes.onset * GRID / score.tpq
    pitch = folded(notes.pitch, FOLD)
    return notes._replace(pitch=pitch), snapped(ticks, subdivisions(ticks, pitch))


def played_drums(item: str, root: Path) -> dict[str, PlayedPiece]:
    """The feel of one performance, by its name; nothing where it is no piece."""
    score = read(root / item)
    notes, onset = _drums_of(score)
    hits = len(np.unique(onset * 128 + notes.pitch))
    return {name_of(item): played_of(score, notes, onset)} if hits >= LEAST_HITS else {}


def official_split(root: Path) -> dict[str, str]:
    """The published split, of `info.csv`."""
    import csv

    path = next(root.rglob("info.csv"))
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {name_of(row["midi_filename"]): {"validation": "valid"}.get(row["split"], row["split"]) for row in rows}

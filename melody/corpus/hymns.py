"""Hymns for four voices in ABC, of the Open Hymnal Project: they train beside Bach's chorales.

Each voice is a track, from the soprano down. As the chorales say nothing of tempo and dynamics, the hymns do not
either. Left out is what is not in the public domain, has no four single voices or no meter, or has wrong bars or errors
in its ABC.
Source: Brian J. Dumont (ed.), the Open Hymnal Project, openhymnal.org.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from symusic import Track

from melody.corpus.chorale import CHOIR, VOICES, four_voices
from melody.corpus.pieces import LeftOut, abc_text, one_piece, tunes_of
from melody.errors import MelodyError
from melody.formats.abc import TuneReading
from melody.music.score import Notes, Score, notes_of, set_notes

NAMES = "hymn/"  # how the names of the pieces begin
MOST_WRONG_BARS = 2
VELOCITY = 80  # that of the chorales
_FILE = re.compile(r"(?:(?:^|/)Complete/[^/]+/|(?:^|/)abc/|^)([^/]+)\.abc$")
_RIGHTS = re.compile(r"^C:\s*copyright:\s*(?:music and setting )?public domain", re.MULTILINE)


def is_wanted(path: str) -> bool:
    """Return True for a hymn: the project's complete ones, not its choir book."""
    return _FILE.search(path) is not None


def items(root: Path) -> list[str]:
    """The hymns below `root`, by path. Raises `MelodyError` where there is none."""
    files = sorted(filter(is_wanted, (path.relative_to(root).as_posix() for path in root.rglob("*.abc"))))
    if not files:
        raise MelodyError("chorale: no hymn of the Open Hymnal Project there (Complete/*/*.abc)")
    return list({name_of(file): file for file in files}.values())


def name_of(item: str) -> str:
    """``hymn/Amazing_Grace-New_Britain``: the words and the tune."""
    match = _FILE.search(item)
    assert match
    return f"{NAMES}{match[1]}"


def read_hymn(item: str, root: Path) -> Mapping[str, Score | MelodyError]:
    """One hymn."""
    return one_piece(name_of(item), lambda: hymn(abc_text(root / item), name_of(item)))


def hymn(text: str, name: str) -> Score:
    """The four voices of a hymn in ABC; raises `LeftOut` where it is none to learn from."""
    if not _RIGHTS.search(text):
        raise LeftOut("not in the public domain")
    if re.search(r"^M:\s*none", text, re.MULTILINE):
        raise LeftOut("no meter")
    reading = tunes_of(text, name)[name]
    if isinstance(reading, MelodyError):
        raise reading
    voices = [notes_of(track) for track in reading.score.tracks if len(track.notes)]
    if len(voices) != len(VOICES) or not all(map(_is_single, voices)):
        raise LeftOut("not for four single voices")
    _check_bars(reading, voices)
    return four_voices(_as_chorale(reading.score, voices), name)


def _is_single(notes: Notes) -> bool:
    return not np.any(notes.onset[1:] < (notes.onset + notes.duration)[:-1])


def _check_bars(reading: TuneReading, voices: list[Notes]) -> None:
    if reading.has_errors:
        raise LeftOut("errors in its ABC")
    ends = {int(notes.onset[-1] + notes.duration[-1]) for notes in voices}
    if reading.wrong_bars > MOST_WRONG_BARS or len(ends) > 1:
        raise LeftOut("wrong bars")


def _as_chorale(score: Score, voices: list[Notes]) -> Score:
    """The score with voices named as a chorale's, and without tempo and dynamics."""
    result = score.copy()
    result.markers = []
    result.tempos = []
    result.tracks = []
    for name, notes in zip(VOICES, voices, strict=True):
        track = Track(name, CHOIR, False)
        set_notes(track, notes._replace(velocity=np.full_like(notes.velocity, VELOCITY)))
        result.tracks.append(track)
    return result

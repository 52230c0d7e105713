"""Lead sheets: a tune and the chords that its symbols ask for, two tracks.

The chords lie in close position below or among the tune, each from its symbol to the next and struck anew at every bar
line. So little is said of loudness that none is read. Repeats, endings, D.C. and D.S. are played out; words go. These
sheets state no mode but major: where the last chord confirms another key, that is taken.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from symusic import Track

from melody.corpus.chorale import correct_key
from melody.corpus.folk import VELOCITY
from melody.corpus.lied import PIANO, VOICE
from melody.corpus.pieces import LeftOut, one_piece
from melody.errors import MelodyError
from melody.formats.reading import read
from melody.music.chords import SEVENTH
from melody.music.progressions import held, markers_as_chords
from melody.music.score import Score, bars, notes_of, set_notes

_FILE = re.compile(r"(?:^|/)(?:musicxml|dataset/[^/:]+/[^/:]+)/([^/:]+)\.mxl$")


def is_wanted(path: str) -> bool:
    """Return True for a sheet of OpenEWLD."""
    return _FILE.search(path) is not None


def items(root: Path) -> list[str]:
    """Return the sheets below `root`, by path."""
    return sorted(filter(is_wanted, (path.relative_to(root).as_posix() for path in root.rglob("*.mxl"))))


def name_of(item: str) -> str:
    """Return ``Makin_Whoopee``: the title, with an underscore for all that is no letter, digit or hyphen."""
    match = _FILE.search(item)
    assert match
    return re.sub(r"(?:[^\w-]|_)+", "_", match[1]).strip("_")


def read_lead(item: str, root: Path) -> Mapping[str, Score | MelodyError]:
    """Read one sheet."""
    return one_piece(name_of(item), lambda: tune_and_chords(read(root / item)))


def tune_and_chords(score: Score) -> Score:
    """Return the tune and its chords; raises `LeftOut` for several parts or voices, and where no chord is told."""
    tracks = [notes_of(track) for track in score.tracks if len(track.notes)]
    if len(tracks) > 1 or np.any(tracks[0].onset[1:] < (tracks[0].onset + tracks[0].duration)[:-1]):
        raise LeftOut("more than a tune")
    spans = markers_as_chords(score)
    if not spans:
        raise LeftOut("symbols that may be marks of sections")
    tune, chords = Track("Tune", VOICE, False), Track("Chords", PIANO, False)
    set_notes(tune, tracks[0]._replace(velocity=np.full_like(tracks[0].velocity, VELOCITY)))
    set_notes(chords, held(spans, bars(score)))
    result = score.copy()
    result.markers = []
    result.tracks = [tune, chords]
    last = next(span.chord for span in reversed(spans) if span.chord)
    if last.quality != SEVENTH:  # by which some lead back to where they begin
        correct_key(result, last.root)
    return result

"""Piano music for two hands: Polish music and first editions of Chopin in kern, and rags.

A piece has two tracks, right and left hand: the staves of the page where there are two, else the notes are given to the
hands as in `melody.music.hands`. The first folder of a piece's name is its kind, found in what its file says of itself:
``mazurka/030-1-KI-001``. Ties merge, grace notes go, signs of dynamics are velocities, repeats are not played out.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from symusic import Track

from melody.corpus.pieces import LeftOut, one_piece, read_kern
from melody.errors import MelodyError
from melody.formats.reading import read
from melody.music.hands import in_left_hand
from melody.music.quantize import STEPS
from melody.music.score import GRID, Notes, Score, notes_of, set_notes, without_overlaps

HANDS = ("Right hand", "Left hand")
LEAST_NOTES = 100
MOST_OFF_GRID, OFF_TICKS = 0.25, 0.5  # share of onsets farther than so many ticks from every tuplet of the grid
RAG = "rag"
_FILE = re.compile(r"(?:^|/)kern/(?:(?:pl|ch)/)?[^/]+\.krn$|(?:^|/)rag/(?:midi/)?[^/]+\.mid$")
_DEFAULT_QPM = 60.0  # LilyPond's, where a rag states no tempo
_TOLD = re.compile(r"^!!!(?:AGN|OTL|GTL|OMV|OPT)[^:]*:(.*)$", re.MULTILINE)
KINDS = {  # by words of the title, the genre or the file's name, the first that is there
    "mazurka": r"ma[zs]o?ur|ober[et]|kujawiak",
    "waltz": r"wal[ctz]|val[sc]|l[aä]ndler",
    "polonaise": r"polon|polac",
    "nocturne": r"no[ck]t",
    "etude": r"[eéè]ti?u?d|exerci",
    "prelude": r"pr[eéaä]e?lud",
    "march": r"march|marsz|marsch",
    "sonata": r"sonat",
    "rondo": r"rond",
    "fugue": r"fug(?:a|ue)|doppelfug",
    "dance": r"polka|galop|krakow|[ck]raco|[ck]ontr[ae]?d|angl[ae]|[eé]coss|[ck]ot[iy]l|m[ei]nu|gavot|quadr|kadryl",
}
OTHER = "piece"


def items(root: Path) -> list[str]:
    """The pieces below `root`, by path."""
    return sorted(path for path in _paths(root) if is_wanted(path))


def _paths(root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in root.rglob("*.*")]


def is_wanted(path: str) -> bool:
    """Return True for a file that may be a piece of the corpus."""
    return _FILE.search(path) is not None


def name_of(item: str, root: Path) -> str:
    """``waltz/064-1-BH-001``: the kind of the piece, and its file."""
    path = root / item
    if path.suffix == ".mid":
        return f"{RAG}/{path.stem}"
    told = _TOLD.findall(path.read_text(encoding="utf-8", errors="replace"))
    words = " ".join([*told, path.stem])
    kind = next(
        (kind for kind, pattern in KINDS.items() if re.search(rf"\b(?:{pattern})", words, re.IGNORECASE)), OTHER
    )
    return f"{kind}/{path.stem}"


def read_piano(item: str, root: Path) -> Mapping[str, Score | MelodyError]:
    """Read one piece."""
    name, path = name_of(item, root), root / item
    if path.suffix == ".mid":
        return one_piece(name, lambda: two_hands(_without_default(read(path))))
    return one_piece(name, lambda: two_hands(read_kern(path, staves=True)))


def _without_default(score: Score) -> Score:
    result = score.copy()
    if [tempo.qpm for tempo in score.tempos] == [_DEFAULT_QPM]:
        result.tempos = []
    return result


def two_hands(score: Score) -> Score:
    """The score with a track for each hand; raises `LeftOut` for what is too short, or off the grid."""
    sounding = [notes_of(track) for track in score.tracks if len(track.notes)]
    if sum(len(notes.onset) for notes in sounding) < LEAST_NOTES:
        raise LeftOut(f"fewer than {LEAST_NOTES} notes")
    if _off_grid(np.concatenate([notes.onset for notes in sounding]) * (GRID / score.tpq)) > MOST_OFF_GRID:
        raise LeftOut("off the grid")
    result = score.copy()
    result.markers = []
    result.tracks = []
    for name, notes in zip(HANDS, _hands(sounding), strict=True):
        track = Track(name, 0, False)
        set_notes(track, without_overlaps(notes))
        result.tracks.append(track)
    if not all(len(track.notes) for track in result.tracks):
        raise LeftOut("for one hand")
    return result


def _off_grid(onsets: np.ndarray) -> float:
    """Share of onsets that no subdivision of a beat has."""
    nearest = np.min([np.abs(onsets - np.round(onsets / step) * step) for step in STEPS], axis=0)
    return float((nearest > OFF_TICKS).mean())


def _hands(staves: list[Notes]) -> tuple[Notes, Notes]:
    if len(staves) == 2:
        return staves[0], staves[1]
    together = Notes(*(np.concatenate(column) for column in zip(*staves, strict=True)))
    in_left = in_left_hand(together.onset, together.pitch)
    return together.take(np.flatnonzero(~in_left)), together.take(np.flatnonzero(in_left))

"""Bands: drums, bass, chords and lines of music written for games, by the role of each track.

A piece has up to eight tracks, one for each place: `PLACES`. A track's role is found by `melody.music.roles`, the same
rule by which a musician's tracks find theirs. Of several tracks of a role the fullest goes on, a second line beside the
lead; the others are left out, and so are copies (an echo, or a doubling at the octave), or a model would learn to copy.
Timing goes to the subdivision of each beat that fits, as in `melody.corpus.drums`, and drums are hits.

The first folder of a piece's name is its style, by the instruments that carry it (`style_of`), for nobody says of these
pieces what they are: ``rock/freedoom/d_e1m1``.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from symusic import TimeSignature, Track

from melody.corpus.pieces import LeftOut, Placed, one_piece
from melody.errors import MelodyError
from melody.formats.reading import read
from melody.music.drumkit import as_hits, folded
from melody.music.quantize import snapped, subdivisions
from melody.music.roles import Role, copies_of, roles_of
from melody.music.score import GRID, Score, notes_of, set_notes, without_overlaps

COLLECTIONS = {"free-music": "helland"}  # by the names of their repositories, where they are called otherwise here
_FILE = re.compile(r"(?:^|/)(freedoom|simutrans|helland|free-music|blasphemer)(?:-[0-9a-f]+)?/(?:[^/]+/)*([^/]+)\.mid$")
PLACES: tuple[tuple[str, Role, int], ...] = (  # name, role, and the program of a piece from nothing
    ("Drums", "drums", 0),
    ("Bass", "bass", 33),
    ("Chords", "chords", 4),
    ("Guitar", "guitar", 27),
    ("Lead", "lead", 80),
    ("Second", "lead", 73),
    ("Pad", "pad", 50),
    ("Arpeggio", "arpeggio", 81),
)
# Pieces that state no meter and turn every so many quarters, the first bar after so many: found by their downbeats.
METERS = {"freedoom/d_dm02": (5, 2), "freedoom/d_dm29": (7, 0), "freedoom/d_e3m2": (11, 2)}
ROCK = frozenset((29, 30, 31))  # guitars with distortion
ELECTRONIC = frozenset((38, 39, 50, 51, 54, 55, 62, 63, *range(80, 104)))  # what only a synthesizer plays
ORCHESTRAL = frozenset((*range(40, 50), 52, 53, *range(56, 62), *range(68, 80)))  # strings, choirs, brass, woodwinds
LEAST_ROCK, MOST = 0.15, 0.5  # shares of the pitched notes
SET_UP = 0.5  # quarters: an empty first bar of such a length or less only sets up the synthesizer
LEAST_TRACKS, LEAST_NOTES = 3, 200
MOST_OFF_GRID, OFF_TICKS = 0.25, 1.5  # share of onsets farther than so many ticks from the sixteenth and triplet grid


def items(root: Path) -> list[str]:
    """Return the pieces below `root`, by path."""
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*.mid") if _FILE.search(path.as_posix()))


def name_of(item: str) -> str:
    """Return ``freedoom/d_dm02``: the collection and the piece, with an underscore for every space and bracket."""
    match = _FILE.search(item)
    assert match
    return f"{COLLECTIONS.get(match[1], match[1])}/{re.sub(r'[^A-Za-z0-9_.-]', '_', match[2])}"


def styled_name_of(item: str, root: Path) -> str:
    """Return the name of the piece with its style before it."""
    return f"{style_of(read(root / item))}/{name_of(item)}"


def read_band(item: str, root: Path) -> Mapping[str, Score | Placed | MelodyError]:
    """Read one piece."""
    name = name_of(item)
    try:
        score = read(root / item)
    except MelodyError as error:
        return {name: error}
    return one_piece(f"{style_of(score)}/{name}", lambda: Placed(band_of(_mended(name, score))))


def style_of(score: Score) -> str:
    """Return ``rock``, ``electronic``, ``orchestral`` or ``acoustic``: by the programs of most of its pitched notes."""
    programs = np.array([t.program for t in score.tracks if not t.is_drum for _ in range(len(t.notes))], np.int64)
    share = {kind: float(np.isin(programs, [*kind]).mean()) for kind in (ROCK, ELECTRONIC, ORCHESTRAL) if len(programs)}
    if share.get(ROCK, 0) >= LEAST_ROCK:
        return "rock"
    if share.get(ELECTRONIC, 0) >= MOST:
        return "electronic"
    return "orchestral" if share.get(ORCHESTRAL, 0) >= MOST else "acoustic"


def _mended(name: str, score: Score) -> Score:
    """The score in its true meter, without a bar that only sets up the synthesizer."""
    score = score.copy()
    if name in METERS:
        quarters, first = METERS[name]
        pickup = [TimeSignature(0, first, 4)] if first else []
        score.time_signatures = [*pickup, TimeSignature(first * score.tpq, quarters, 4)]
    meters = sorted(score.time_signatures, key=lambda meter: meter.time)
    onsets = [int(notes_of(track).onset.min()) for track in score.tracks if track.notes]
    if len(meters) < 2 or not 0 < meters[1].time <= min(SET_UP * score.tpq, min(onsets, default=0)):
        return score
    score.time_signatures = meters[1:]
    return score.shift_time(-meters[1].time)


def band_of(score: Score) -> Score:
    """Return a score with a track for each of `PLACES`, some without notes; raises `LeftOut` where that is no band."""
    onsets = np.concatenate([np.zeros(0), *(_ticks(score, notes_of(track).onset) for track in score.tracks)])
    off = np.minimum(_distance(onsets, GRID // 4), _distance(onsets, GRID // 3)) > OFF_TICKS
    if len(onsets) and off.mean() > MOST_OFF_GRID:
        raise LeftOut("off the grid of sixteenths and triplets")
    chosen = _chosen(score)
    if len(chosen) < LEAST_TRACKS or sum(len(track.notes) for track in chosen.values()) < LEAST_NOTES:
        raise LeftOut(f"fewer than {LEAST_TRACKS} roles, or than {LEAST_NOTES} notes in them")
    pitch = np.concatenate([notes_of(track).pitch for track in score.tracks])
    steps = subdivisions(onsets, pitch)
    result = score.resample(GRID, 1)
    result.markers = []
    result.tracks = [
        _placed(score, chosen[place], name, steps) if place in chosen else Track(name, program, role == "drums")
        for place, (name, role, program) in enumerate(PLACES)
    ]
    return result


def _chosen(score: Score) -> dict[int, Track]:
    """The track of each place that is filled."""
    copies = copies_of(score)
    by_role: dict[Role, list[Track]] = {}
    for number, (track, found) in enumerate(zip(score.tracks, roles_of(score), strict=True)):
        if number not in copies:
            by_role.setdefault(found.role, []).append(track)
    for tracks in by_role.values():
        tracks.sort(key=lambda track: -len(track.notes))
    chosen = {}
    for place, (_, role, _) in enumerate(PLACES):
        if by_role.get(role):
            chosen[place] = by_role[role].pop(0)
    return chosen


def _placed(score: Score, track: Track, name: str, steps: np.ndarray) -> Track:
    """A track on the grid, under the name of its place."""
    notes = notes_of(track)
    start = snapped(_ticks(score, notes.onset), steps)
    stop = snapped(_ticks(score, notes.onset + notes.duration), steps)
    notes = notes._replace(onset=start, duration=np.maximum(3, stop - start))
    placed = Track(name, 0 if track.is_drum else track.program, track.is_drum)
    set_notes(placed, as_hits(notes._replace(pitch=folded(notes.pitch))) if track.is_drum else without_overlaps(notes))
    return placed


def _ticks(score: Score, ticks: Sequence[int] | np.ndarray) -> np.ndarray:
    """Ticks of a score as ticks of the grid, not rounded."""
    result: np.ndarray = np.asarray(ticks) * GRID / score.tpq
    return result


def _distance(ticks: np.ndarray, step: int) -> np.ndarray:
    """Distance to the nearest multiple of a step."""
    result: np.ndarray = np.abs(ticks - np.round(ticks / step) * step)
    return result

"""String quartets from OpenScore: two violins, a viola and a violoncello, a piece a movement.

Read from the project's MusicXML, or from MIDI made of it with the dynamics as velocities. A score holds a whole work:
it is cut where a meter and a tempo are written at a bar line over which nobody plays. So a slow introduction is a piece
of its own. Works whose bars are fuller than their meter are left out.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from melody.corpus.openscore import joined, number_of, numbered
from melody.corpus.pieces import LeftOut
from melody.errors import MelodyError
from melody.formats.reading import read
from melody.music.score import Score, bars, clip, notes_of

KIND = "sq"  # how the numbers of works begin
# Works of which some bar holds more than its meter, so that its last notes would stand in the next one.
OVERFULL = frozenset(
    re.findall(
        r"\d+",
        "11539384 12772795 13744399 7267316 7354505 7555331 8482283 8630159 8661306 8796660 8928855 9071492 9631717",
    )
)
PARTS = (("Violin 1", 40), ("Violin 2", 40), ("Viola", 41), ("Violoncello", 42))  # names and programs
LEAST_BARS = 16  # of a movement: less goes on with what follows


def items(root: Path) -> list[str]:
    """Return the quartets below `root`, by path."""
    return numbered(root, KIND)


def read_quartet(item: str, root: Path) -> Mapping[str, Score | MelodyError]:
    """Read one work: its movements, ``sq7313978-1`` and so on, or why it is left out."""
    work = number_of(item, KIND)
    if work[2:] in OVERFULL:
        return {work: LeftOut("overfull bars")}
    try:
        score = four_parts(read(root / item))
    except MelodyError as error:
        return {work: error}
    return {f"{work}-{number}": movement for number, movement in enumerate(movements(score), 1)}


def four_parts(score: Score) -> Score:
    """Return the score with its four tracks; raises `LeftOut` where it has others."""
    tracks = [track for track in score.tracks if len(track.notes)]
    places = [_part(track.name) for track in tracks]
    if set(places) != set(range(len(PARTS))):
        raise LeftOut("not for a string quartet")
    by_part = [
        [track for track, own in zip(tracks, places, strict=True) if own == place] for place in range(len(PARTS))
    ]
    result = score.copy()
    result.markers = []
    result.tracks = [joined(*part, own) for part, own in zip(PARTS, by_part, strict=True)]
    return result


def _part(name: str) -> int | None:
    if re.search(r"violon?cello|\bcello", name, re.IGNORECASE):
        return 3
    if re.search(r"viola|bratsche|\balto", name, re.IGNORECASE):
        return 2
    if re.search(r"viol[io]n|geige", name, re.IGNORECASE):
        return 1 if re.search(r"(2|II)\.?$", name.strip()) else 0
    return None


def movements(score: Score) -> list[Score]:
    """Return the movements of a score, each from tick 0."""
    lines = bars(score)
    written = {change.time for change in score.time_signatures} & {change.time for change in score.tempos}
    cuts = [0]
    for bar, tick in enumerate(lines[:-1].tolist()):
        if bar - cuts[-1] >= LEAST_BARS and tick in written and not _sounds_over(score, tick):
            cuts.append(bar)
    ends = [*cuts[1:], len(lines) - 1]
    return [clip(score, first, last) for first, last in zip(cuts, ends, strict=True)]


def _sounds_over(score: Score, tick: int) -> bool:
    notes = [notes_of(track) for track in score.tracks]
    return any(bool(np.any((part.onset < tick) & (part.onset + part.duration > tick))) for part in notes)

"""Tunes of Ireland, Scotland and America, one melody each: Ceol Rince na hEireann and three books in music21's corpus.

Books of ABC are read tune by tune. Repeats are played out; grace notes, ornaments and dynamics go. A tune with wrong
bars at more than two places is left out; others get a meter of their own, so that what follows stays on the beat.
abc2midi made the MIDI files of Ceol Rince: it begins notes a tick late and marks the first note of each bar by its
velocity, which tells where the bars are.
"""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
from symusic import TimeSignature, Track

from melody.corpus.pieces import LeftOut, abc_text, one_piece, tunes_of
from melody.errors import MelodyError
from melody.formats.abc import TuneReading
from melody.formats.reading import read
from melody.music.score import GRID, Notes, Score, bar_length, notes_of, set_notes

BOOKS = ("oneills1850", "ryansMammoth", "airdsAirs")  # folders of music21's corpus
MOST_WRONG_BARS = 2
LEAST_NOTES = 24
VELOCITY = 80
PROGRAM = 73  # "Flute"
_CRE = re.compile(r"(?:(?:^|/)cre_corpus/MIDI|(?:^|^cre/)midi)/[^/]+\.mid$")
_DOWNBEAT = 105  # abc2midi's velocity for the first note of a bar


def is_wanted(path: str) -> bool:
    """Return True for files of Ceol Rince: The Session's, in the same repository, must not be read (its licence)."""
    return _CRE.search(path) is not None


def items(root: Path) -> list[str]:
    """The MIDI files below `root` and the books of music21, as ``music21:oneills1850/0001-0050.abc``."""
    cre = sorted(filter(is_wanted, (path.relative_to(root).as_posix() for path in root.rglob("*.mid"))))
    corpus = music21_corpus()
    books = sorted(path for book in BOOKS for path in (corpus / book).glob("*.abc"))
    return cre + [f"music21:{path.relative_to(corpus).as_posix()}" for path in books]


def music21_corpus() -> Path:
    """The folder of music21's corpus, found without importing music21. Raises `MelodyError` where it is not there."""
    from importlib.util import find_spec

    spec = find_spec("music21")
    if spec is None or spec.origin is None:
        raise MelodyError("folk: three of its books come with music21; pip install music21")
    return Path(spec.origin).parent / "corpus"


def read_folk(item: str, root: Path) -> Mapping[str, Score | MelodyError]:
    """The tunes of one file."""
    if not item.startswith("music21:"):
        return one_piece(f"cre/{Path(item).stem}", lambda: ceol_rince(read(root / item)))
    name = item.removeprefix("music21:")
    text = abc_text(music21_corpus() / name).replace("`", "")  # marks that only space the print
    result: dict[str, Score | MelodyError] = {}
    for own, reading in tunes_of(text, name.removesuffix(".abc")).items():
        result |= {own: reading} if isinstance(reading, MelodyError) else one_piece(own, partial(tune, reading))
    return result


def tune(reading: TuneReading) -> Score:
    """Return the melody of a tune in ABC; raises `LeftOut` where its bars are wrong."""
    if reading.wrong_bars > MOST_WRONG_BARS:
        raise LeftOut("more than two wrong bars")
    return melody_of(reading.score)


def ceol_rince(score: Score) -> Score:
    """The melody of a file of Ceol Rince, with its pickup; raises `LeftOut` where its bars are wrong."""
    result = score.copy()
    notes = notes_of(score.tracks[0])
    late = (notes.onset > 0).astype(np.int64)
    set_notes(result.tracks[0], notes._replace(onset=notes.onset - late, duration=notes.duration + late))
    result.time_signatures = heard_meters(result)
    odd_bars = sum(change.time > 0 for change in result.time_signatures[1:]) // 2
    if odd_bars > MOST_WRONG_BARS:
        raise LeftOut("more than two wrong bars")
    return melody_of(result)


def heard_meters(score: Score) -> list[TimeSignature]:
    """The meter with the odd bars that the accents tell of, a pickup among them; each has a signature of its own.

    An accent within a bar that the next accent agrees with is no bar line. Raises `LeftOut` for several meters.
    """
    meter = score.time_signatures[-1]
    if any((m.numerator, m.denominator) != (meter.numerator, meter.denominator) for m in score.time_signatures[2:]):
        raise LeftOut("wrong bars among several meters")
    notes = notes_of(next(track for track in score.tracks if len(track.notes)))
    accents = notes.onset[notes.velocity == _DOWNBEAT].tolist()
    bar = int(bar_length(meter.numerator, meter.denominator, score.tpq))
    result = [TimeSignature(0, meter.numerator, meter.denominator)]
    line = 0
    for accent, after in zip(accents, [*accents[1:], -1], strict=True):
        rest = (accent - line) % bar
        if rest and (after - line) % bar == 0:
            continue
        if rest:
            result += [_odd_meter(accent - rest, rest, score.tpq), meter.copy()]
            result[-1].time = accent
        line = accent
    return result if len(result) < 2 or result[1].time else result[1:]


def _odd_meter(tick: int, length: int, tpq: int) -> TimeSignature:
    unit = next((unit for unit in (4, 8, 16, 32) if length * unit % (4 * tpq) == 0), None)
    if unit is None:
        raise LeftOut("off the grid")
    return TimeSignature(tick, length * unit // (4 * tpq), unit)


def melody_of(score: Score) -> Score:
    """The highest notes of the first track as one line without dynamics; raises `LeftOut` for what is no tune."""
    source = next(track for track in score.tracks if len(track.notes))
    notes = notes_of(source)
    notes = notes.take(np.lexsort((-notes.pitch, notes.onset)))
    notes = notes.take(np.unique(notes.onset, return_index=True)[1])
    if len(notes.onset) < LEAST_NOTES:
        raise LeftOut(f"fewer than {LEAST_NOTES} notes")
    if np.any(notes.onset * GRID % score.tpq):
        raise LeftOut("off the grid")
    until_next = np.append(np.diff(notes.onset), notes.duration[-1])
    result = score.copy()
    result.markers = []
    track = Track("Melody", PROGRAM, False)
    velocity = np.full(len(notes.onset), VELOCITY)
    set_notes(track, Notes(notes.onset, np.minimum(notes.duration, until_next), notes.pitch, velocity))
    result.tracks = [track]
    return result

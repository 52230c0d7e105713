"""MusicXML, and whatever else music21 reads, as a `Score` at 480 ticks a quarter.

One track a part (both staves of a piano are one part), at sounding pitch; tied notes are one note, grace notes are left
out, repeats are not unfolded. Bars come from the measures, which begin together in all parts: where no part fills the
meter exactly, the longest sets a measure's length. Then, measure by measure::

    1/4 | 4/4 | 3/4 + 1/4 | 4/4 | 3/4 |      lengths as encoded, meter 4/4
    1/4 | 4/4 |    4/4    | 4/4 | 4/4 |      as read: the pickup keeps a meter of its own, a bar that a repeat or a
                                             fermata has split is whole again, the last bar is filled up

A short measure that nothing completes keeps a meter of its own. music21 is imported when a function is called.
"""

import os
import warnings
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from symusic import KeySignature, Tempo, TimeSignature, Track

from melody.errors import MelodyError, UnreadableFile
from melody.score import TICKS_PER_QUARTER, Notes, Score, set_notes

DEFAULT_VELOCITY = 80  # where the file gives none
DRUM_CHANNEL = 10
MINOR_MODES = ("minor", "aeolian", "dorian", "phrygian", "locrian")


class Measure(NamedTuple):
    """A measure as encoded: its length and its meter's, both in quarters, and the meter."""

    length: Fraction
    meter: tuple[int, int]

    @property
    def full(self) -> Fraction:
        """Quarters of a whole bar of the meter."""
        return Fraction(4 * self.meter[0], self.meter[1])


def read_musicxml(path: str | os.PathLike[str]) -> Score:
    """Read a MusicXML file (.musicxml, .xml, .mxl). Raises `UnreadableFile` where music21 makes no music of it."""
    path = Path(path)
    if not path.is_file():
        raise UnreadableFile(f"{path}: no such file")
    from music21 import converter

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # music21 comments on every oddity of a file
            stream = converter.parse(path, format="musicxml", forceSource=True)
            return from_music21(stream, path.name)
    except MelodyError:
        raise
    except Exception as error:  # music21 raises whatever a broken file leads it to
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise UnreadableFile(f"{path}: not readable as MusicXML ({reason}); open it in a notation editor") from error


def from_music21(stream: Any, name: str) -> Score:
    """The score of a music21 stream (a Score, or a single Part with or without measures), at 480 ticks a quarter.

    `name` stands for the piece in messages. A key signature without a mode gets the mode that the notes suggest.
    Raises `UnreadableFile` for a collection of pieces and for a stream without notes.
    """
    from music21.stream.base import Opus

    if isinstance(stream, Opus):
        raise UnreadableFile(f"{name}: holds {len(stream.scores)} pieces; melody reads one piece a file; split it")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _read_parts(_parts(stream), name)


def _read_parts(parts: list[Any], name: str) -> Score:
    grid = [list(part.getElementsByClass("Measure")) for part in parts]
    measures = _measures(grid)
    starts = [*accumulate((measure.length for measure in measures), initial=Fraction(0))]
    score = Score(TICKS_PER_QUARTER)
    for group in _by_instrument(parts):
        score.tracks.append(_track([parts[i] for i in group], [grid[i] for i in group], starts, len(score.tracks)))
    if not any(len(track.notes) for track in score.tracks):
        raise UnreadableFile(f"{name}: no notes in it")
    score.time_signatures = _time_signatures(measures)
    score.tempos = _tempos(grid, starts)
    score.key_signatures = _key_signatures(grid, starts)
    _settle_modes(score, grid)
    return score


# ---- parts and measures ---------------------------------------------------------------------------------------------


def _parts(stream: Any) -> list[Any]:
    """The parts, at sounding pitch and divided into measures."""
    transposes = any(i.transposition for i in stream.recurse().getElementsByClass("Instrument"))
    stream = stream.toSoundingPitch() if transposes else stream
    parts = list(getattr(stream, "parts", None) or [stream])
    return [part if part.hasMeasures() else part.makeMeasures() for part in parts]


def _by_instrument(parts: list[Any]) -> list[list[int]]:
    """Indices of the parts of each instrument: the importer calls the staves of part P1 P1-Staff1 and P1-Staff2."""
    groups: dict[str, list[int]] = {}
    for index, part in enumerate(parts):
        label, staff, _ = str(part.id).partition("-Staff")
        groups.setdefault(label if staff else f"{label} {index}", []).append(index)
    return list(groups.values())


def _measures(grid: list[list[Any]]) -> list[Measure]:
    """The measures of all parts together."""
    by_part = [_lengths(measures) for measures in grid]
    meter = (4, 4)
    result = []
    for index in range(max(map(len, grid))):
        for change in _first_elements(grid, index, "TimeSignature")[:1]:
            meter = (change.numerator, change.denominator)
        lengths = [part[index] for part in by_part if index < len(part)]
        full = Measure(Fraction(4 * meter[0], meter[1]), meter)
        result.append(full if full.length in lengths else full._replace(length=max(lengths)))
    return result


def _lengths(measures: list[Any]) -> list[Fraction]:
    """The length in quarters of each measure of a part, by where the next one begins."""
    ends = [m.offset for m in measures[1:]]
    ends += [m.offset + (m.highestTime or m.barDuration.quarterLength) for m in measures[-1:]]
    return [_fraction(end) - _fraction(m.offset) for m, end in zip(measures, ends, strict=True)]


def _fraction(quarters: Any) -> Fraction:
    return Fraction(quarters).limit_denominator(65_536)


def _ticks(quarters: Fraction) -> int:
    return int(quarters * TICKS_PER_QUARTER + Fraction(1, 2))


def _first_elements(grid: list[list[Any]], index: int, kind: str) -> list[Any]:
    """The elements of a kind in the measure with that index of the first part that has any."""
    found = (list(m[index].recurse().getElementsByClass(kind)) for m in grid if index < len(m))
    return next((elements for elements in found if elements), [])


# ---- notes ----------------------------------------------------------------------------------------------------------


class _Sound(NamedTuple):
    start: Fraction  # quarters
    end: Fraction
    pitch: int
    velocity: int
    continues: bool  # tied to a note before


def _track(staves: list[Any], grid: list[list[Any]], starts: list[Fraction], index: int) -> Track:
    instrument = staves[0].getInstrument(returnDefault=False)
    sounds = [s for measures in grid for m, start in zip(measures, starts, strict=False) for s in _sounds(m, start)]
    drums = getattr(instrument, "midiChannel", None) == DRUM_CHANNEL - 1 or _is_percussion(instrument)
    program = getattr(instrument, "midiProgram", None) or 0
    track = Track(staves[0].partName or f"Part {index + 1}", 0 if drums else program, drums)
    set_notes(track, _notes(_untie(sounds)))
    return track


def _is_percussion(instrument: Any) -> bool:
    from music21.instrument import UnpitchedPercussion

    return isinstance(instrument, UnpitchedPercussion)


def _sounds(measure: Any, start: Fraction) -> Iterator[_Sound]:
    """The sounding notes of a measure, in all its voices."""
    from music21.harmony import Harmony

    for event in measure.recurse().notes:
        if event.duration.isGrace or not event.quarterLength or isinstance(event, Harmony):
            continue
        onset = start + _fraction(event.getOffsetInHierarchy(measure))
        end = onset + _fraction(event.quarterLength)
        for note in getattr(event, "notes", (event,)):
            continues = note.tie is not None and note.tie.type in ("stop", "continue")
            yield _Sound(onset, end, _midi_pitch(note), note.volume.velocity or DEFAULT_VELOCITY, continues)


def _midi_pitch(note: Any) -> int:
    if hasattr(note, "pitch"):
        return int(note.pitch.midi)
    stored = getattr(note.storedInstrument, "percMapPitch", None)  # an unpitched drum
    return int(note.displayPitch().midi if stored is None else stored)


def _untie(sounds: list[_Sound]) -> list[_Sound]:
    """Join what is tied: a note that continues the one of its pitch that ends where it begins."""
    ended: dict[tuple[int, Fraction], int] = {}  # (pitch, end) -> index in result
    result: list[_Sound] = []
    for sound in sorted(sounds):
        before = ended.pop((sound.pitch, sound.start), None) if sound.continues else None
        if before is None:
            before = len(result)
            result.append(sound)
        else:
            result[before] = result[before]._replace(end=sound.end)
        ended[sound.pitch, sound.end] = before
    return result


def _notes(sounds: Sequence[_Sound]) -> Notes:
    rows = [(_ticks(s.start), max(1, _ticks(s.end) - _ticks(s.start)), s.pitch, s.velocity) for s in sounds]
    return Notes(*np.array(rows, np.int64).reshape(-1, 4).T)


# ---- meters ---------------------------------------------------------------------------------------------------------


def _time_signatures(measures: Sequence[Measure]) -> list[TimeSignature]:
    """The meter map: a change wherever a bar's meter differs from that of the bar before."""
    result: list[TimeSignature] = []
    start = Fraction(0)
    meter: tuple[int, int] | None = None
    for length, own in whole_bars(measures):
        if own is None or own != meter:  # a bar that no meter fits is cut short by the next one's signature
            result.extend([TimeSignature(_ticks(start), *own)] if own else [])
            meter = own
        start += length
    return result


def whole_bars(measures: Sequence[Measure]) -> list[tuple[Fraction, tuple[int, int] | None]]:
    """The bars of a piece as (length in quarters, meter); see the module's drawing. None where no meter fits."""
    bars: list[tuple[Fraction, tuple[int, int] | None]] = []
    pending: Measure | None = None  # the part of a split bar read so far
    for index, measure in enumerate(measures):
        if pending and (pending.meter != measure.meter or pending.length + measure.length > measure.full):
            bars.append((pending.length, _own_meter(pending.length)))
            pending = None
        measure = measure._replace(length=measure.length + (pending.length if pending else 0))
        pending = None
        while measure.length >= measure.full:
            bars.append((measure.full, measure.meter))
            measure = measure._replace(length=measure.length - measure.full)
        if index == 0 and measure.length and len(measures) > 1 and not bars:
            bars.append((measure.length, _own_meter(measure.length)))  # a pickup stands alone
        elif measure.length:
            pending = measure
    return [*bars, (pending.full, pending.meter)] if pending else bars


def _own_meter(length: Fraction) -> tuple[int, int] | None:
    """The meter of a bar of `length` quarters, in the largest unit from quarters down to 64ths."""
    for denominator in (4, 8, 16, 32, 64):
        numerator = length * denominator / 4
        if numerator.denominator == 1:
            return int(numerator), denominator
    return None


# ---- keys and tempos ------------------------------------------------------------------------------------------------


def _key_signatures(grid: list[list[Any]], starts: list[Fraction]) -> list[KeySignature]:
    result: list[KeySignature] = []
    for index, start in enumerate(starts[:-1]):
        for key in _first_elements(grid, index, "KeySignature"):
            if key.sharps is None or not -7 <= key.sharps <= 7:
                continue
            minor = int(getattr(key, "mode", None) in MINOR_MODES)
            tick = _ticks(start + _fraction(key.offset))
            if not result or (result[-1].key, result[-1].tonality) != (key.sharps, minor):
                result.append(KeySignature(tick, key.sharps, minor))
    return result


def _settle_modes(score: Score, grid: list[list[Any]]) -> None:
    """Where no signature says its mode, take the mode of the key that the notes suggest; changes `score`."""
    written = [key for measures in grid for m in measures for key in m.recurse().getElementsByClass("KeySignature")]
    if any(getattr(key, "mode", None) for key in written) or not score.key_signatures:
        return
    from melody.key import estimate_key

    tonality = estimate_key(score).tonality
    for key in score.key_signatures:
        key.tonality = tonality


def _tempos(grid: list[list[Any]], starts: list[Fraction]) -> list[Tempo]:
    result = []
    for index, start in enumerate(starts[:-1]):
        for mark in _first_elements(grid, index, "MetronomeMark"):
            if mark.number is not None or mark.numberSounding is not None:
                result.append(Tempo(_ticks(start + _fraction(mark.offset)), qpm=float(mark.getQuarterBPM())))
    return result

"""Streams of music21 (MusicXML, its own corpus, whatever else it reads) as a `Score` at 480 ticks a quarter.

One track a part (both staves of a piano are one part), at sounding pitch; tied notes are one note, grace notes are left
out, repeats are not unfolded. Bars come from the measures, as `measures` tells. music21 is imported when a function is
called.
"""

import warnings
from collections.abc import Iterator
from fractions import Fraction
from itertools import accumulate
from typing import Any

from symusic import Tempo, Track

from melody.errors import UnreadableFile
from melody.formats.musicxml.content import Transposition, WrittenKey
from melody.formats.musicxml.keys import set_keys, sounding_keys
from melody.formats.musicxml.measures import (
    DEFAULT_VELOCITY,
    Measure,
    WrittenSound,
    as_notes,
    joint_measures,
    ticks,
    time_signatures,
    untie,
)
from melody.music.general_midi import DRUM_CHANNEL
from melody.music.score import TICKS_PER_QUARTER, Score, set_notes, shift_signature


def from_music21(stream: Any, name: str) -> Score:
    """Return the score of a music21 stream (a Score or a Part, with or without measures), at 480 ticks a quarter.

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
    score.time_signatures = time_signatures(measures)
    score.tempos = _tempos(grid, starts)
    _set_keys(score, parts, grid, starts)
    return score


# ---- parts and measures ---------------------------------------------------------------------------------------------


def _parts(stream: Any) -> list[Any]:
    """Return the parts, at sounding pitch and divided into measures."""
    transposes = any(i.transposition for i in stream.recurse().getElementsByClass("Instrument"))
    stream = stream.toSoundingPitch() if transposes else stream
    parts = list(getattr(stream, "parts", None) or [stream])
    return [part if part.hasMeasures() else part.makeMeasures() for part in parts]


def _by_instrument(parts: list[Any]) -> list[list[int]]:
    """Return the indices of the parts of each instrument: staves of part P1 are called P1-Staff1 and P1-Staff2."""
    groups: dict[str, list[int]] = {}
    for index, part in enumerate(parts):
        label, staff, _ = str(part.id).partition("-Staff")
        groups.setdefault(label if staff else f"{label} {index}", []).append(index)
    return list(groups.values())


def _measures(grid: list[list[Any]]) -> list[Measure]:
    """Return the measures of all parts together."""
    changes = [_first_elements(grid, index, "TimeSignature")[:1] for index in range(max(map(len, grid)))]
    meters = [(change[0].numerator, change[0].denominator) if change else None for change in changes]
    return joint_measures([_lengths(measures) for measures in grid], meters)


def _lengths(measures: list[Any]) -> list[Fraction]:
    """Return the length in quarters of each measure of a part, by the beginning of the next one."""
    ends = [m.offset for m in measures[1:]]
    ends += [m.offset + (m.highestTime or m.barDuration.quarterLength) for m in measures[-1:]]
    return [_fraction(end) - _fraction(m.offset) for m, end in zip(measures, ends, strict=True)]


def _fraction(quarters: Any) -> Fraction:
    return Fraction(quarters).limit_denominator(65_536)


def _first_elements(grid: list[list[Any]], index: int, kind: str) -> list[Any]:
    """Return the elements of a kind in the measure with that index of the first part that has any."""
    found = (list(m[index].recurse().getElementsByClass(kind)) for m in grid if index < len(m))
    return next((elements for elements in found if elements), [])


# ---- notes ----------------------------------------------------------------------------------------------------------


def _track(staves: list[Any], grid: list[list[Any]], starts: list[Fraction], index: int) -> Track:
    instrument = staves[0].getInstrument(returnDefault=False)
    sounds = [s for measures in grid for m, start in zip(measures, starts, strict=False) for s in _sounds(m, start)]
    drums = getattr(instrument, "midiChannel", None) == DRUM_CHANNEL or _is_percussion(instrument)
    program = getattr(instrument, "midiProgram", None) or 0
    track = Track(staves[0].partName or f"Part {index + 1}", 0 if drums else program, drums)
    set_notes(track, as_notes(untie(sounds)))
    return track


def _is_percussion(instrument: Any) -> bool:
    from music21.instrument import UnpitchedPercussion

    return isinstance(instrument, UnpitchedPercussion)


def _sounds(measure: Any, start: Fraction) -> Iterator[WrittenSound]:
    """Yield the sounding notes of a measure, in all its voices."""
    from music21.harmony import Harmony

    for event in measure.recurse().notes:
        if event.duration.isGrace or not event.quarterLength or isinstance(event, Harmony):
            continue
        onset = start + _fraction(event.getOffsetInHierarchy(measure))
        end = onset + _fraction(event.quarterLength)
        for note in getattr(event, "notes", (event,)):
            tie = note.tie.type if note.tie is not None else ""
            continues, goes_on = tie in ("stop", "continue"), tie in ("start", "continue")
            yield WrittenSound(
                onset, end, _midi_pitch(note), note.volume.velocity or DEFAULT_VELOCITY, continues, goes_on
            )


def _midi_pitch(note: Any) -> int:
    if hasattr(note, "pitch"):
        return int(note.pitch.midi)
    stored = getattr(note.storedInstrument, "percMapPitch", None)  # an unpitched drum
    return int(note.displayPitch().midi if stored is None else stored)


# ---- keys and tempos ------------------------------------------------------------------------------------------------


def _set_keys(score: Score, parts: list[Any], grid: list[list[Any]], starts: list[Fraction]) -> None:
    """Give a score its key signatures; `grid` is at sounding pitch."""
    by_part = []
    for part, measures in zip(parts, grid, strict=True):
        shift = _transposition(part)
        by_part.append([[(_fraction(key.offset), _as_written(key, shift)) for key in _keys(m)] for m in measures])
    by_measure = zip(starts, sounding_keys(by_part), strict=False)
    set_keys(score, [(start + time, key) for start, changes in by_measure for time, key in changes], by_part)


def _keys(measure: Any) -> list[Any]:
    found = measure.recurse().getElementsByClass("KeySignature")
    return [key for key in found if key.sharps is not None and -7 <= key.sharps <= 7]


def _transposition(part: Any) -> Transposition:
    """Return what the part's instrument is transposed by."""
    interval = getattr(part.getInstrument(returnDefault=False), "transposition", None)
    if interval is None:
        return Transposition()
    return Transposition(int(interval.semitones), int(interval.diatonic.generic.staffDistance))


def _as_written(key: Any, shift: Transposition) -> WrittenKey:
    """Return a sounding key as its player reads it."""
    steps = None if shift.steps is None else -shift.steps
    sharps = shift_signature(key.sharps, -shift.semitones, steps)
    return WrittenKey(sharps, getattr(key, "mode", None) or "", shift)


def _tempos(grid: list[list[Any]], starts: list[Fraction]) -> list[Tempo]:
    result = []
    for index, start in enumerate(starts[:-1]):
        for mark in _first_elements(grid, index, "MetronomeMark"):
            if mark.number is not None or mark.numberSounding is not None:
                result.append(Tempo(ticks(start + _fraction(mark.offset)), qpm=float(mark.getQuarterBPM())))
    return result

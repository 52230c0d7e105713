"""The seam: the bar line where new music begins, and what must not act beyond it.

    |primer ........|new ........          continued: nothing of the musician's follows
    |primer ....|new ....|primer ....      a gap: the musician's own state comes back where the gap ends

New notes carry no controllers of their own, so whatever the primer leaves hanging would act on all of them. At the
seam, in each track that plays on:

- pitch bend returns to the centre, the pedals that hold notes (64, 66, 69) are up;
- a fade ends: volume, expression and breath (7, 11, 2) return to the level at which the notes were, where they were
  louder before. A level at which a quarter of the track's notes began is meant, and carries on;
- any other controller (modulation, pan, filter ...) that was still moving returns to its median at the notes' onsets;
- programs, banks, tunings and bend ranges carry on, as do tempo, meter and key;
- what stands behind the seam, where the primer has no note, would act in the middle of the new part: tempo, meter, key
  and markers move to the seam, the rest is left out and said.

Defaults are those of General MIDI 2 (reset all controllers, RP-015). Pure functions: a score in, a score out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from symusic import ControlChange, PitchBend, Track

from melody.music.score import Ints, Score, notes_of

HOLDING = (64, 66, 69)  # sustain, sostenuto and hold 2: pedals that keep notes sounding
LOUDNESS = (2, 7, 11)  # breath, volume, expression
_GESTURES = frozenset((1, 2, 11, 64, 65, 66, 67, 68, 69, 74))  # played with the notes, and gone with them
_SETTINGS = frozenset((0, 6, 32, 38, *range(96, 102), *range(120, 128)))  # banks, data entry, RPN, NRPN, channel modes
_DEFAULTS = {7: 100, 11: 127, 2: 127, 8: 64, 10: 64, 91: 40, **dict.fromkeys(range(70, 80), 64)}
_RESET_ALL = 121
_RESET_BY_IT = {1: 0, 2: 127, 11: 127, 64: 0, 65: 0, 66: 0, 67: 0}  # RP-015
_MEANT = 0.25  # the share of a track's notes from which on a level is no fade's end
_NAMES = {1: "modulation", 2: "breath", 7: "volume", 10: "pan", 11: "expression", 64: "sustain pedal"}


@dataclass(frozen=True)
class Seam:
    """The place where new music begins, and where the musician's goes on behind a gap; in ticks of the score."""

    start: int
    resumes: int | None  # None: new music is the last
    tracks: frozenset[int]  # those that new notes go to
    maps_stay: bool = False  # tempo, meter and key around the new notes are the musician's

    def ends(self, track: int) -> bool:
        """Tell if a track of the musician's plays nothing of its own behind the seam."""
        return self.resumes is None and (not self.maps_stay or track in self.tracks)


NOWHERE = Seam(0, None, frozenset())  # nothing was given


class _Level(NamedTuple):
    """A controller's course up to the seam."""

    at_seam: int
    at_onsets: Ints  # its value when each note began


def across(score: Score, seam: Seam) -> tuple[Score, list[str]]:
    """The score made ready for new music at its seam, and what a musician should know of it."""
    result, said = score.copy(), []
    if not seam.maps_stay:
        _carry_maps(result, seam.start)
    for number, track in enumerate(result.tracks):
        if seam.ends(number):
            said += _end(track, seam.start, track.name or f"track {number + 1}")
        elif seam.resumes is not None and number in seam.tracks:
            _open_gap(track, seam.start, seam.resumes)
    return result, said


def _carry_maps(score: Score, start: int) -> None:
    """Let what stands behind the seam hold from it on; the meters of the new part are its own."""
    score.time_signatures = [meter for meter in score.time_signatures if meter.time < start or not start]
    for name in ("tempos", "key_signatures"):
        events = sorted(getattr(score, name), key=lambda event: event.time)
        behind = [event for event in events if event.time >= start]
        for event in behind[-1:]:
            event.time = start
        setattr(score, name, [event for event in events if event.time < start] + behind[-1:])
    for marker in score.markers:
        marker.time = min(marker.time, start)
    score.markers = list(score.markers)


# ---- the musician's music ends --------------------------------------------------------------------------------------


def _end(track: Track, start: int, name: str) -> list[str]:
    """End all that acts in a track at tick `start`; what was done, in sentences about the track of this `name`."""
    behind = _behind(track, start)
    _keep_until(track, start)
    resets = _resets(track, start)
    bend = _bend_at(track.pitch_bends, start)
    _add(track, start, resets, 0 if bend else None)
    said = []
    if behind:
        count = f"{behind} event{'s' if behind > 1 else ''}"
        said.append(f"{name}: {count} behind the last bar left out, as new notes would play under it")
    loud = [f"{_NAMES.get(number, f'controller {number}')} {value}" for number, value in resets if number in LOUDNESS]
    if loud:
        said.append(f"{name}: fades out; new notes play as before the fade: {', '.join(loud)}")
    return said


def _behind(track: Track, start: int) -> int:
    """Count the events behind the seam that would be missed: not releases of pedals, nor bends back to the centre."""
    telling = [c for c in track.controls if c.time > start and not (c.number in HOLDING and c.value < 64)]
    bends = [b for b in track.pitch_bends if b.time > start and b.value]
    return len(telling) + len(bends) + sum(int(lyric.time > start) for lyric in track.lyrics)


def _keep_until(track: Track, start: int) -> None:
    for name in ("controls", "pitch_bends", "lyrics"):
        events = getattr(track, name)
        if any(event.time > start for event in events):
            setattr(track, name, [event.copy() for event in events if event.time <= start])
    pedals = [pedal.copy() for pedal in track.pedals if pedal.time < start]
    for pedal in pedals:
        pedal.duration = min(pedal.duration, start - pedal.time)
    track.pedals = pedals


def _resets(track: Track, start: int) -> list[tuple[int, int]]:
    """(controller, value) to send at the seam, in order of the number."""
    onsets = notes_of(track).onset
    onsets = np.sort(onsets[onsets < start] if (onsets < start).any() else onsets)
    resets = []
    for number, course in _courses(track, start).items():
        level = _level(number, *course, onsets)
        value = _home(number, level)
        if value != level.at_seam:
            resets.append((number, value))
    return sorted(resets)


def _courses(track: Track, until: int) -> dict[int, tuple[Ints, Ints]]:
    """By controller that can hang over: ticks and values up to `until`, a reset of all controllers written out."""
    columns = track.controls.numpy()
    order = np.argsort(columns["time"], kind="stable")
    tick, number, value = (columns[name][order].astype(np.int64) for name in ("time", "number", "value"))
    in_time = tick <= until
    courses = {}
    for one in set(np.unique(number[in_time]).tolist()) - _SETTINGS:
        is_reset = (number == _RESET_ALL) & (one in _RESET_BY_IT)
        mine = in_time & ((number == one) | is_reset)
        courses[one] = tick[mine], np.where(is_reset, _RESET_BY_IT.get(one, 0), value)[mine]
    return courses


def _level(number: int, ticks: Ints, values: Ints, onsets: Ints) -> _Level:
    before = np.searchsorted(ticks, onsets, side="right")
    course = np.concatenate([[_DEFAULTS.get(number, 0)], values])
    return _Level(int(values[-1]), course[before] if len(onsets) else course[-1:])


def _home(number: int, level: _Level) -> int:
    """The value for new notes: as it is, or where it comes back to."""
    if number in HOLDING:
        return 0
    count = len(level.at_onsets)
    settled = int(np.count_nonzero(level.at_onsets == level.at_seam)) / count
    if settled >= _MEANT and (level.at_seam or number not in LOUDNESS):
        return level.at_seam
    ordered = np.sort(level.at_onsets)
    if number in LOUDNESS:
        return max(level.at_seam, int(ordered[(3 * count) // 4 if count > 1 else 0]))
    return int(ordered[count // 2])


def _bend_at(bends: Iterable[Any], tick: int) -> int:
    """The bend in force at a tick, with those that stand on it."""
    value = 0
    for bend in sorted(bends, key=lambda event: event.time):
        if bend.time > tick:
            break
        value = bend.value
    return int(value)


def _add(track: Track, tick: int, controls: Iterable[tuple[int, int]], bend: int | None) -> None:
    """Add controls and a bend behind those that stand on the tick."""
    new = [ControlChange(tick, number, value) for number, value in controls]
    if new:
        track.controls = _inserted(track.controls, new, tick)
    if bend is not None:
        track.pitch_bends = _inserted(track.pitch_bends, [PitchBend(tick, bend)], tick)


def _inserted(events: Iterable[Any], new: list[Any], tick: int) -> list[Any]:
    ordered = sorted(events, key=lambda event: event.time)
    return [e for e in ordered if e.time <= tick] + new + [e for e in ordered if e.time > tick]


# ---- a gap ----------------------------------------------------------------------------------------------------------


def _open_gap(track: Track, start: int, resumes: int) -> None:
    """Take from a gap what was played with its notes; neutral state in it, the musician's own where it ends.

    Volume, pan and other settings of the mix stay as they are.
    """
    state = _state(track, resumes - 1)
    bend = _bend_at(track.pitch_bends, resumes - 1)
    resets = [(number, value) for number, value in _resets(track, start) if number in _GESTURES]
    bend_before = _bend_at(track.pitch_bends, start)
    track.controls = [c.copy() for c in track.controls if not (start < c.time < resumes and c.number in _GESTURES)]
    track.pitch_bends = [b.copy() for b in track.pitch_bends if not start < b.time < resumes]
    _add(track, start, resets, 0 if bend_before else None)
    inside = _state(track, resumes - 1)
    back = sorted((n, value) for n, value in state.items() if n in _GESTURES and inside.get(n) != value)
    _restore(track, resumes, back, bend if bend else None)
    _cut_pedals(track, start, resumes)


def _state(track: Track, tick: int) -> dict[int, int]:
    """The value of each controller that can hang over, at a tick."""
    return {number: int(values[-1]) for number, (_, values) in _courses(track, tick).items()}


def _restore(track: Track, tick: int, controls: Sequence[tuple[int, int]], bend: int | None) -> None:
    """Add controls and a bend before those that stand on the tick."""
    if controls:
        track.controls = _inserted(track.controls, [ControlChange(tick, *control) for control in controls], tick - 1)
    if bend is not None:
        track.pitch_bends = _inserted(track.pitch_bends, [PitchBend(tick, bend)], tick - 1)


def _cut_pedals(track: Track, start: int, resumes: int) -> None:
    pedals = []
    for pedal in track.pedals:
        end = pedal.time + pedal.duration
        for first, last in ((pedal.time, min(end, start)), (max(pedal.time, resumes), end)):
            if first < last:
                piece = pedal.copy()
                piece.time, piece.duration = first, last - first
                pedals.append(piece)
    track.pedals = pedals

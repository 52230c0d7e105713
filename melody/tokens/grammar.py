"""The grammar of events: which token may follow.

A sample that keeps to it can always be decoded, and every quantised score is one of its sentences.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from melody.tokens.vocabulary import DRUMS, MAX_TRACKS, Vocabulary

if TYPE_CHECKING:
    from melody.tokens.reader import Reader


def allowed(reader: Reader) -> NDArray[np.bool_]:
    """A new mask (V,) of the tokens that may follow; all False only after EOS."""
    mask = np.zeros(len(reader.vocabulary), bool)
    _AFTER[reader.kind](reader, mask)
    return mask


def _open(reader: Reader, mask: NDArray[np.bool_], kind: str, first: int = 0) -> None:
    span = reader.ids[kind]
    mask[span.start + first : span.stop] = True


def _after_nothing(reader: Reader, mask: NDArray[np.bool_]) -> None:
    _open(reader, mask, "Begin")


def _after_End(reader: Reader, mask: NDArray[np.bool_]) -> None:
    pass


def _after_Begin(reader: Reader, mask: NDArray[np.bool_]) -> None:
    if len(reader.programs) < MAX_TRACKS:
        mask[reader.ids["Track"][len(reader.programs)]] = True
    _open(reader, mask, "Bar")


def _after_Bar(reader: Reader, mask: NDArray[np.bool_]) -> None:
    _open(reader, mask, "TimeSignature")
    if reader.meter >= 0:
        mask[reader.ids["TimeSignature"][reader.meter]] = False
        _open_next_place(reader, mask)


def _after_TimeSignature(reader: Reader, mask: NDArray[np.bool_]) -> None:
    if reader.bar == 0:  # a piece states its tempo at once
        mask[reader.ids["Position"][0]] = True
    else:
        _open_next_place(reader, mask)


def _after_Position(reader: Reader, mask: NDArray[np.bool_]) -> None:
    _open_change(reader, mask, "Key", reader.key)
    _open_change(reader, mask, "Tempo", reader.tempo)
    if reader.tick:
        _open_notes(reader, mask)


def _after_Key(reader: Reader, mask: NDArray[np.bool_]) -> None:
    _open_change(reader, mask, "Tempo", reader.tempo)
    if reader.tick:
        _after_Tempo(reader, mask)


def _after_Tempo(reader: Reader, mask: NDArray[np.bool_]) -> None:
    _open_notes(reader, mask)
    _open_next_place(reader, mask)


def _after_Track(reader: Reader, mask: NDArray[np.bool_]) -> None:
    if reader.bar < 0:
        _open(reader, mask, "Program")
    else:
        _open_pitches(reader, mask)


def _after_Velocity(reader: Reader, mask: NDArray[np.bool_]) -> None:
    _open_pitches(reader, mask)
    span = reader.ids["Velocity"]
    mask[span.start : span.stop] = False


def _after_Pitch(reader: Reader, mask: NDArray[np.bool_]) -> None:
    _open(reader, mask, "Sustain")
    _open(reader, mask, "Duration")


def _after_Duration(reader: Reader, mask: NDArray[np.bool_]) -> None:
    _open_notes(reader, mask)
    _open_next_place(reader, mask)


def _open_change(reader: Reader, mask: NDArray[np.bool_], kind: str, current: int) -> None:
    _open(reader, mask, kind)
    if current >= 0:
        mask[reader.ids[kind][current]] = False


def _open_notes(reader: Reader, mask: NDArray[np.bool_]) -> None:
    tracks = reader.ids["Track"].start
    mask[tracks + (reader.track + 1 if reader.noted else 0) : tracks + len(reader.programs)] = True
    if reader.track >= 0:
        mask[tracks + reader.track] = False
        _open_pitches(reader, mask)


def _open_pitches(reader: Reader, mask: NDArray[np.bool_]) -> None:
    """Pitches above the last one of this onset that do not sound already, once the track has a velocity."""
    start = reader.ids["Drum" if reader.programs[reader.track] == DRUMS else "Pitch"].start
    mask[start + reader.last_pitch + 1 : start + 128] = True
    for end, track, pitch in reader.active:
        if track == reader.track and end > reader.tick:
            mask[start + pitch] = False
    velocity = reader.velocity[reader.track]
    if np.count_nonzero(mask[start : start + 128]):
        _open_change(reader, mask, "Velocity", velocity)
    if velocity < 0:
        mask[start : start + 128] = False


def _open_next_place(reader: Reader, mask: NDArray[np.bool_]) -> None:
    positions = reader.ids["Position"].start
    mask[positions + reader.position + 1 : positions + reader.bar_ticks] = True
    if reader.programs:  # without tracks a second bar could never sound
        _open(reader, mask, "Bar")
    ends_here = reader.sound_end <= reader.bar_start + reader.bar_ticks
    if ends_here and (reader.sounding or reader.bar == 0):  # a piece ends in the bar in which its last note ends
        _open(reader, mask, "End")


_AFTER: dict[str, Callable[[Reader, NDArray[np.bool_]], None]] = {  # by the kind of the last token
    "": _after_nothing,
    "End": _after_End,
    "Begin": _after_Begin,
    "Bar": _after_Bar,
    "TimeSignature": _after_TimeSignature,
    "Position": _after_Position,
    "Key": _after_Key,
    "Tempo": _after_Tempo,
    "Track": _after_Track,
    "Velocity": _after_Velocity,
    "Pitch": _after_Pitch,
    "Duration": _after_Duration,
    "Pad": _after_End,
    "Program": _after_Begin,
    "Drum": _after_Pitch,
    "Sustain": _after_Pitch,
}


def obeys(vocabulary: Vocabulary, ids: Sequence[int]) -> bool:
    """Return True where a whole sequence, from BOS on, obeys the grammar."""
    from melody.tokens.reader import Plan, Reader

    reader = Reader(vocabulary, Plan())
    for token in ids:
        if not reader.allow()[token]:
            return False
        reader.read(int(token))
    return True

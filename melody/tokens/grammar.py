"""Reading events one by one: which token may follow, where in the music we are, and what the model is told of it.

`Reader` is the one state machine behind three things that must never disagree: the mask that makes every sample
decodable, the context channels of training (a whole piece at once) and those of generation (token by token).
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from melody.music.score import GRID, bar_length
from melody.tokens.channels import CHANNELS, FAR, FAR_TIME, FORESEEN, PLACE, READ, TIME_UNIT, VOICES
from melody.tokens.conditions import Table
from melody.tokens.repetition import Recall
from melody.tokens.vocabulary import DRUMS, KEYS, MAX_DURATION, MAX_TRACKS, METERS, Vocabulary

_PLACES = ("bars_left", "key", "position", "meter", "track", "sounding", "voice_0", "bass", "time_left")
_BARS_LEFT, _KEY, _POSITION, _METER, _TRACK, _SOUNDING, _VOICE, _BASS, _TIME_LEFT = (PLACE[name] for name in _PLACES)
_FORESEEN, _RECALL = slice(len(READ), len(READ) + len(FORESEEN)), slice(len(READ) + len(FORESEEN), None)

MEMORY = 128  # notes of a track that are remembered, at least


@dataclass(frozen=True)
class Plan:
    """What a piece is to become: its number of bars (None: open) and key (sharps, 0 major or 1 minor; None: free).

    `stop` is the bar (from 0) before which composing ends, where that is not the end of the piece (None).
    `foreseen` (ticks, F) is what else is known of it, see `melody.tokens.conditions`; past its end its last row holds.
    """

    bars: int | None = None
    key: tuple[int, int] | None = None
    stop: int | None = None
    foreseen: Table | None = field(default=None, compare=False)


def key_value(sharps: int, minor: int) -> int:
    """A key as a value of the key channel."""
    return 1 + (7 * sharps + 9 * minor) % 12 + 12 * minor


class Sung(NamedTuple):
    """A note of a track that has been read, and with it those before it: a chain that readers share."""

    onset: int  # ticks
    duration: int
    pitch: int
    number: int  # of the track's notes, from 1
    before: "Sung | None"

    def latest(self, count: int) -> list["Sung"]:
        """This note and those before it, up to `count`, the earliest first."""
        notes: list[Sung] = []
        note: Sung | None = self
        while note is not None and len(notes) < count:
            notes.append(note)
            note = note.before
        return notes[::-1]

    def shortened(self) -> "Sung":
        """The same note, which remembers `MEMORY` notes."""
        first, *rest = self.latest(MEMORY)
        chain = first._replace(before=None)
        for note in rest:
            chain = note._replace(before=chain)
        return chain


class Reader:
    """All that has been read of a piece.

    `read` takes the next token; `allow` says which may follow; `context` holds the channels (C,) after the last one.
    """

    __slots__ = (
        "active",
        "bar",
        "bar_before",
        "bar_start",
        "bar_ticks",
        "before",
        "context",
        "history",
        "ids",
        "key",
        "kind",
        "last_pitch",
        "length",
        "meter",
        "noted",
        "now",
        "onsets",
        "pitch",
        "plan",
        "position",
        "programs",
        "recall",
        "sound_end",
        "tempo",
        "tick",
        "track",
        "velocity",
        "vocabulary",
    )

    def __init__(self, vocabulary: Vocabulary, plan: Plan) -> None:
        self.vocabulary = vocabulary
        self.ids = vocabulary.ids
        self.plan = plan
        self.kind = ""  # of the last token
        self.programs: tuple[int, ...] = ()  # of each track
        self.bar = -1  # index of the bar under way
        self.bar_start = 0  # tick
        self.bar_before = 0  # tick at which the bar before began
        self.bar_ticks = 0  # its length
        self.meter = self.key = self.tempo = -1  # ids in force
        self.position = -1  # tick in the bar, -1 right after its bar line
        self.tick = 0
        self.track = -1
        self.velocity: tuple[int, ...] = ()  # running velocity id of each track
        self.noted = False  # a note stands at this position
        self.onsets = 0  # positions of this bar at which a note stands
        self.history: tuple[Sung | None, ...] = ()  # the latest note of each track
        self.last_pitch = -1  # of this track at this position
        self.pitch = -1  # of the note under way
        self.length = 0  # of the note under way, in whole Sustains
        self.active: tuple[tuple[int, int, int], ...] = ()  # (end tick, track, pitch) of notes still sounding
        self.before: tuple[tuple[int, int], ...] = ()  # (track, pitch) of what sounded right before this position
        self.now: tuple[tuple[int, int], ...] = ()  # (track, pitch) of what has been written at this position
        self.sound_end = 0  # tick at which the last sound ends
        self.recall = Recall()
        self.context: NDArray[np.int16] = np.zeros(len(CHANNELS), np.int16)
        self.context[_KEY] = key_value(*plan.key) if plan.key is not None else 0
        self._tell_what_is_left()
        self._tell_foreseen()

    def copy(self) -> "Reader":
        """An independent reader at the same place."""
        result = copy(self)
        result.context, result.recall = self.context.copy(), self.recall.copy()
        return result

    # ---- reading ----------------------------------------------------------------------------------------------------

    def read(self, token: int) -> None:
        """Take the next token (an id that `allow` allows)."""
        kind = self.vocabulary.kind_of[token]
        getattr(self, "_read_" + kind)(token - self.ids[kind].start)
        self.kind = kind
        self.recall.read(token)
        self.context[_RECALL] = self.recall.context

    def read_all(self, tokens: Sequence[int]) -> "Reader":
        """Take several tokens; return self."""
        for token in tokens:
            self.read(token)
        return self

    def _read_Pad(self, value: int) -> None:
        pass

    _read_Begin = _read_End = _read_Pad

    def _read_Bar(self, value: int) -> None:
        self.bar += 1
        self.bar_before = self.bar_start
        self.bar_start += self.bar_ticks
        self._move_to(0)
        self.position = -1
        self.onsets = 0

    def _read_TimeSignature(self, value: int) -> None:
        self.meter = value
        self.bar_ticks = int(bar_length(*METERS[value], GRID))
        self.context[_METER] = 1 + value
        self._tell_what_is_left()

    def _read_Key(self, value: int) -> None:
        self.key = value
        if (
            self.plan.key is None and not self.context[_KEY]
        ):  # where no key was planned, the first one stated is the plan
            self.context[_KEY] = key_value(*KEYS[value])

    def _read_Tempo(self, value: int) -> None:
        self.tempo = value

    def _read_Position(self, value: int) -> None:
        self._move_to(value)

    def _read_Track(self, value: int) -> None:
        if self.bar < 0:  # in the header
            return
        self.track = value
        self.last_pitch = -1
        self.context[_TRACK] = 1 + value

    def _read_Program(self, value: int) -> None:
        self.programs += (value,)
        self.velocity += (-1,)
        self.history += (None,)

    def _read_Velocity(self, value: int) -> None:
        self.velocity = (*self.velocity[: self.track], value, *self.velocity[self.track + 1 :])

    def _read_Drum(self, value: int) -> None:
        self.pitch = self.last_pitch = value
        self.length = 0
        self.onsets += not self.noted
        self.noted = True
        self.now += ((self.track, value),)

    def _read_Pitch(self, value: int) -> None:
        self._read_Drum(value)
        if self.track < VOICES:  # drums are not told: the channel moves with a transposition, they do not
            self.context[_VOICE + self.track] = 1 + value

    def _read_Sustain(self, value: int) -> None:
        self.length += MAX_DURATION

    def _read_Duration(self, value: int) -> None:
        end = self.tick + self.length + value + 1
        before = self.history[self.track]
        note = Sung(self.tick, self.length + value + 1, self.pitch, before.number + 1 if before else 1, before)
        if note.number % (2 * MEMORY) == 0:  # a piece without end shall not grow
            note = note.shortened()
        self.history = (*self.history[: self.track], note, *self.history[self.track + 1 :])
        self.active += ((end, self.track, self.pitch),)
        self.sound_end = max(self.sound_end, end)
        self._tell_sounding()

    def _move_to(self, position: int) -> None:
        self.position = position
        tick = self.bar_start + position
        if tick != self.tick:  # Position_0 after Bar is the same place
            self.before = tuple((track, pitch) for end, track, pitch in self.active if end >= tick)
        self.tick = tick
        self.noted = False
        self.last_pitch = -1
        self.now = ()
        self.active = tuple(note for note in self.active if note[0] > self.tick)
        self.context[_POSITION] = 1 + position
        self._tell_sounding()
        self._tell_what_is_left()
        self._tell_foreseen()

    def _tell_sounding(self) -> None:
        bits, bass = 0, 128
        for _, track, pitch in self.active:
            if track < VOICES:
                bits |= 1 << track
            if pitch < bass and self.programs[track] != DRUMS:
                bass = pitch
        self.context[_SOUNDING] = 1 + bits
        self.context[_BASS] = 1 + bass if bass < 128 else 0

    def _tell_what_is_left(self) -> None:
        if self.plan.bars is None:
            return
        bars_left = max(self.plan.bars - self.bar, 1)
        self.context[_BARS_LEFT] = min(bars_left, FAR)
        if self.bar_ticks:  # were all bars as long as this one
            ticks_left = self.bar_start + bars_left * self.bar_ticks - self.tick
            self.context[_TIME_LEFT] = min(1 + ticks_left // TIME_UNIT, FAR_TIME)

    def _tell_foreseen(self) -> None:
        table = self.plan.foreseen
        if table is not None:
            self.context[_FORESEEN] = table[min(self.tick, len(table) - 1)]

    def written(self, track: int) -> int:
        """How many notes of a track have been read, the one under way not counted."""
        note = self.history[track]
        return note.number if note else 0

    def ends_with(self, token: int) -> bool:
        """Whether composing is done with this token: EOS, or the bar line before which it is to stop."""
        kind = self.vocabulary.kind_of[token]
        return kind == "End" or (kind == "Bar" and self.bar + 1 == self.plan.stop)

    # ---- what may follow --------------------------------------------------------------------------------------------

    @property
    def planned_key(self) -> tuple[int, bool] | None:
        """Tonic (0-11) and whether it is minor, of the key that the model is told; None where it is told none."""
        value = int(self.context[_KEY]) - 1
        return (value % 12, value >= 12) if value >= 0 else None

    @property
    def sounding(self) -> bool:
        """Whether something sounds in the bar under way."""
        return self.sound_end > self.bar_start

    def allow(self) -> NDArray[np.bool_]:
        """A new mask (V,) of the tokens that may follow; all False only after EOS."""
        mask = np.zeros(len(self.vocabulary), bool)
        getattr(self, "_after_" + (self.kind or "nothing"))(mask)
        return mask

    def _open(self, mask: NDArray[np.bool_], kind: str, first: int = 0) -> None:
        span = self.ids[kind]
        mask[span.start + first : span.stop] = True

    def _after_nothing(self, mask: NDArray[np.bool_]) -> None:
        self._open(mask, "Begin")

    def _after_End(self, mask: NDArray[np.bool_]) -> None:
        pass

    _after_Pad = _after_End

    def _after_Begin(self, mask: NDArray[np.bool_]) -> None:
        if len(self.programs) < MAX_TRACKS:
            mask[self.ids["Track"][len(self.programs)]] = True
        self._open(mask, "Bar")

    _after_Program = _after_Begin

    def _after_Bar(self, mask: NDArray[np.bool_]) -> None:
        self._open(mask, "TimeSignature")
        if self.meter >= 0:
            mask[self.ids["TimeSignature"][self.meter]] = False
            self._open_next_place(mask)

    def _after_TimeSignature(self, mask: NDArray[np.bool_]) -> None:
        if self.bar == 0:  # a piece states its tempo at once
            mask[self.ids["Position"][0]] = True
        else:
            self._open_next_place(mask)

    def _after_Position(self, mask: NDArray[np.bool_]) -> None:
        self._open_change(mask, "Key", self.key)
        self._open_change(mask, "Tempo", self.tempo)
        if self.tick:
            self._open_notes(mask)

    def _after_Key(self, mask: NDArray[np.bool_]) -> None:
        self._open_change(mask, "Tempo", self.tempo)
        if self.tick:
            self._after_Tempo(mask)

    def _after_Tempo(self, mask: NDArray[np.bool_]) -> None:
        self._open_notes(mask)
        self._open_next_place(mask)

    def _after_Track(self, mask: NDArray[np.bool_]) -> None:
        if self.bar < 0:
            self._open(mask, "Program")
        else:
            self._open_pitches(mask)

    def _after_Velocity(self, mask: NDArray[np.bool_]) -> None:
        self._open_pitches(mask)
        span = self.ids["Velocity"]
        mask[span.start : span.stop] = False

    def _after_Pitch(self, mask: NDArray[np.bool_]) -> None:
        self._open(mask, "Sustain")
        self._open(mask, "Duration")

    _after_Drum = _after_Sustain = _after_Pitch

    def _after_Duration(self, mask: NDArray[np.bool_]) -> None:
        self._open_notes(mask)
        self._open_next_place(mask)

    def _open_change(self, mask: NDArray[np.bool_], kind: str, current: int) -> None:
        self._open(mask, kind)
        if current >= 0:
            mask[self.ids[kind][current]] = False

    def _open_notes(self, mask: NDArray[np.bool_]) -> None:
        tracks = self.ids["Track"].start
        mask[tracks + (self.track + 1 if self.noted else 0) : tracks + len(self.programs)] = True
        if self.track >= 0:
            mask[tracks + self.track] = False
            self._open_pitches(mask)

    def _open_pitches(self, mask: NDArray[np.bool_]) -> None:
        """Pitches above the last one of this onset that do not sound already, once the track has a velocity."""
        start = self.ids["Drum" if self.programs[self.track] == DRUMS else "Pitch"].start
        mask[start + self.last_pitch + 1 : start + 128] = True
        for end, track, pitch in self.active:
            if track == self.track and end > self.tick:
                mask[start + pitch] = False
        velocity = self.velocity[self.track]
        if np.count_nonzero(mask[start : start + 128]):
            self._open_change(mask, "Velocity", velocity)
        if velocity < 0:
            mask[start : start + 128] = False

    def _open_next_place(self, mask: NDArray[np.bool_]) -> None:
        positions = self.ids["Position"].start
        mask[positions + self.position + 1 : positions + self.bar_ticks] = True
        if self.programs:  # without tracks a second bar could never sound
            self._open(mask, "Bar")
        ends_here = self.sound_end <= self.bar_start + self.bar_ticks
        if ends_here and (self.sounding or self.bar == 0):  # a piece ends in the bar in which its last note ends
            self._open(mask, "End")


def obeys(vocabulary: Vocabulary, ids: Sequence[int]) -> bool:
    """Whether a whole sequence, from BOS on, obeys the grammar."""
    reader = Reader(vocabulary, Plan())
    for token in ids:
        if not reader.allow()[token]:
            return False
        reader.read(int(token))
    return True

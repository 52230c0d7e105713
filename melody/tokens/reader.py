"""Reading events one by one: which token may follow, where in the music we are, and what the model is told of it.

`Reader` is the one state machine behind three things that must never disagree: the mask that makes every sample
decodable, the context channels of training (a whole piece at once) and those of generation (token by token).
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from melody.music.score import GRID, bar_length
from melody.tokens.aligned_memory import AlignedMemory
from melody.tokens.channels import (
    FAR,
    FAR_TIME,
    HARMONISING,
    LINING,
    MOST_SOUNDING,
    TIME_UNIT,
    Layout,
    forming,
    layout_of,
    opposing,
    recalling,
    wishing,
)
from melody.tokens.conditions import Conditions
from melody.tokens.counterpoint import CounterpointMemory
from melody.tokens.grammar import allowed
from melody.tokens.harmony import DrawChords, Moment, Told
from melody.tokens.lines import LineMemory
from melody.tokens.plan import UNTOLD, FormPlan, Symbol
from melody.tokens.repetition import Recall
from melody.tokens.sung import MEMORY, Sung
from melody.tokens.vocabulary import DRUMS, KEYS, MAX_DURATION, METERS, Vocabulary

_PLACES = ("bars_left", "key", "position", "meter", "track", "sounding", "bass", "time_left")
WHOLE = 3 * GRID  # ticks from which on a first bar is taken for no pickup before the next one is read


@dataclass(frozen=True)
class Plan:
    """Plan of a piece: its number of bars (None: open) and key (sharps, 0 major or 1 minor; None: free).

    `stop` is the bar (from 0) before which composing ends, where that is not the end of the piece (None).
    `foreseen` is what else is known of it, `form` what is planned for its bars. `harmony` (ticks, 6) are its chords
    (`melody.tokens.harmony`), which `harmonist` draws when key and meter are known, if they are to be. `whole` says
    that a pickup is no bar: a piece that turns out to begin with one has one more.
    """

    bars: int | None = None
    key: tuple[int, int] | None = None
    stop: int | None = None
    foreseen: Conditions | None = field(default=None, compare=False)
    form: FormPlan | None = None
    harmony: Told | None = field(default=None, compare=False)
    harmonist: DrawChords | None = field(default=None, compare=False)
    whole: bool = False
    had_pickup: bool = False

    def after_pickup(self) -> "Plan":
        """Return the plan of a piece that began with a pickup."""
        bars, stop = (None if count is None else count + 1 for count in (self.bars, self.stop))
        return replace(self, bars=bars, stop=stop, whole=False, had_pickup=True)


def key_value(sharps: int, minor: int) -> int:
    """A key as a value of the key channel."""
    return 1 + (7 * sharps + 9 * minor) % 12 + 12 * minor


class _Columns:
    """Columns of a layout's channels in a reader's row."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        (self.bars_left, self.key, self.position, self.meter, self.track, self.sounding, self.bass, self.time_left) = (
            layout.column[name] for name in _PLACES
        )
        self.voices = layout.voices
        self.sounding_voices = min(layout.voices, MOST_SOUNDING)
        self.voice = [layout.column[f"voice_{voice}"] for voice in range(layout.voices)]
        self.foreseen = layout.columns(wishing(layout.voices))
        self.repetition = layout.columns(recalling(0)) if layout.has("repetition") else None
        self.lines = layout.columns(LINING) if layout.has("lines") else None
        self.counterpoint = layout.columns(opposing(layout.voices)) if layout.has("counterpoint") else None
        self.parts = layout.parts
        told = forming(layout)
        self.form = layout.columns(told) if told else None
        self.harmony = layout.columns(HARMONISING) if layout.has("harmony") else None
        self.chord = [layout.column["chord"], layout.column["chord_bass"]]
        self.count = len(layout.names)


@cache
def _columns_of(layout: Layout) -> _Columns:
    return _Columns(layout)


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
        "columns",
        "counterpoint",
        "history",
        "ids",
        "key",
        "key_told",
        "kind",
        "last_pitch",
        "length",
        "lines",
        "memory",
        "meter",
        "noted",
        "now",
        "onsets",
        "pitch",
        "plan",
        "position",
        "programs",
        "recall",
        "row",
        "sound_end",
        "tempo",
        "tick",
        "track",
        "velocity",
        "vocabulary",
    )

    def __init__(self, vocabulary: Vocabulary, plan: Plan, layout: Layout | None = None) -> None:
        """`layout` says which channels are told (default: the usual ones)."""
        self.columns = _columns_of(layout or layout_of())
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
        self.recall = Recall() if self.columns.repetition is not None else None
        self.memory = AlignedMemory(plan.form, self.columns.parts) if self.columns.form is not None else None
        self.lines = LineMemory() if self.columns.lines is not None else None
        told = self.columns.counterpoint is not None
        self.counterpoint = CounterpointMemory(self.columns.voices) if told else None
        self.row: NDArray[np.int16] = np.zeros(self.columns.count + 1, np.int16)  # and a spare column
        self.key_told = key_value(*plan.key) if plan.key is not None else 0  # a value of the channel "key"
        self.row[self.columns.key] = self.key_told
        self._tell_what_is_left()
        self._tell_foreseen()
        self._tell_harmony()

    def copy(self) -> "Reader":
        """An independent reader at the same place."""
        result = copy(self)
        result.row = self.row.copy()
        result.recall = self.recall.copy() if self.recall else None
        result.memory = self.memory.copy() if self.memory else None
        result.lines = self.lines.copy() if self.lines else None
        result.counterpoint = self.counterpoint.copy() if self.counterpoint else None
        return result

    @property
    def context(self) -> NDArray[np.int16]:
        """The channels (C,) after the last token, a view."""
        return self.row[:-1]

    # ---- reading ----------------------------------------------------------------------------------------------------

    def read(self, token: int) -> None:
        """Take the next token (an id that `allow` allows)."""
        kind = self.vocabulary.kind_of[token]
        getattr(self, "_read_" + kind)(token - self.ids[kind].start)
        self.kind = kind
        if self.recall is not None:
            self.recall.read(token)
            self.row[self.columns.repetition] = self.recall.context
        if self.memory is not None:
            self.memory.read(token)
            self.row[self.columns.form] = self.memory.context
        if self.lines is not None:
            self.lines.read(token)
            self.row[self.columns.lines] = self.lines.context
        if self.counterpoint is not None:
            self.counterpoint.read(token)
            self.row[self.columns.counterpoint] = self.counterpoint.context

    def replan(self, form: FormPlan | None, harmony: Told | None = None, harmonist: DrawChords | None = None) -> None:
        """Let other plans hold from the next bar line on."""
        self.plan = replace(self.plan, form=form, harmony=harmony, harmonist=harmonist)
        if self.memory is not None:
            self.memory.replan(form)

    def planned(self, track: int) -> Symbol:
        """Return the plan of a track in the bar under way."""
        return self.plan.form.of(track, self.bar) if self.plan.form is not None else UNTOLD

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
        if self.plan.whole and self.bar == 1 and self.bar_start < self.bar_ticks:
            self.plan = self.plan.after_pickup()
        self.row[self.columns.meter] = 1 + value
        self._tell_what_is_left()

    def _read_Key(self, value: int) -> None:
        self.key = value
        if not self.key_told:  # where no key was planned, the first one stated is the plan
            self.key_told = self.row[self.columns.key] = key_value(*KEYS[value])

    def _read_Tempo(self, value: int) -> None:
        self.tempo = value

    def _read_Position(self, value: int) -> None:
        self._move_to(value)

    def _read_Track(self, value: int) -> None:
        if self.bar < 0:  # in the header
            return
        if self.plan.harmonist is not None and self.key_told and (self.bar > 0 or self.bar_ticks >= WHOLE):
            self.plan = replace(self.plan, harmony=self.plan.harmonist(self._moment()), harmonist=None)
            self._tell_harmony()
        self.track = value
        self.last_pitch = -1
        self.row[self.columns.track] = 1 + value

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
        if self.track < self.columns.voices:  # drums are not told: the channel moves with a transposition, they do not
            self.row[self.columns.voice[self.track]] = 1 + value

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
        self.row[self.columns.position] = 1 + position
        self._tell_sounding()
        self._tell_what_is_left()
        self._tell_foreseen()
        self._tell_harmony()

    def _tell_sounding(self) -> None:
        bits, bass = 0, 128
        for _, track, pitch in self.active:
            if track < self.columns.sounding_voices:
                bits |= 1 << track
            if pitch < bass and self.programs[track] != DRUMS:
                bass = pitch
        self.row[self.columns.sounding] = 1 + bits
        self.row[self.columns.bass] = 1 + bass if bass < 128 else 0

    def _tell_what_is_left(self) -> None:
        if self.plan.bars is None:
            return
        bars_left = max(self.plan.bars - self.bar, 1)
        self.row[self.columns.bars_left] = min(bars_left, FAR)
        if self.bar_ticks:  # were all bars as long as this one
            ticks_left = self.bar_start + bars_left * self.bar_ticks - self.tick
            self.row[self.columns.time_left] = min(1 + ticks_left // TIME_UNIT, FAR_TIME)

    def _tell_foreseen(self) -> None:
        table = self.plan.foreseen
        if table is not None:
            self.row[self.columns.foreseen] = table.at(self.tick)

    def _moment(self) -> Moment:
        plan = self.plan
        stop = plan.stop if plan.stop is not None else plan.bars or self.bar + 1
        return Moment(self.bar, self.bar_start, self.bar_ticks, self.meter, self.key_told, stop)

    def _tell_harmony(self) -> None:
        table, columns = self.plan.harmony, self.columns.harmony
        if table is None:
            return
        told = table[self.tick] if self.tick < len(table) else np.zeros(len(HARMONISING), np.int16)
        if columns is not None:
            self.row[columns] = told
        else:  # a model that knows of no plan is told its chords as those that a musician asks for
            self.row[self.columns.chord] = told[:2]

    def written(self, track: int) -> int:
        """Number of notes of a track that have been read, without the one under way."""
        note = self.history[track]
        return note.number if note else 0

    def ends_with(self, token: int) -> bool:
        """Return True where composing ends with this token: EOS, or the bar line before which it is to stop."""
        kind = self.vocabulary.kind_of[token]
        return kind == "End" or (kind == "Bar" and self.bar + 1 == self.plan.stop)

    @property
    def planned_key(self) -> tuple[int, bool] | None:
        """Tonic (0-11) and whether it is minor, of the key that the model is told; None where it is told none."""
        value = self.key_told - 1
        return (value % 12, value >= 12) if value >= 0 else None

    @property
    def sounding(self) -> bool:
        """True where something sounds in the bar under way."""
        return self.sound_end > self.bar_start

    def allow(self) -> NDArray[np.bool_]:
        """A new mask (V,) of the tokens that may follow; all False only after EOS."""
        return allowed(self)

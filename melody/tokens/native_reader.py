"""The reader in C: what `melody.tokens.reader.Reader` does, some forty times as fast.

A test holds the two to each other state by state. Where the core is not installed, or knows a channel not, Python
reads: `reader_for` then gives None.
"""

import ctypes
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from melody.music.score import GRID, bar_length
from melody.native.library import core
from melody.tokens.channels import HARMONISING, Layout, forming, wishing
from melody.tokens.counterpoint import names as counterpoint
from melody.tokens.harmony import DrawChords, Moment, Told
from melody.tokens.lines import NAMES as LINES
from melody.tokens.plan import LAGS, FormPlan
from melody.tokens.reader import Plan, key_value
from melody.tokens.vocabulary import METERS, event_vocabulary

_SINGLE = ("bars_left", "key", "position", "meter", "track", "sounding", "bass", "time_left")  # as in core/reader.h
_REPETITION = ("recalled", "agreed", "times", "ago")
_UNKNOWN = ("told",)  # groups of channels
_MOST_COLUMNS, _MOST_VOICES, _MOST_FORESEEN, _MOST_FORM = 256, 16, 64, 40
_EVENT = np.dtype([("place", "i4"), ("duration", "i4"), *((name, "u1") for name in ("track", "hit", "loud", "sure"))])
_NO_EVENT = 255  # in `loud`: the mark of an empty bar


_Moment = ctypes.c_int32 * len(Moment._fields)


class _Chords(ctypes.Structure):
    pass


_Draw = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_Moment), ctypes.POINTER(_Chords))
_Chords._fields_ = [("ticks", ctypes.c_int32), ("told", ctypes.c_void_p), ("draw", _Draw)]


class CorePlan(ctypes.Structure):
    """Facts of a piece that are known beforehand, as core/reader.h has it."""

    _fields_ = [
        *((name, ctypes.c_int32) for name in ("bars", "stop", "key_told", "whole", "had_pickup", "foreseen_ticks")),
        ("foreseen", ctypes.c_void_p),
        ("chords", _Chords),
    ]


class _FormPlan(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int32) for name in ("there", "pickup", "lines", "by_track", "bars", "aheads")),
        *((name, ctypes.c_void_p) for name in ("symbols", "ahead_bars", "ahead")),
    ]


class _PlannedChords:
    """Chords as core/reader.h has them: tables that it refers to, and what draws one, asked from there."""

    def __init__(self, told: Told | None, draw: DrawChords | None) -> None:
        self.error: BaseException | None = None  # that of drawing
        self._draw, self._tables = draw, list[Told]()
        self.item = _Chords(draw=_Draw(self._drawn) if draw is not None else _Draw())
        if told is not None:
            self._tell(told, self.item)

    def _tell(self, told: Told, item: _Chords) -> None:
        table = np.require(told, np.int16, ["C", "A"])
        if table.shape[1:] != (len(HARMONISING),):
            raise ValueError(f"chords of shape {table.shape}")
        self._tables.append(table)
        item.ticks, item.told = len(table), table.ctypes.data

    def _drawn(self, moment: Any, item: Any) -> int:
        try:
            assert self._draw is not None
            self._tell(self._draw(Moment(*moment.contents)), item.contents)
        except BaseException as error:
            self.error = error
            return 0
        return 1


class Outset(NamedTuple):
    """Parts that a reader is made of, beside its plans of bars and chords."""

    plan: CorePlan
    columns: NDArray[np.int32]  # the layout, as core/reader.h has it
    foreseen: NDArray[np.int16] | None  # (ticks, channels), to which the plan points
    layout: Layout


class NativeReader:
    """All that has been read of a piece, kept in C. It is a `melody.tokens.contract.TokenReader`."""

    def __init__(
        self, library: ctypes.CDLL, pointer: int, width: int, size: int, outset: Outset, chords: _PlannedChords
    ) -> None:
        self.core, self.pointer, self._width, self._size = library, pointer, width, size
        self.outset, self._chords = outset, chords  # what the C side refers to
        self._close = finalize(self, library.reader_free, pointer)

    @property
    def sizes(self) -> tuple[int, int]:
        """Number of tokens, and of channels."""
        return self._size, self._width

    def copy(self) -> "NativeReader":
        """An independent reader at the same place."""
        pointer = _made(self.core.reader_copy(self.pointer))
        return NativeReader(self.core, pointer, self._width, self._size, self.outset, self._chords)

    def read(self, token: int) -> None:
        """Take the next token."""
        self.read_all([token])

    def read_all(self, tokens: Sequence[int] | NDArray[np.integer]) -> "NativeReader":
        """Take several tokens; return self."""
        self._read(tokens, None)
        return self

    def contexts(self, tokens: Sequence[int] | NDArray[np.integer]) -> NDArray[np.int16]:
        """Take several tokens; return the channels (T, C) after each."""
        result = np.empty((len(tokens), self._width), np.int16)
        self._read(tokens, result.ctypes.data)
        return result

    def _read(self, tokens: Sequence[int] | NDArray[np.integer], contexts: int | None) -> None:
        ids = np.require(tokens, np.int32, ["C", "A"])
        read = self.core.reader_read_all(self.pointer, ids.ctypes.data, len(ids), contexts)
        if read < len(ids):
            self.check()
            raise ValueError(f"token {int(ids[read])} makes no sense here")

    @property
    def context(self) -> NDArray[np.int16]:
        """The channels (C,) after the last token."""
        result = np.empty(self._width, np.int16)
        self.core.reader_context(self.pointer, result.ctypes.data)
        return result

    def allow(self) -> NDArray[np.bool_]:
        """A new mask (V,) of the tokens that may follow."""
        result = np.empty(self._size, bool)
        self.core.reader_mask(self.pointer, result.ctypes.data)
        return result

    def check(self) -> None:
        """Raise the error with which the chords were drawn, if any."""
        if self._chords.error is not None:
            raise self._chords.error

    def replan(self, form: FormPlan | None, harmony: Told | None = None, harmonist: DrawChords | None = None) -> None:
        """Let other plans hold from the next bar line on."""
        plan, _arrays = form_plan(form)
        self._chords = _PlannedChords(harmony, harmonist)
        if not self.core.reader_replan(self.pointer, ctypes.byref(plan), ctypes.byref(self._chords.item)):
            raise MemoryError


def reader_for(layout: Layout, plan: Plan) -> NativeReader | None:
    """Return a fresh reader; None where the core is not there or does not know a channel."""
    library = core()
    if library is None or not _agrees() or (columns := _columns(layout)) is None:
        return None
    if plan.form is not None and not forming(layout):
        return None
    foreseen = None if plan.foreseen is None else np.require(plan.foreseen.values, np.int16, ["C", "A"])
    if foreseen is not None and foreseen.shape[1] != len(wishing(layout.voices)):
        return None
    numbers = [-1 if number is None else number for number in (plan.bars, plan.stop)]
    told = key_value(*plan.key) if plan.key is not None else 0
    table = (0, None) if foreseen is None or not len(foreseen) else (len(foreseen), foreseen.ctypes.data)
    chords = _PlannedChords(plan.harmony, plan.harmonist)
    known = CorePlan(*numbers, told, plan.whole, plan.had_pickup, *table, chords.item)
    outset = Outset(known, columns, foreseen, layout)
    form, _arrays = form_plan(plan.form)
    pointer = library.reader_new(columns.ctypes.data, ctypes.byref(known), ctypes.byref(form))
    return NativeReader(library, _made(pointer), len(layout.names), len(event_vocabulary()), outset, chords)


def _made(pointer: int | None) -> int:
    if pointer is None:
        raise MemoryError
    return pointer


@cache
def _agrees() -> bool:
    """Return True where the core has the tokens and meters of this melody."""
    library, ids = core(), event_vocabulary().ids
    starts, ticks, units = np.zeros(16, np.int32), *np.zeros((2, 189), np.int32)  # as many as it has
    if library is None:
        return False
    library.vocabulary_tell(*(array.ctypes.data for array in (starts, ticks, units)))
    meters = [(int(bar_length(n, d, GRID)), n % 256) for n, d in METERS]
    same = starts.tolist() == [*(span.start for span in ids.values()), len(event_vocabulary())]
    return same and meters == list(zip(ticks.tolist(), units.tolist(), strict=True))


@cache
def _columns(layout: Layout) -> NDArray[np.int32] | None:
    """A layout as core/reader.h has it; None where there is a channel that the core does not know."""
    if any(channel.group in _UNKNOWN for channel in layout.channels) or len(layout.names) > _MOST_COLUMNS:
        return None
    foreseen = [channel.name for channel in wishing(layout.voices)]
    form = [channel.name for channel in forming(layout)]
    spare = len(layout.names)
    if layout.voices > _MOST_VOICES or len(foreseen) > _MOST_FORESEEN or len(form) > _MOST_FORM:
        return None

    def places(names: Sequence[str], most: int) -> list[int]:
        return [layout.column[name] for name in names] + [spare] * (most - len(names))

    sizes = [spare, layout.voices, len(foreseen), layout.has("repetition"), len(form), layout.parts]
    voices = [f"voice_{voice}" for voice in range(layout.voices)]
    chords = [channel.name for channel in HARMONISING] if layout.has("harmony") else ["chord", "chord_bass"]  # as asked
    parts = (
        *((_SINGLE, 8), (voices, _MOST_VOICES), (foreseen, _MOST_FORESEEN), (_REPETITION, 4)),
        *((form, _MOST_FORM), (chords, len(HARMONISING)), (LINES, len(LINES))),
        (counterpoint(layout.voices), _MOST_VOICES),
    )
    return np.array([*sizes, *(place for names, most in parts for place in places(names, most))], np.int32)


def form_plan(form: FormPlan | None) -> tuple[_FormPlan, object]:
    """A plan as core/aligned_memory.h has it, and what must live as long. Raises `ValueError` for an unknown lag."""
    if form is None:
        return _FormPlan(), None
    lines = form.lines
    symbols = np.zeros((len(lines), form.bars, 2), np.int32)
    for line, own in zip(symbols, lines, strict=True):
        line[: len(own)] = np.array(own, np.int32).reshape(-1, 2)
    if not np.isin(np.abs(symbols[..., 0]), (0, *LAGS)).all():
        raise ValueError("a plan with a lag that no model knows")
    ahead = [(bar, event) for bar in sorted(form.ahead) for event in form.ahead[bar] or [(0, 0, 0, _NO_EVENT, 0)]]
    events = np.zeros(len(ahead), _EVENT)
    for row, (_, (place, track, hit, loud, duration)) in zip(events, ahead, strict=True):
        row["place"], row["duration"], row["track"], row["hit"], row["loud"] = place, duration, track, hit, loud
    of = np.array([bar for bar, _ in ahead], np.int32)
    arrays = (symbols, of, events)
    sizes = (1, form.pickup, len(lines), bool(form.tracks), form.bars, len(ahead))
    return _FormPlan(*sizes, *(array.ctypes.data for array in arrays)), arrays

"""The event tokenizer: a quantised score to ids and back, without loss, in numpy.

A piece reads::

    BOS  Track_0 Program_52  Track_1 Program_52 ...
    Bar TimeSignature_4/4
        Position_0 Key_1_major Tempo_120  Track_0 Velocity_82 Pitch_67 Duration_24  Track_1 Velocity_82 Pitch_62 ...
        Position_24 Track_0 Pitch_69 Duration_24 ...
    Bar ... EOS

Bar-oriented as REMI (Huang & Yang 2020, arXiv:2002.00212), but tracks are explicit and stay apart when they share a
program, the grid is 24 ticks a quarter in every meter, and what has not changed is not said again: the track, a
track's velocity, the meter, key and tempo. Notes of one onset go by track, then upwards by pitch. So every quantised
score has exactly one spelling, and `decode(encode(score)) == quantize(score)`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from symusic import KeySignature, Tempo, TimeSignature, Track

from melody.errors import LimitExceeded, MelodyError
from melody.music.quantize import VELOCITY_STEP, quantize, tempo_bin
from melody.music.score import GRID, Ints, Notes, Score, bar_length, bars, end_tick, notes_of, set_notes
from melody.tokens.channels import USUAL, Channel, layout_of
from melody.tokens.intervals import IntervalView, interval_view
from melody.tokens.native_reader import reader_for
from melody.tokens.reader import Plan, Reader
from melody.tokens.vocabulary import DRUMS, KEYS, MAX_DURATION, MAX_TRACKS, METERS, TEMPOS, VELOCITIES, event_vocabulary

Ids = NDArray[np.int32]

# The order of events at one tick.
_BAR, _METER, _POSITION, _KEY, _TEMPO, _NOTE = range(6)
_TRACK_PART, _VELOCITY_PART, _PITCH_PART, _SUSTAIN_PART, _DURATION_PART = range(5)


@dataclass(frozen=True)
class EventTokenizer:
    """melody's own tokenizer. All melody models read the same events; `names` are the channels told beside them."""

    names: tuple[str, ...] = USUAL

    name = "events"
    vocabulary = event_vocabulary()

    @property
    def config(self) -> dict[str, object]:
        """Settings that rebuild this tokenizer's tokens; a bundle records the names of its channels beside it."""
        return {"name": self.name}

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The context channels, in the order of their columns."""
        return layout_of(self.names).channels

    @property
    def voices(self) -> int:
        """Number of tracks of whose pitches and given notes a model is told."""
        return layout_of(self.names).voices

    @property
    def parts(self) -> int:
        """Number of tracks whose own plans are told; 0: the piece has one plan."""
        return layout_of(self.names).parts

    def telling(self, names: Sequence[str]) -> "EventTokenizer":
        """The same tokenizer with these channels."""
        return EventTokenizer(tuple(names))

    def reader(self, plan: Plan | None = None) -> Reader:
        """A fresh reader of a piece with such a plan (default: of which nothing is known)."""
        return Reader(self.vocabulary, plan or Plan(), layout_of(self.names))

    def encode(self, score: Score) -> Ids:
        """The ids (T,) of a score's quantisation, from BOS to EOS.

        Raises `LimitExceeded` for more than 32 tracks, a bar longer than twelve quarters, or too many bars.
        """
        return _encode(quantize(score))

    def spell(self, quantized: Score) -> Ids:
        """The ids of a score that is its own quantisation; here tracks without notes keep their place."""
        return _encode(quantized)

    def header(self, tracks: Sequence[Track]) -> list[int]:
        """The ids with which a piece of these tracks begins, before its first bar."""
        return [_RANGES["Begin"][0], *_header(tracks)]

    def decode(self, ids: NDArray[np.integer]) -> Score:
        """The quantised score of ids that obey the grammar; EOS may be missing, an unfinished note is left out."""
        return _decode(np.asarray(ids, np.int64))

    def ticks(self, ids: NDArray[np.integer]) -> Ints:
        """The tick (T,) of the grid that is reached with each token, as `Reader.tick` has it."""
        return _timeline(np.asarray(ids, np.int64))[0]

    def context(self, ids: Ids, plan: Plan | None = None) -> NDArray[np.int16]:
        """The context channels (T, C) after each token, under a plan (default: the piece's own, see `plan_of`)."""
        plan = self.plan_of(ids) if plan is None else plan
        if (native := reader_for(layout_of(self.names), plan)) is not None:
            return native.contexts(ids)
        reader = self.reader(plan)
        result = np.empty((len(ids), len(self.names)), np.int16)
        for row, token in zip(result, ids.tolist(), strict=True):
            reader.read(token)
            row[:] = reader.context
        return result

    def plan_of(self, ids: NDArray[np.integer]) -> Plan:
        """Plan of a complete piece: its number of bars and its first key."""
        ids = np.asarray(ids)
        keys = ids[_is(ids, "Key")]
        key = KEYS[int(keys[0]) - _RANGES["Key"].start] if len(keys) else None
        return Plan(bars=int(np.count_nonzero(_is(ids, "Bar"))), key=key)

    def transposition(self, ids: Ids) -> tuple[int, int]:
        """The lowest and highest number of semitones by which all pitches stay within 0..127."""
        pitches = ids[_is(ids, "Pitch")] - _RANGES["Pitch"].start
        return (-int(pitches.min()), 127 - int(pitches.max())) if len(pitches) else (0, 0)

    def intervals(self, widest: int | None) -> IntervalView | None:
        """Relation of pitches to the voices, bass, key and chord told, up to so many semitones (None: not asked)."""
        references = [*(f"voice_{voice}" for voice in range(self.voices)), "bass", "key", "chord"]
        told = [name for name in references if name in self.names]
        return interval_view([_RANGES["Pitch"]], 0, self.channels, told, widest) if widest else None

    def shift_tables(self, shifts: list[int]) -> tuple[NDArray[np.int32], list[NDArray[np.int16]]]:
        """Lookup tables that transpose: ids (S, V) and, per channel, values (S, size), one row a shift in semitones.

        A pitch that would leave the range stays where it is; `transposition` says which shifts are safe.
        """
        from melody.tokens.transpose import shift_channels, shift_ids

        return shift_ids(self.vocabulary, shifts), shift_channels(self.channels, shifts)


_RANGES = EventTokenizer.vocabulary.ids


def _is(ids: NDArray[np.integer], kind: str) -> NDArray[np.bool_]:
    span = _RANGES[kind]
    return (ids >= span.start) & (ids < span.stop)


# ---- encoding -------------------------------------------------------------------------------------------------------


def _encode(score: Score) -> Ids:
    if len(score.tracks) > MAX_TRACKS:
        raise LimitExceeded(
            f"{len(score.tracks)} tracks with notes; melody reads up to {MAX_TRACKS}; merge or drop some"
        )
    notes, track = _sorted_notes(score)
    lines = bars(score, max(1, end_tick(score)))
    rows = [
        _rows(lines[:-1], _BAR, _RANGES["Bar"][0]),
        _rows([c.time for c in score.time_signatures], _METER, [_meter_id(c) for c in score.time_signatures]),
        _rows([k.time for k in score.key_signatures], _KEY, [_key_id(k) for k in score.key_signatures]),
        _rows([t.time for t in score.tempos], _TEMPO, [_RANGES["Tempo"][tempo_bin(t.qpm)] for t in score.tempos]),
        *_note_rows(notes, track, score),
    ]
    used = np.unique(np.concatenate([row[0] for row in rows[2:]]))
    bar = np.searchsorted(lines, used, side="right") - 1
    rows.append(_rows(used, _POSITION, _RANGES["Position"].start + used - lines[bar]))
    tick, order, index, part, token = np.concatenate(rows, axis=1)
    body = token[np.lexsort((part, index, order, tick))]
    return np.concatenate([[_RANGES["Begin"][0]], _header(score.tracks), body, [_RANGES["End"][0]]]).astype(np.int32)


def _rows(tick: Any, order: int, token: Any, index: Any = 0, part: int = 0) -> Ints:
    """Rows of (tick, order, note index, part, token), shape (5, N); the first four are the sort key."""
    columns = (np.atleast_1d(np.asarray(c, np.int64)) for c in (tick, order, index, part, token))
    tick, order_, index_, part_, token_ = columns
    shape = tick.shape
    return np.stack([tick, *(np.broadcast_to(c, shape) for c in (order_, index_, part_, token_))])


def _header(tracks: Sequence[Track]) -> list[int]:
    header = []
    for index, track in enumerate(tracks):
        program = DRUMS if track.is_drum else track.program
        header += [_RANGES["Track"][index], _RANGES["Program"][program]]
    return header


def _sorted_notes(score: Score) -> tuple[Notes, Ints]:
    """All notes in order of onset, track and pitch, and the track of each."""
    parts = [notes_of(track) for track in score.tracks] or [Notes(*(np.zeros(0, np.int64),) * 4)]
    track = np.repeat(np.arange(len(parts)), [len(part.onset) for part in parts])
    notes = Notes(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    order = np.lexsort((notes.pitch, track, notes.onset))
    return notes.take(order), track[order]


def _note_rows(notes: Notes, track: Ints, score: Score) -> list[Ints]:
    number = np.arange(len(track))
    drums = np.array([t.is_drum for t in score.tracks], bool)[track] if len(track) else np.zeros(0, bool)
    velocity = notes.velocity // VELOCITY_STEP
    sustains = (notes.duration - 1) // MAX_DURATION
    sustained = np.repeat(number, sustains)
    new_track = np.diff(track, prepend=-1) != 0
    new_velocity = _changes_within(velocity, track)
    pitch = np.where(drums, _RANGES["Drum"].start, _RANGES["Pitch"].start) + notes.pitch

    def rows(chosen: Any, part: int, token: Any) -> Ints:
        return _rows(notes.onset[chosen], _NOTE, token, number[chosen], part)

    everything = slice(None)
    return [
        rows(new_track, _TRACK_PART, _RANGES["Track"].start + track[new_track]),
        rows(new_velocity, _VELOCITY_PART, _RANGES["Velocity"].start + velocity[new_velocity]),
        rows(everything, _PITCH_PART, pitch),
        rows(sustained, _SUSTAIN_PART, _RANGES["Sustain"][0]),
        rows(everything, _DURATION_PART, _RANGES["Duration"].start - 1 + notes.duration - sustains * MAX_DURATION),
    ]


def _changes_within(value: Ints, group: Ints) -> NDArray[np.bool_]:
    """Mask of the values that differ from the one before them in the same group."""
    order = np.argsort(group, kind="stable")
    same = (np.diff(value[order]) == 0) & (np.diff(group[order]) == 0)
    changed = np.ones(len(value), bool)
    changed[order[1:]] = ~same
    return changed


def _meter_id(change: TimeSignature) -> int:
    return _RANGES["TimeSignature"][METERS.index((change.numerator, change.denominator))]


def _key_id(key: KeySignature) -> int:
    return _RANGES["Key"][KEYS.index((key.key, key.tonality))]


# ---- decoding -------------------------------------------------------------------------------------------------------


def _decode(ids: Ints) -> Score:
    tick, score = _timeline(ids)
    _decode_notes(ids, tick, score)
    return score


def _timeline(ids: Ints) -> tuple[Ints, Score]:
    """The tick of each token, and a score with meters, keys and tempos."""
    score = Score(GRID)
    is_bar = _is(ids, "Bar")
    bar = np.cumsum(is_bar) - 1  # of each token; -1 in the header
    meter_at = np.flatnonzero(_is(ids, "TimeSignature"))
    meter = ids[meter_at] - _RANGES["TimeSignature"].start
    if is_bar.any() and (not len(meter_at) or bar[meter_at[0]] != 0):
        raise MelodyError("tokens: the first Bar has no TimeSignature; these ids do not obey the grammar")
    lengths = np.array([int(bar_length(METERS[m][0], METERS[m][1], GRID)) for m in meter], np.int64)
    count = int(is_bar.sum())
    length = lengths[np.searchsorted(bar[meter_at], np.arange(count), side="right") - 1] if count else lengths
    start = np.concatenate([[0], np.cumsum(length)])  # of each bar, and the final line
    position = _latest(ids, "Position", reset=is_bar)
    tick = start[np.maximum(bar, 0)] + position
    score.time_signatures = [
        TimeSignature(int(start[bar[a]]), *METERS[m]) for a, m in zip(meter_at, meter, strict=True)
    ]
    for at in np.flatnonzero(_is(ids, "Key")):
        score.key_signatures.append(KeySignature(int(tick[at]), *KEYS[ids[at] - _RANGES["Key"].start]))
    for at in np.flatnonzero(_is(ids, "Tempo")):
        score.tempos.append(Tempo(int(tick[at]), qpm=TEMPOS[ids[at] - _RANGES["Tempo"].start]))
    return tick, score


def _latest(ids: Ints, kind: str, reset: NDArray[np.bool_] | None = None) -> Ints:
    """The value of the latest token of a kind at each place; 0 before one and after `reset`."""
    is_kind = _is(ids, kind)
    marks = is_kind if reset is None else is_kind | reset
    value = np.where(is_kind, ids - _RANGES[kind].start, 0)
    latest = np.maximum.accumulate(np.where(marks, np.arange(len(ids)), -1))
    return np.where(latest >= 0, value[latest], 0)


def _decode_notes(ids: Ints, tick: Ints, score: Score) -> None:
    pitched, drum = _is(ids, "Pitch"), _is(ids, "Drum")
    at = np.flatnonzero(pitched | drum)
    duration_at = np.flatnonzero(_is(ids, "Duration"))
    at = at[: len(duration_at)]  # the last note may be unfinished
    sustains = duration_at - at - 1
    duration = ids[duration_at] - _RANGES["Duration"].start + 1 + sustains * MAX_DURATION
    pitch = ids[at] - np.where(pitched[at], _RANGES["Pitch"].start, _RANGES["Drum"].start)
    track = _latest(ids, "Track")[at]
    for index, program in enumerate(_programs(ids)):
        mine = at[track == index]
        velocity = np.array(VELOCITIES)[_velocity_of_track(ids, index)[mine]]
        new = Track("", 0 if program == DRUMS else program, program == DRUMS)
        chosen = track == index
        set_notes(new, Notes(tick[mine], duration[chosen], pitch[chosen], velocity))
        score.tracks.append(new)


def _programs(ids: Ints) -> list[int]:
    return [int(program) for program in ids[_is(ids, "Program")] - _RANGES["Program"].start]


def _velocity_of_track(ids: Ints, index: int) -> Ints:
    """The running velocity bin of one track at each place."""
    mine = _latest(ids, "Track") == index
    masked = np.where(mine | ~_is(ids, "Velocity"), ids, _RANGES["Pad"][0])
    return _latest(masked, "Velocity")

"""Originality: which of a score's n-grams stand in the training music, and which passages are copies of it.

An n-gram is eight notes of a voice in a row: the duration of each and its interval to the note after it. So it tells
nothing of the key, and transposition does not hide a copy. A voice is a pitched track, read on the grid of
`melody.music.score.GRID`, rests skipped, the highest of notes that begin together. Voices are numbered among pitched
tracks.

The in-training share of a voice is that of its distinct n-grams which the same voice of a training piece has. On JSB-16
the mean over the 77 test chorales is 26.8 / 0.8 / 0.9 / 5.8 % (S, A, T, B): hymn tunes come back, inner voices hardly
do. Generated music that scores above held-out human music copies.

A musician's file may have other tracks in another order, so `counts`, `piece_share` and `copies` look in all voices of
the index. That hides no quotation and costs nothing: in any voice, held-out chorales have at most half a percentage
point more than in their own.

An index keeps one row an n-gram, in reading order, voice after voice. An n-gram is known by three hashes of 12 bits, of
its notes 1 to 6, 2 to 7 and 3 to 8: the next n-gram has two of them too, so a row costs one. Of the distinct n-grams of
held-out pieces at most one in 20,000 seems to be known and is not, fewer than with one hash of 32 bits, as earlier
versions had it: where an index that they wrote is asked, n-grams are hashed as they did (`Index.older`).

A passage copied note by note is a diagonal of matches: the n-gram of note q + 1 stands in the row after that of note q.

    score   q0  q0+1  q0+2           rows e0, e0+1, e0+2 belong to one voice of one piece:
    index   e0  e0+1  e0+2           notes q0 to q0 + 2 + 8 are a copy of it
"""

import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from symusic import Track

from melody.errors import MelodyError
from melody.music.index_file import BITS, COLUMNS, packed, starts_of, unpacked
from melody.music.score import GRID, Ints, Notes, Score, bars, different, notes_of, rescale

LENGTH = 8  # notes whose durations and following intervals make an n-gram
PART = 6  # notes of it that a hash of `BITS` is taken of, at each of three places
MIN_BARS = 2.0  # shorter copies are common property

Wide = NDArray[np.uint64]
Hashes = NDArray[np.unsignedinteger[Any]]  # `Wide`, or 32 bits of older indexes

# Constants of SplitMix64 (Steele, Lea & Flood 2014). Indexes are kept in bundles: never change them.
_GOLDEN, _MIX_1, _MIX_2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_WEIGHTS = np.array([pow(_GOLDEN, place + 1, 2**64) for place in range(LENGTH)], np.uint64)

# what numpy and zipfile raise for bytes that are no archive, or a broken one
_DAMAGE = (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


class Count(NamedTuple):
    """Counts of a track's distinct n-grams, and of those that stand in the training music."""

    known: int
    ngrams: int

    @property
    def share(self) -> float:
        """The share from 0 to 1; NaN where there are no n-grams."""
        return self.known / self.ngrams if self.ngrams else float("nan")


@dataclass(frozen=True)
class Copy:
    """A passage that stands in a training piece.

    Bars count from 1, both ends included. It may sound in another key than the piece.
    """

    track: int
    first_bar: int
    last_bar: int
    piece: str
    piece_bar: int

    @property
    def piece_last_bar(self) -> int:
        """The piece's last bar of it, as far on as the copy's: one off where only one of them begins in mid-bar."""
        return self.piece_bar + self.last_bar - self.first_bar


@dataclass(frozen=True, eq=False)
class Index:
    """The n-grams of training music; arrays of one length, a row an n-gram in reading order (see the module)."""

    pieces: tuple[str, ...]
    hashes: Hashes
    piece: NDArray[np.uint32]  # position in `pieces`
    voice: NDArray[np.uint8]  # among the piece's pitched tracks
    bar: NDArray[np.uint16]  # of the first note, from 0

    def __len__(self) -> int:
        return len(self.hashes)

    @property
    def older(self) -> bool:
        """True where an n-gram has one hash of 32 bits, as in files of earlier versions."""
        return self.hashes.dtype == np.uint32

    def ngrams(self, notes: Notes) -> Hashes:
        """The n-grams of a voice, hashed as those of this index: see `ngrams`."""
        return ngrams(notes, self.older)

    @cached_property
    def by_hash(self) -> tuple[Hashes, Ints]:
        """The hashes in order, and the row of each."""
        rows = np.argsort(self.hashes, kind="stable")
        return self.hashes[rows], rows

    @cached_property
    def by_voice(self) -> tuple[Hashes, ...]:
        """The distinct hashes of each voice, in order."""
        return tuple(np.unique(self.hashes[self.voice == v]) for v in range(int(self.voice.max(initial=0)) + 1))

    @cached_property
    def first(self) -> NDArray[np.bool_]:
        """Return a mask of the rows that begin a voice of a piece: their n-gram follows none."""
        return starts_of(self.piece, self.voice)

    def find(self, grams: Hashes) -> tuple[Ints, Ints]:
        """Every pair of an n-gram (its position in `grams`) and a row that has it, in order of position."""
        hashes, rows = self.by_hash
        low = np.searchsorted(hashes, grams, side="left")
        count = np.searchsorted(hashes, grams, side="right") - low
        if not count.any():  # as for most music: composing asks note by note
            return count[:0], count[:0]
        position = np.repeat(np.arange(len(grams)), count)
        within = np.arange(len(position)) - np.repeat(np.cumsum(count) - count, count)
        return position, rows[np.repeat(low, count) + within]

    def to_bytes(self) -> bytes:
        """The index as a compressed npz file, the same bytes for the same index."""
        return packed(self.pieces, {name: getattr(self, name) for name in COLUMNS})

    @staticmethod
    def from_bytes(data: bytes) -> "Index":
        """The index that `to_bytes` wrote. Raises `MelodyError` for bytes that are none."""
        try:
            names, columns = unpacked(data)
            return Index(names, **columns)
        except _DAMAGE as error:
            raise MelodyError(f"originality index: damaged ({error}); install or export its model again") from error


def line(track: Track, tpq: int) -> Notes:
    """A track as one voice on the grid, in order of onset: the highest of the notes that begin together."""
    notes = notes_of(track)
    onset = rescale(notes.onset, tpq, GRID)
    end = rescale(notes.onset + notes.duration, tpq, GRID)
    notes = notes._replace(onset=onset, duration=np.maximum(1, end - onset))
    notes = notes.take(np.lexsort((-notes.pitch, notes.onset)))
    return notes.take(np.diff(notes.onset, prepend=notes.onset[:1] - 1) != 0)


def ngrams(notes: Notes, older: bool = False) -> Hashes:
    """A hash of the n-gram that begins at each note of a voice; shape (max(0, notes - `LENGTH`),)."""
    if len(notes.pitch) <= LENGTH:
        return _hashed(np.zeros((0, LENGTH), np.uint64), older)
    symbols = _symbols(np.diff(notes.pitch), notes.duration[:-1])
    return _hashed(sliding_window_view(symbols, LENGTH), older)


def followed_by(duration: Ints, pitch: Ints, following: Ints, older: bool = False) -> Hashes:
    """The n-gram that `LENGTH` notes of a voice make with each pitch of `following` (N,) after them; shape (N,)."""
    known = _symbols(np.diff(pitch), duration[:-1])
    last = _symbols(following - pitch[-1], duration[-1:])
    return _hashed(np.column_stack([np.tile(known, (len(last), 1)), last]), older)


def build(pieces: Iterable[tuple[str, Score]]) -> Index:
    """The index of training pieces, each with the name under which a copy of it is reported; of drums alone, empty."""
    names: list[str] = []
    rows: list[tuple[NDArray[np.generic], ...]] = []
    for name, score in pieces:
        rows += _rows(score, len(names))
        names.append(name)
    columns = [np.concatenate(column) for column in zip(*rows, strict=True)] or [np.zeros(0)] * 4
    types = (np.uint64, np.uint32, np.uint8, np.uint16)
    known = tuple(names) if rows else ()
    return Index(known, *(column.astype(type_) for column, type_ in zip(columns, types, strict=True)))


def share(score: Score, index: Index) -> list[float]:
    """The in-training share of each pitched track, from 0 to 1; NaN for a track of eight notes or fewer."""
    voices = (np.unique(index.ngrams(line(track, score.tpq))) for track in _voices(score))
    return [_share(grams, index, v) for v, grams in enumerate(voices)]


def distinct(scores: Iterable[Score]) -> int:
    """Count the distinct n-grams of scores, those of each voice apart."""
    voices = zip_longest(*([ngrams(line(track, score.tpq)) for track in _voices(score)] for score in scores))
    parts = ([found for found in voice if found is not None] for voice in voices)
    return sum(len(np.unique(np.concatenate(part))) for part in parts)


def mean_share(scores: Iterable[Score], index: Index) -> list[float]:
    """Each voice's in-training share as a mean over the scores that have n-grams in it; NaN where none has."""
    by_voice = zip_longest(*(share(score, index) for score in scores), fillvalue=float("nan"))
    return [_mean([value for value in values if value == value]) for values in by_voice]


def counts(score: Score, index: Index) -> list[Count]:
    """The n-grams of each track, and how many of them any voice of the index has; none of drums."""
    result = []
    for track in score.tracks:
        grams = different(index.ngrams(line(track, score.tpq))) if not track.is_drum else np.zeros(0, np.uint64)
        result.append(Count(len(different(index.find(grams)[0])), len(grams)))
    return result


def pooled(counts_: Iterable[Count]) -> Count:
    """Several tracks as one."""
    known, ngrams_ = (sum(column) for column in zip((0, 0), *counts_, strict=True))
    return Count(known, ngrams_)


def piece_share(score: Score, index: Index) -> float:
    """The in-training share of a whole piece, or of the new part of a take: of the n-grams of all its tracks together.

    From 0 to 1; NaN where no track has more than eight notes.
    """
    return pooled(counts(score, index)).share


def copies(score: Score, index: Index, min_bars: float = MIN_BARS) -> list[Copy]:
    """The passages of at least `min_bars` bars that stand in the index in any voice, the longest of each track first.

    A passage inside a longer one is not told again. `Copy.track` counts all tracks of the score from 0.
    """
    lines = bars(score)
    return [
        copy
        for number, track in enumerate(score.tracks)
        if not track.is_drum and len(track.notes)
        for copy in _copies(line(track, score.tpq), number, rescale(lines, score.tpq, GRID), index, min_bars)
    ]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else float("nan")


def _voices(score: Score) -> list[Track]:
    return [track for track in score.tracks if not track.is_drum and len(track.notes)]


def _symbols(interval: Ints, duration: Ints) -> Wide:
    """A hash of each note: its interval to the next and its duration."""
    return _mix((interval + 128).astype(np.uint64) << np.uint64(32) | duration.astype(np.uint64))


def _hashed(symbols: Wide, older: bool) -> Hashes:
    """A hash of each n-gram, of its notes' (N, `LENGTH`): of its three parts in turn, from high bits to low; (N,)."""
    if older:
        return (_mix((symbols * _WEIGHTS).sum(axis=1, dtype=np.uint64)) >> np.uint64(32)).astype(np.uint32)
    result = np.zeros(len(symbols), np.uint64)
    for start in range(LENGTH - PART + 1):
        part = _mix((symbols[:, start : start + PART] * _WEIGHTS[:PART]).sum(axis=1, dtype=np.uint64))
        result = result << np.uint64(BITS) | part >> np.uint64(64 - BITS)
    return result


def _mix(values: Wide) -> Wide:
    """SplitMix64's finaliser: every bit of the input changes half of the output's."""
    values = values + np.uint64(_GOLDEN)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(_MIX_1)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(_MIX_2)
    return values ^ (values >> np.uint64(31))


def _rows(score: Score, piece: int) -> list[tuple[NDArray[np.generic], ...]]:
    """The columns of each voice's rows, in the order of `Index`."""
    lines = rescale(bars(score), score.tpq, GRID)
    result: list[tuple[NDArray[np.generic], ...]] = []
    for voice, track in enumerate(_voices(score)):
        notes = line(track, score.tpq)
        hashes = ngrams(notes)
        count = len(hashes)
        result.append(
            (
                hashes,
                np.full(count, piece),
                np.full(count, voice),
                _bar_at(notes.onset[:count], lines),
            )
        )
    return result


def _bar_at(ticks: Ints, lines: Ints) -> Ints:
    return np.searchsorted(lines, ticks, side="right") - 1


def _share(grams: Hashes, index: Index, voice: int) -> float:
    if not len(grams):
        return float("nan")
    known = index.by_voice[voice] if voice < len(index.by_voice) else np.zeros(0, np.uint64)
    return float(np.isin(grams, known, assume_unique=True).mean())


def _copies(notes: Notes, track: int, lines: Ints, index: Index, min_bars: float) -> list[Copy]:
    first, last, row = _passages(*index.find(index.ngrams(notes)), index)
    last = last + LENGTH  # the note that the last n-gram's last interval leads to
    start, end = notes.onset[first], (notes.onset + notes.duration)[last]
    length = end - start
    first_bar, last_bar = _bar_at(start, lines), _bar_at(end - 1, lines)
    longest_bar = np.diff(lines).max(initial=1)  # a pickup is no bar to measure by
    result: list[Copy] = []
    told: list[tuple[int, int]] = []
    for p in np.lexsort((row, -length)):
        if length[p] < min_bars * longest_bar or any(a <= first[p] and last[p] <= b for a, b in told):
            continue
        told.append((int(first[p]), int(last[p])))
        source = int(row[p])
        result.append(
            Copy(
                track=track,
                first_bar=int(first_bar[p]) + 1,
                last_bar=int(last_bar[p]) + 1,
                piece=index.pieces[int(index.piece[source])],
                piece_bar=int(index.bar[source]) + 1,
            )
        )
    return result


def _passages(position: Ints, row: Ints, index: Index) -> tuple[Ints, Ints, Ints]:
    """Diagonals of matches inside one voice of one piece: first and last position, and the row of the first."""
    order = np.lexsort((position, row - position))
    position, row = position[order], row[order]
    goes_on = np.ones(len(row), bool)
    goes_on[:1] = False
    for column, step in ((position, 1), (row, 1), (index.piece[row], 0), (index.voice[row], 0)):
        goes_on[1:] &= np.diff(column.astype(np.int64)) == step
    first = np.flatnonzero(~goes_on)
    last = np.append(first[1:], len(row)) - 1 if len(first) else first
    return position[first], position[last], row[first]

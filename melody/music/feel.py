"""Feel: how far off the grid a player plays each hit, drawn hit by hit from what the player did before.

    each hit   x = drum, place in the bar, tempo, loudness, gaps to neighbours, deviations just played, habits
               h = relu(B relu(A x + a) + b)
               p(deviation) = softmax(C h + c)     `BINS` bins of `WIDTH` ticks of the grid
               p(second stroke) = softmax(D h + d)     none, a grace note before the hit or a bounce behind it

Habits are a player's mean deviations: in all, of a drum, at a place, of a drum at a place. They are told in so far as
hits back them, and come from a primer: its player goes on as before. From nothing there are none. They do not change
while the player plays, so that chance does not feed on itself. Deviations are ticks of the grid (24 a quarter), early
ones below 0. Weights stand in a bundle as ``feel.safetensors``; `melody.learning.feel_model` trains them. Strokes are
drawn in C where the core is there, else in numpy, which takes four times as long.
The task is that of Gillick et al., Learning to Groove with Inverse Sequence Transformations, ICML 2019.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from melody.music.drumkit import FOLD
from melody.music.native_feel import MATRICES, NativePlayer
from melody.music.score import GRID
from melody.music.tensors import tensors_of
from melody.native.library import core

MOST = 4.0  # ticks of the grid: the farthest that a hit is moved
WIDTH = 0.25
BINS = round(2 * MOST / WIDTH)
HIDDEN = 96
FAR = 24  # ticks: four times as many are the longest gap that is told
SIXTEENTHS = 16  # of a bar of four quarters

_DRUMS = ((36,), (38,), (37,), (42,), (44,), (46,), (43,), (45,), (48,), (49, 57), (51,), (53,))
_VOICE = {pitch: voice for voice, pitches in enumerate(_DRUMS) for pitch in pitches}
VOICES = len(_DRUMS) + 1  # the last one: any other drum
HAND = 3  # of a pitched part: it moves as the closed hi-hat does, the hand that keeps time

Floats = NDArray[np.float32]


class Hit(NamedTuple):
    """A note as it stands on the grid."""

    onset: int  # ticks
    place: int  # of it in its bar
    voice: int  # of `VOICES`
    part: int  # whose habits it has: a drum's, or a track's
    velocity: int


def voice_of(pitch: int) -> int:
    """The voice of a drum of General MIDI."""
    return _VOICE.get(FOLD.get(pitch, pitch), VOICES - 1)


NUMBERS = 11
HABITS, CELL = 8, 3  # numbers that are told of habits, and which of them is of a part at its place
INPUTS = VOICES + GRID + 4 + NUMBERS + HABITS
HEARD = slice(INPUTS - HABITS - 3, INPUTS - HABITS)  # the numbers that follow from what was just played
DOUBT = 4.0  # as many hits as back what is usual against a habit of its own


@dataclass(frozen=True)
class Habits:
    """Habits of a player: by part and place in the quarter how many hits, and the sum of their deviations.

    They are what a primer shows, or those of a drummer that the model learned from, and do not change while it plays.
    """

    parts: Mapping[int, int]  # row of each part
    count: Floats  # (parts, GRID)
    total: Floats  # (parts, GRID)
    square: float = 0.0  # sum of the squared deviations of all hits

    @classmethod
    def of(cls, hits: Sequence[Hit], deviations: Sequence[float] | NDArray[np.floating[Any]]) -> "Habits":
        """Return what hits that were played show of their player."""
        parts = {part: row for row, part in enumerate(sorted({hit.part for hit in hits}))}
        count, total = np.zeros((2, len(parts), GRID), np.float32)
        at = [parts[hit.part] for hit in hits], [hit.place % GRID for hit in hits]
        np.add.at(count, at, 1)
        np.add.at(total, at, np.asarray(deviations, np.float32))
        return cls(parts, count, total, float(np.square(deviations).sum()))

    @cached_property
    def numbers(self) -> Floats:
        """Numbers told of them at each place (parts + 1, GRID, HABITS); the last row is of a part without any."""
        count, total = (np.pad(side, ((0, 1), (0, 0))) for side in (self.count, self.total))
        n = float(count.sum())
        usual = float(total.sum()) / (n + DOUBT)
        part = _drawn(total.sum(1), count.sum(1), usual)[:, None]
        slot = _drawn(total.sum(0), count.sum(0), usual)[None]
        cell = _drawn(total, count, part + slot - usual)
        spread = (self.square + DOUBT) / (n + DOUBT) - usual**2
        trust = [n / (n + DOUBT), count.sum(1)[:, None] / (count.sum(1)[:, None] + DOUBT), count / (count + DOUBT)]
        told = np.broadcast_arrays(usual, part, slot, cell, math.sqrt(max(spread, 0.0)), *trust)
        return np.stack(told, axis=-1).astype(np.float32)

    def at(self, hit: Hit) -> Floats:
        """Return what is told of them (HABITS,) at a hit."""
        row: Floats = self.numbers[self.parts.get(hit.part, -1), hit.place % GRID]
        return row


def _drawn(total: Floats, count: Floats, usual: Any) -> Any:
    """Means, drawn to what is usual while few hits back them."""
    return (total + DOUBT * usual) / (count + DOUBT)


UNKNOWN = Habits({}, *np.zeros((2, 0, GRID), np.float32))


@dataclass(frozen=True)
class Player:
    """A player: how fast it plays, and its habits."""

    tempo_qpm: float
    habits: Habits = UNKNOWN

    def knows(self, hits: Sequence[Hit]) -> Floats:
        """x (N, INPUTS) of the hits of a piece, but for what is heard as they are played (`HEARD`), which is 0."""
        x = np.zeros((len(hits), INPUTS), np.float32)
        if not hits:
            return x
        onset, place, voice, _, velocity = np.array(hits, np.int64).T
        first, stop = (np.searchsorted(onset, onset, side=side) for side in ("left", "right"))
        rows, parts = np.arange(len(hits)), np.array(list(_parts_of(hits)))
        x[rows, voice] = x[rows, VOICES + place % GRID] = x[rows, VOICES + GRID + place // GRID % 4] = 1
        numbers = x[:, -NUMBERS - HABITS : -HABITS]
        numbers[:, 0] = math.log2(self.tempo_qpm / 120)
        numbers[:, 1] = velocity / 64 - 1
        numbers[:, 2:4] = parts[:, 1:]
        numbers[:, 4] = _gap(onset - np.append(onset, -FAR)[first - 1])
        numbers[:, 5] = _gap(np.append(onset, 1 << 40)[stop] - onset)
        numbers[:, 6] = _gap(parts[:, 0])
        numbers[:, 7] = (stop - first) / 3
        x[:, -HABITS:] = self.habits.numbers[[self.habits.parts.get(hit.part, -1) for hit in hits], place % GRID]
        return x


class _Ear:
    """State of a player within a piece: all that it hears of itself."""

    def __init__(self) -> None:
        self.last: dict[int, float] = {}  # deviation of each part's last hit
        self.now: list[float] = []  # deviations of the hits at this onset
        self.onset, self.before = -FAR, 0.0  # this onset; the mean deviation at the one before

    def hears(self, hit: Hit) -> tuple[float, float, float]:
        """Return what is heard before a hit: mean deviations at its onset and at the one before, that of its part."""
        together, before = (self.now, self.before) if self.onset == hit.onset else ([], self._mean_now)
        return sum(together) / len(together) if together else 0.0, before, self.last.get(hit.part, 0.0)

    def plays(self, hit: Hit, deviation: float) -> None:
        """Take note of what was played."""
        if hit.onset != self.onset:
            self.onset, self.before, self.now = hit.onset, self._mean_now, []
        self.now.append(deviation)
        self.last[hit.part] = deviation

    @property
    def _mean_now(self) -> float:
        return sum(self.now) / len(self.now) if self.now else 0.0


def _gap(ticks: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.log2(1 + np.clip(ticks, 0, 4 * FAR) / 6)


def _parts_of(hits: Sequence[Hit]) -> Iterator[tuple[float, float, float]]:
    """Yield of each hit the ticks since its part's last one, and how much louder than of late it and that one are."""
    last: dict[int, tuple[int, int]] = {}  # of each part: onset, velocity
    usual: dict[int, float] = {}  # of each part: mean velocity of late
    for hit in hits:
        onset, velocity = last.get(hit.part, (hit.onset - 4 * FAR, 64))
        mean = usual.get(hit.part, 64.0)
        yield hit.onset - onset, (hit.velocity - mean) / 32, (velocity - mean) / 32
        last[hit.part] = hit.onset, hit.velocity
        usual[hit.part] = usual.get(hit.part, float(hit.velocity)) * 0.9 + hit.velocity * 0.1


class Stroke(NamedTuple):
    """A hit as it is played: by how much off the grid, and with which second stroke, if any."""

    deviation: float  # ticks of the grid
    double: int = 0  # of `DOUBLES`; 0: none


class Double(NamedTuple):
    """A second stroke of the same drum, too close for the grid: the grace note of a flam, or a bounce behind."""

    gap_ms: float  # below 0: before the hit
    share: float  # of the hit's velocity


_GAPS_MS, _SHARES = (8.0, 24.0, 40.0, 56.0, 80.0), (0.0, 0.4, 0.7, 1.0)  # edges of classes
_CLASSES = [(sign, g, s) for sign in (-1, 1) for g in range(len(_GAPS_MS) - 1) for s in range(len(_SHARES) - 1)]
DOUBLES = 1 + len(_CLASSES)


def double_class(double: Double) -> int:
    """The class of a second stroke; 0 for one so near that it is none, or so far that it is a note of its own."""
    gap, share = (
        int(np.searchsorted(edges, value, side="right")) - 1
        for edges, value in ((_GAPS_MS, abs(double.gap_ms)), (_SHARES, min(double.share, 0.999)))
    )
    known = (1 if double.gap_ms > 0 else -1, gap, share)
    return 1 + _CLASSES.index(known) if known in _CLASSES else 0


def double_of(number: int, generator: np.random.Generator) -> Double | None:
    """Return a second stroke of a class, drawn within its bounds; None for class 0."""
    if not number:
        return None
    sign, gap, share = _CLASSES[number - 1]
    gap_ms = generator.uniform(_GAPS_MS[gap], _GAPS_MS[gap + 1])
    return Double(sign * gap_ms, generator.uniform(_SHARES[share], _SHARES[share + 1]))


SHAPES: dict[str, tuple[int, ...]] = {
    "weight_1": (HIDDEN, INPUTS),
    "bias_1": (HIDDEN,),
    "weight_2": (HIDDEN, HIDDEN),
    "bias_2": (HIDDEN,),
    "timing": (BINS, HIDDEN),
    "timing_bias": (BINS,),
    "double": (DOUBLES, HIDDEN),
    "double_bias": (DOUBLES,),
    "accent": (VOICES, SIXTEENTHS),  # mean velocity of a voice at each sixteenth of a bar, beyond its usual one
    "dynamics": (VOICES,),  # and how far velocities spread around that
}


@dataclass(frozen=True)
class Feel:
    """The weights, see `SHAPES`."""

    weights: Mapping[str, Floats]

    @classmethod
    def of(cls, tensors: Mapping[str, NDArray[Any]]) -> "Feel":
        """A feel of these weights. Raises `ValueError` where one is missing or of another shape."""
        return cls(tensors_of("feel", tensors, SHAPES))

    def logits(self, x: Floats) -> tuple[Floats, Floats]:
        """Logits of the deviation (..., BINS) and of a second stroke (..., DOUBLES), of inputs (..., INPUTS)."""
        w = self.weights
        x = np.maximum(x @ w["weight_1"].T + w["bias_1"], 0)
        x = np.maximum(x @ w["weight_2"].T + w["bias_2"], 0)
        return x @ w["timing"].T + w["timing_bias"], x @ w["double"].T + w["double_bias"]

    def played(self, player: Player, hits: Sequence[Hit], generator: np.random.Generator) -> list[Stroke]:
        """Return strokes of the hits of a piece, in order of onset, as the player plays them."""
        w = self.weights
        known = player.knows(hits) @ w["weight_1"].T + w["bias_1"]
        numbers = generator.random((len(hits), 3))
        if (library := core()) is None:
            return list(self._strokes(hits, known, numbers))
        onsets, parts = [hit.onset for hit in hits], [hit.part for hit in hits]
        drawn = NativePlayer(library, self._matrices).plays(known, onsets, parts, numbers)
        return list(map(Stroke, *(side.tolist() for side in drawn)))

    def _strokes(self, hits: Sequence[Hit], known: Floats, numbers: NDArray[np.float64]) -> Iterator[Stroke]:
        """Yield the strokes of `played` in numpy; this is `logits`, in fewer calls."""
        m, ear = {name: matrix.T for name, matrix in self._matrices.items()}, _Ear()
        for hit, own, (first, within, second) in zip(hits, known, numbers.tolist(), strict=True):
            h = np.maximum(own + m["of_heard"].dot(np.array(ear.hears(hit), np.float32)), 0)
            h = np.maximum(m["second"].dot(h) + m["second_bias"], 0)
            logits = (m["heads"].dot(h) + m["heads_bias"]).astype(np.float64)
            logits[:BINS] -= logits[:BINS].max()
            logits[BINS:] -= logits[BINS:].max()
            masses = np.exp(logits).tolist()
            deviation = (_chosen(masses[:BINS], first) + within) * WIDTH - MOST
            yield Stroke(deviation, _chosen(masses[BINS:], second))
            ear.plays(hit, deviation)

    @cached_property
    def _matrices(self) -> dict[str, Floats]:
        """The weights by `MATRICES` of the native player, each (inputs, outputs)."""
        w = self.weights
        heads, bias = (np.concatenate([w["timing" + kind], w["double" + kind]]) for kind in ("", "_bias"))
        found = w["weight_1"][:, HEARD], w["weight_2"], w["bias_2"], heads, bias
        return {name: np.ascontiguousarray(matrix.T) for name, matrix in zip(MATRICES, found, strict=True)}


def _chosen(masses: list[float], drawn: float) -> int:
    """The place that a number in [0, 1) falls on."""
    sums = list(accumulate(masses))
    return min(bisect_right(sums, drawn * sums[-1]), len(sums) - 1)


def inputs_of(player: Player, hits: Sequence[Hit], deviations: Sequence[float]) -> Floats:
    """x (N, INPUTS) of hits in order, each after those before it were played so."""
    rows, ear = player.knows(hits), _Ear()
    for row, hit, deviation in zip(rows, hits, deviations, strict=True):
        row[HEARD] = ear.hears(hit)
        ear.plays(hit, deviation)
    return rows


def bins_of(deviations: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
    """The bin of each deviation."""
    result: NDArray[np.int64] = np.clip(np.floor((deviations + MOST) / WIDTH), 0, BINS - 1).astype(np.int64)
    return result


# ---- loudness -------------------------------------------------------------------------------------------------------


def accents_of(hits: Sequence[Hit]) -> dict[int, tuple[Floats, float]]:
    """By part: mean velocities at the sixteenths of the bar (SIXTEENTHS,) beyond the part's own, and their spread.

    Where few hits stand at a sixteenth, its mean is drawn to 0.
    """
    result = {}
    part = np.array([hit.part for hit in hits])
    for one in np.unique(part).tolist():
        velocity = np.array([hit.velocity for hit in hits], np.float32)[part == one]
        place = np.array([sixteenth_of(hit.place) for hit in hits])[part == one]
        beyond = velocity - velocity.mean()
        count, total = (np.bincount(place, weights, SIXTEENTHS) for weights in (None, beyond))
        mean = (total / (count + DOUBT)).astype(np.float32)
        result[one] = mean, float((beyond - mean[place]).std())
    return result


def sixteenth_of(place: int) -> int:
    """The sixteenth of a bar of four quarters nearest to a place."""
    return round(place / (GRID // 4)) % SIXTEENTHS

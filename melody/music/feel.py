"""Feel: how far off the grid a player plays each hit, drawn hit by hit from what the player did before.

    each hit   x = drum, place in the bar, tempo, loudness, gaps to neighbours, deviations just played, habits
               h = relu(B relu(A x + a) + b)
               p(deviation) = softmax(C h + c)     `BINS` bins of `WIDTH` ticks of the grid
               p(second stroke) = softmax(D h + d)     none, a grace note before the hit or a bounce behind it

Habits are a player's mean deviations: in all, of a drum, at a place, of a drum at a place. They are told in so far as
hits back them, and come from a primer: its player goes on as before. From nothing there are none. They do not change
while the player plays, so that chance does not feed on itself. Deviations are ticks of the grid (24 a quarter), early
ones below 0. Weights stand in a bundle as ``feel.safetensors``; `melody.learning.feel_model` trains them. Here all runs
in numpy: a hit costs some 15 us.
The task is that of Gillick et al., Learning to Groove with Inverse Sequence Transformations, ICML 2019.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from melody.music.drumkit import FOLD
from melody.music.score import GRID
from melody.music.tensors import tensors_of

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


@dataclass
class Player:
    """A player: its habits, and what it did just now. One serves one piece, and hears its hits in order."""

    tempo_qpm: float
    habits: Habits = UNKNOWN
    last: dict[int, tuple[int, float, int]] = field(default_factory=dict)  # of each part: onset, deviation, velocity
    loud: dict[int, float] = field(default_factory=dict)  # of each part: mean velocity of late
    now: list[float] = field(default_factory=list)  # deviations of the hits heard at the last onset
    onset: int = -FAR
    before: tuple[int, float] = (-FAR, 0.0)  # the onset before the last one, and its mean deviation

    def sees(self, hit: Hit, together: int, following: int) -> Floats:
        """x (INPUTS,) of a hit that is one of so many at its onset; the next onset is `following` ticks away."""
        x = np.zeros(INPUTS, np.float32)
        x[hit.voice] = x[VOICES + hit.place % GRID] = x[VOICES + GRID + hit.place // GRID % 4] = 1
        onset, deviation = (self.onset, self._mean_now) if self.onset < hit.onset else self.before
        own = self.last.get(hit.part, (hit.onset - 4 * FAR, 0.0, 64))
        loud = self.loud.get(hit.part, 64.0)
        heard = self.now if self.onset == hit.onset else []
        x[-NUMBERS - HABITS : -HABITS] = (
            math.log2(self.tempo_qpm / 120),
            hit.velocity / 64 - 1,
            (hit.velocity - loud) / 32,
            (own[2] - loud) / 32,
            _gap(hit.onset - onset),
            _gap(following),
            _gap(hit.onset - own[0]),
            together / 3,
            sum(heard) / len(heard) if heard else 0.0,
            deviation,
            own[1],
        )
        x[-HABITS:] = self.habits.at(hit)
        return x

    def plays(self, hit: Hit, deviation: float) -> None:
        """Take note of what was played."""
        if hit.onset != self.onset:
            self.before = self.onset, self._mean_now
            self.onset, self.now = hit.onset, []
        self.now.append(deviation)
        self.last[hit.part] = hit.onset, deviation, hit.velocity
        self.loud[hit.part] = self.loud.get(hit.part, float(hit.velocity)) * 0.9 + hit.velocity * 0.1

    @property
    def _mean_now(self) -> float:
        return sum(self.now) / len(self.now) if self.now else 0.0


_GAP = tuple(math.log2(1 + ticks / 6) for ticks in range(4 * FAR + 1))


def _gap(ticks: int) -> float:
    return _GAP[min(max(ticks, 0), 4 * FAR)]


def neighbours(hits: Sequence[Hit]) -> Iterator[tuple[Hit, int, int]]:
    """Yield each hit with the number of hits at its onset and the ticks to the next onset; they come in order."""
    onsets = np.array([hit.onset for hit in hits], np.int64)
    first, stop = (np.searchsorted(onsets, onsets, side=side) for side in ("left", "right"))
    following = np.append(onsets, 1 << 40)[stop] - onsets
    return zip(hits, (stop - first).tolist(), following.tolist(), strict=True)


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
        """Return strokes of hits in order of onset, as the player goes on to play them."""
        result, draw = [], generator.random
        w, (both, bias) = self.weights, self._heads
        for hit, together, following in neighbours(hits):  # as `logits`, in fewer calls
            h = np.maximum(w["weight_1"].dot(player.sees(hit, together, following)) + w["bias_1"], 0)
            h = np.maximum(w["weight_2"].dot(h) + w["bias_2"], 0)
            logits = (both.dot(h) + bias).astype(np.float64)
            logits[:BINS] -= logits[:BINS].max()
            logits[BINS:] -= logits[BINS:].max()
            masses = np.exp(logits).tolist()
            deviation = (_chosen(masses[:BINS], draw()) + draw()) * WIDTH - MOST
            result.append(Stroke(deviation, _chosen(masses[BINS:], draw())))
            player.plays(hit, deviation)
        return result

    @cached_property
    def _heads(self) -> tuple[Floats, Floats]:
        """Weights (BINS + DOUBLES, HIDDEN) and bias of what is drawn."""
        w = self.weights
        return np.concatenate([w["timing"], w["double"]]), np.concatenate([w["timing_bias"], w["double_bias"]])


def _chosen(masses: list[float], drawn: float) -> int:
    """The place that a number in [0, 1) falls on."""
    sums = list(accumulate(masses))
    return min(bisect_right(sums, drawn * sums[-1]), len(sums) - 1)


def inputs_of(player: Player, hits: Sequence[Hit], deviations: Sequence[float]) -> Floats:
    """x (N, INPUTS) of hits in order, each after those before it were played so."""
    rows = np.zeros((len(hits), INPUTS), np.float32)
    for number, (hit, together, following) in enumerate(neighbours(hits)):
        rows[number] = player.sees(hit, together, following)
        player.plays(hit, deviations[number])
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

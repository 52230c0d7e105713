"""Form in numbers: what returns, when, and how closely; grooves and phrases of tunes.

Bars are as `melody.tokens.plan` has them, and as alike as their Jaccard index; "nearly" is 0.6 and more. `curve_error`
is the mean over lags of |mean likeness at this lag, ours - theirs| (after Museformer, Yu et al. 2022,
arXiv:2210.10349).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melody.music.score import GRID
from melody.tokens.plan import DRUM_HIT, SIXTEENTH, Bar, Key, key_of, likeness

NEARLY = 0.6
CURVE_LAGS, CURVE_BARS = 16, 32
KICK, SNARE, TOMS = (35, 36), (37, 38, 40), (41, 43, 45, 47, 48, 50)
HATS = (42, 46)
LOUD = 55  # velocity: a softer snare is a ghost note
VELOCITY_STEP = 4  # of a velocity bin
FOUR_QUARTERS = 4 * GRID
PHRASE, LOOP_TIMES = 8, 3


@dataclass(frozen=True)
class Excerpt:
    """The bars of a piece of which the first ones, up to `start`, only stand before what is counted."""

    bars: Sequence[Bar]
    start: int = 0
    pickup: int = 0
    bar_ticks: int = FOUR_QUARTERS

    @property
    def counted(self) -> range:
        """The bars that are counted."""
        return range(self.start, len(self.bars))

    @property
    def keys(self) -> list[Key]:
        """The key of each bar."""
        return [key_of(bar) for bar in self.bars]


def mean_of(values: Iterable[float]) -> float:
    """The mean; NaN of nothing."""
    found = list(values)
    return float(np.mean(found)) if found else float("nan")


# ---- any music -------------------------------------------------------------------------------------------------------


def curve(excerpts: Sequence[Excerpt], bars: int = CURVE_BARS) -> NDArray[np.float64]:
    """The mean likeness (CURVE_LAGS,) of a bar that is counted and one before it by the lag between them.

    Only the first bars of the pieces are looked at.
    """
    sums, counts = np.zeros((2, CURVE_LAGS))
    for excerpt in excerpts:
        keys = excerpt.keys[:bars]
        for lag in range(1, CURVE_LAGS + 1):
            places = range(max(lag, excerpt.start), len(keys))
            pairs = [likeness(keys[i], keys[i - lag]) for i in places if keys[i] or keys[i - lag]]
            sums[lag - 1] += sum(pairs)
            counts[lag - 1] += len(pairs)
    return sums / np.maximum(counts, 1)


def curve_error(ours: Sequence[Excerpt], theirs: Sequence[Excerpt]) -> float:
    """The mean distance between the two curves."""
    return float(np.abs(curve(ours) - curve(theirs)).mean())


def nearly_returns(excerpts: Sequence[Excerpt]) -> float:
    """The share of bars that are nearly as some bar before them."""
    return mean_of(
        max((likeness(keys[i], keys[j]) for j in range(i)), default=0) >= NEARLY
        for one in excerpts
        for keys in [one.keys]
        for i in one.counted
        if keys[i]
    )


def nearly_as(excerpts: Sequence[Excerpt], lag: int) -> float:
    """The share of bars that are nearly as the one so many bars ago."""
    return mean_of(
        likeness(keys[i], keys[i - lag]) >= NEARLY
        for one in excerpts
        for keys in [one.keys]
        for i in one.counted
        if i >= lag and keys[i]
    )


# ---- grooves ---------------------------------------------------------------------------------------------------------


def hits_of(bar: Bar, drums: Sequence[int]) -> frozenset[int]:
    """The sixteenths on which one of these drums is played; of snares the loud ones count."""
    least = LOUD // VELOCITY_STEP if drums == SNARE else 0
    return frozenset(
        (place + SIXTEENTH // 2) // SIXTEENTH
        for place, _, hit, loud, _ in bar
        if hit - DRUM_HIT in drums and loud >= least
    )


def overlap_of(excerpts: Sequence[Excerpt], drums: Sequence[int]) -> float:
    """Return how alike these drums are from bar to bar."""
    pairs = [
        (hits_of(one.bars[i - 1], drums), hits_of(one.bars[i], drums)) for one in excerpts for i in one.counted if i
    ]
    return mean_of(likeness(a, b) for a, b in pairs if a or b)


def same_as_before(excerpts: Sequence[Excerpt]) -> float:
    """The share of bars whose kick and snare are exactly those of the bar before."""
    return mean_of(
        all(hits_of(one.bars[i - 1], drums) == hits_of(one.bars[i], drums) for drums in (KICK, SNARE))
        for one in excerpts
        for i in one.counted
        if i and (hits_of(one.bars[i], KICK) or hits_of(one.bars[i], SNARE))
    )


def backbeat(excerpts: Sequence[Excerpt]) -> float:
    """Return the share of second and fourth beats in 4/4 that have a loud snare."""
    return mean_of(
        beat in hits_of(one.bars[i], SNARE)
        for one in excerpts
        if one.bar_ticks == FOUR_QUARTERS
        for i in one.counted
        if one.bars[i]
        for beat in (4, 12)
    )


def toms_in_fours(excerpts: Sequence[Excerpt]) -> float:
    """Return how many more hits of toms every fourth bar has than the others."""
    rows = [
        ((i - one.pickup) % 4 == 3, sum(hit - DRUM_HIT in TOMS for _, _, hit, _, _ in one.bars[i]))
        for one in excerpts
        for i in one.counted
        if i >= one.pickup
    ]
    return mean_of(count for is_fourth, count in rows if is_fourth) - mean_of(
        count for is_fourth, count in rows if not is_fourth
    )


# ---- tunes -----------------------------------------------------------------------------------------------------------


def repeats_of_strain(excerpts: Sequence[Excerpt], first: int) -> float:
    """The share of pieces whose eight bars from `first` on are nearly said again by the next eight (AA)."""
    return mean_of(
        mean_of(likeness(keys[at + i], keys[at + i + PHRASE]) for i in range(PHRASE)) >= NEARLY
        for one in excerpts
        for keys, at in [(one.keys, one.pickup + first)]
        if len(keys) >= at + 2 * PHRASE
    )


def echo(excerpts: Sequence[Excerpt]) -> float:
    """The share of bars 5 to 7 of phrases of eight that are nearly as bars 1 to 3 of it."""
    return mean_of(
        likeness(keys[i], keys[i - 4]) >= NEARLY
        for one in excerpts
        for keys in [one.keys]
        for i in one.counted
        if i >= 4 and (i - one.pickup) % PHRASE in (4, 5, 6) and keys[i]
    )


def longest_return(keys: Sequence[Key]) -> tuple[int, int]:
    """The longest run of bars that nearly return by one lag of two bars or more, and that lag; (0, 0) for none."""
    best = (0, 0)
    for lag in range(2, len(keys)):
        run = 0
        for i in range(lag, len(keys)):
            run = run + 1 if keys[i] and likeness(keys[i], keys[i - lag]) >= NEARLY else 0
            best = max(best, (run, -lag))
    return best[0], -best[1]


def returns_in_eights(excerpts: Sequence[Excerpt]) -> float:
    """The share of pieces with a return of four bars or more whose longest one lies a multiple of eight bars off."""
    found = [longest_return(one.keys) for one in excerpts]
    return mean_of(lag % PHRASE == 0 for run, lag in found if run >= 4)


def loops(excerpts: Sequence[Excerpt]) -> float:
    """The share of pieces that say a phrase of one to eight bars three times or more in a row."""
    return mean_of(any(_is_said_again(one.keys, length) for length in range(1, PHRASE + 1)) for one in excerpts)


def _is_said_again(keys: Sequence[Key], length: int) -> bool:
    run = 0
    for i in range(length, len(keys)):
        run = run + 1 if keys[i] and likeness(keys[i], keys[i - length]) >= NEARLY else 0
        if run >= (LOOP_TIMES - 1) * length:
            return True
    return False


def velocities(excerpts: Sequence[Excerpt], drums: Sequence[int]) -> NDArray[np.float64]:
    """Return the velocities of all hits of drums."""
    found = [
        velocity * VELOCITY_STEP + VELOCITY_STEP / 2
        for one in excerpts
        for bar in one.counted
        for _, _, hit, velocity, _ in one.bars[bar]
        if hit - DRUM_HIT in drums
    ]
    return np.array(found or [np.nan])


def _velocity(drums: Sequence[int], take: Callable[[NDArray[np.float64]], Any], excerpts: Sequence[Excerpt]) -> float:
    return float(take(velocities(excerpts, drums)))


Statistic = Callable[[Sequence[Excerpt]], float]
GROOVES: dict[str, Statistic] = {
    "overlap of the kick from bar to bar": lambda all_: overlap_of(all_, KICK),
    "overlap of the snare": lambda all_: overlap_of(all_, SNARE),
    "kick and snare as the bar before": same_as_before,
    "bar nearly as 4 bars ago": lambda all_: nearly_as(all_, 4),
    "snare on 2 and 4": backbeat,
    "toms in every 4th bar beyond the others": toms_in_fours,
    **{
        f"velocity of the {name}, {figure}": partial(_velocity, drums, take)
        for name, drums in (("kick", KICK), ("snare", SNARE), ("hi-hat", HATS))
        for figure, take in (("mean", np.mean), ("spread", np.std))
    },
}
TUNES: dict[str, Statistic] = {
    "bars that nearly return": nearly_returns,
    "bars 5-7 echo 1-3": echo,
    "bar nearly as 8 bars ago": lambda all_: nearly_as(all_, 8),
}
WHOLE: dict[str, Statistic] = {
    "bars 9-16 nearly repeat 1-8": lambda all_: repeats_of_strain(all_, 0),
    "bars 25-32 nearly repeat 17-24": lambda all_: repeats_of_strain(all_, 16),
    "bars 5-7 echo 1-3": echo,
    "longest return at a multiple of 8 bars": returns_in_eights,
    "a phrase three times or more in a row": loops,
}

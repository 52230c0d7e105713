"""Swing: every second eighth or sixteenth comes late, by the share of the pair that the first one takes.

    share 50   |x . x . |   even
    share 66   |x .  x .|   as triplets

Time is bent between the notes of a pair and meets again at its end, so notes keep their order. Quarters in which
triplets stand swing already, and stay; so do bars whose beats are no pairs of the unit (eighths in 6/8).
"""

from collections.abc import Collection
from typing import NamedTuple

from melody.errors import UsageError
from melody.music.score import GRID

LEAST, MOST = 50.0, 75.0
UNITS = (8, 16)
_TRIPLETS = frozenset((4, 8, 16, 20))  # places in a quarter


class Swing(NamedTuple):
    """The share of a pair that its first note takes, in percent, and the unit: 8 for eighths, 16 for sixteenths."""

    share: float
    unit: int = 8

    @property
    def pair(self) -> int:
        """Return the ticks of a pair on the grid."""
        return 8 * GRID // self.unit

    def late(self, place: int, meter: tuple[int, int], triplets: Collection[int] = ()) -> float:
        """By how many grid ticks a note comes late that stands at a place in its bar.

        `triplets` are the quarters of the bar in which triplets stand.
        """
        if place // GRID in triplets or (self.unit == 8 and is_compound(meter)):
            return 0.0
        within, half, long = place % self.pair, self.pair / 2, self.pair * self.share / 100
        bent = within * long / half if within < half else long + (within - half) * (self.pair - long) / half
        return bent - within


def is_compound(meter: tuple[int, int]) -> bool:
    """Return True where a beat has three eighths, or quarters are no beats: 6/8, 9/8, 5/8."""
    return meter[1] > 4


def is_triplet(place: int) -> bool:
    """Return True for places that only triplets and sextuplets have."""
    return place % GRID in _TRIPLETS


def check_swing(share: float, unit: int) -> None:
    """Raise `UsageError` for a swing that makes no sense."""
    if not LEAST <= share <= MOST:
        raise UsageError(
            f"`swing` {share:g}: the first of two notes takes {LEAST:g} (even) to {MOST:g} percent of them"
        )
    if unit not in UNITS:
        raise UsageError(f"`swing` of {unit}: eighths (8) and sixteenths (16) can swing")


def parse_swing(text: str) -> tuple[float, int]:
    """Read 62 as (62.0, 8), 58/16 as (58.0, 16). Raises `UsageError`."""
    share, _, unit = text.partition("/")
    try:
        return float(share.strip().removesuffix("%")), int(unit) if unit else 8
    except ValueError:
        raise UsageError(f"swing {text}: write the share in percent, as 62, or 58/16 for sixteenths") from None

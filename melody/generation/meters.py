"""Meters that a model knows, and bars of them that fill those that it does not.

A model asked for bars of a meter that it never learned leaves their ends empty. So it composes in bars that it knows,
which fill the same time, and the musician's bar lines go over them:

    asked for   |12/8             |12/8             |        5/4, eight bars of it, to one that knows 4/4 alone
    composed    |3/4     |3/4     |3/4     |3/4     |        ten bars of 4/4
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from symusic import TimeSignature

from melody.bundle import Bundle
from melody.generation.ranges import listed
from melody.music.score import GRID, Score, bar_length, bars, meters
from melody.tokens.vocabulary import METERS

Meter = tuple[int, int]
KNOWN = 0.003  # of how often the commonest meter was stated in training, from which on one is known
NO_BARS_FROM = 8  # bars of a beat each
SHORTEST = GRID * 3 // 2  # ticks: shorter bars are pickups


def length_of(meter: Meter) -> int:
    """Return the ticks of a bar."""
    return int(bar_length(*meter, GRID))


def known_meters(bundle: Bundle) -> dict[Meter, int]:
    """Return how often each meter that a model knows was stated in its training music."""
    span = bundle.tokenizer.vocabulary.ids["TimeSignature"]
    counts = bundle.counts[span.start : span.stop]
    least = max(1.0, KNOWN * float(counts.max(initial=0)))
    return {METERS[index]: int(counts[index]) for index in np.flatnonzero(counts >= least).tolist()}


def in_known_bars(meter: Meter, count: int, known: Mapping[Meter, int]) -> list[Meter] | None:
    """Return known bars that fill `count` bars of a meter, each by itself where that can be; None where none do."""
    if meter in known:
        return [meter] * count
    usable = {m: stated for m, stated in known.items() if length_of(m) >= SHORTEST}
    if one := _filling(length_of(meter), usable, meter[1]):
        return one * count
    total = count * length_of(meter)
    for common in sorted(usable, key=lambda m: -usable[m]):
        most = total // length_of(common)
        for repeated in range(most, max(-1, most - 4), -1):
            left = total - repeated * length_of(common)
            ending = _filling(left, usable, common[1]) if left else []
            if ending or not left:
                return [common] * repeated + ending
    return None


def _filling(length: int, known: Mapping[Meter, int], unit: int) -> list[Meter]:
    """Known bars that last `length` ticks together; none where none do.

    Those that count in the same `unit` come first, then equal ones, the commonest on average, and few.
    """
    total = sum(known.values())

    def ways(left: int, longest: int) -> Iterator[list[Meter]]:
        if left == 0:
            yield []
        for meter in known:
            if length_of(meter) <= min(left, longest):
                yield from ([meter, *rest] for rest in ways(left - length_of(meter), length_of(meter)))

    def price(way: list[Meter]) -> tuple[float, int, float, int]:
        rarity = sum(float(np.log(total / known[meter])) for meter in way)
        return sum(meter[1] != unit for meter in way) / len(way), len(set(way)), rarity / len(way), len(way)

    return min(filter(None, ways(length, length)), key=price, default=[])


def with_bars(score: Score) -> tuple[Score, str]:
    """Return a score of which bars can be made out, and what to say of it.

    Some programs write a meter of one beat where they know none. Longer music in it is read in 4/4.
    """
    stated = meters(score)
    if any(4 * numerator > denominator for _, numerator, denominator in stated) or len(bars(score)) <= NO_BARS_FROM:
        return score, ""
    result = score.copy()
    result.time_signatures = [TimeSignature(0, 4, 4)]
    name = listed(list(dict.fromkeys(f"{numerator}/{denominator}" for _, numerator, denominator in stated)))
    return result, f"the meter is {name} throughout: read, and continued, as 4/4"


def steady(stated: Sequence[Meter]) -> Meter | None:
    """Return the meter that a piece keeps, but for a pickup and the short bar that ends it; None where it changes."""
    inner = list(stated)
    if len(inner) > 1 and length_of(inner[0]) < length_of(inner[1]):
        inner = inner[1:]
    if len(inner) > 1 and length_of(inner[-1]) < length_of(inner[-2]):
        inner = inner[:-1]
    is_one = len(set(inner)) == 1 and (len(inner) > 1 or length_of(inner[0]) >= 2 * GRID)
    return inner[0] if is_one else None

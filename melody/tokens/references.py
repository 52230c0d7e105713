"""Bars as references: what stood in a bar and what bars of its kind agree on, to be followed event by event."""

from collections.abc import Sequence
from itertools import chain

from melody.tokens.plan import EDGES, Bar, Key, likeness

FURTHER = 3  # bars beyond the reference, by the same lag, that are asked
TOLERANCE = 2  # ticks by which an event may come earlier or later and be the same
MISSING = 16  # in `sure`: the reference itself has it not

Recalled = tuple[int, int, int, int, int, int]  # an event and how sure it is
Slot = tuple[tuple[Recalled, ...], int, int, int]  # what is left of a reference; kept, lost, length of the one told


def agreed(bars: Sequence[Bar], keys: Sequence[Key], lag: int) -> tuple[Recalled, ...]:
    """The events of the bar so many bars ago, and what those before it by the same lag that are like it say of them.

    Each event has how many of these there are and how many have it, and the mean of their velocities; where two or
    more of them agree on an event that the bar itself has not, it is there too.
    """
    reference, key = bars[-lag], keys[-lag]
    others = [
        bars[-further]
        for further in range(2 * lag, (1 + FURTHER) * lag + 1, lag)
        if further <= len(bars) and (not key or likeness(key, keys[-further]) >= EDGES[0])
    ]
    count = len(others)
    if not count:
        return tuple((*event, 0) for event in reference)
    places: dict[tuple[int, int], list[tuple[int, int, int, int]]] = {}
    for number, other in enumerate(others):
        for place, track, hit, loud, duration in other:
            places.setdefault((track, hit), []).append((place, number, loud, duration))
    result: list[Recalled] = []
    for place, track, hit, loud, duration in reference:
        found = {n: v for at, n, v, _ in reversed(places.get((track, hit), [])) if abs(place - at) <= TOLERANCE}
        mean = (loud + sum(found.values()) + (len(found) + 1) // 2) // (1 + len(found))
        result.append((place, track, hit, mean, duration, 4 * count + len(found)))
    if count > 1:
        result += _missed(reference, places, count)
        result.sort()
    return tuple(result)


def _missed(
    reference: Bar, places: dict[tuple[int, int], list[tuple[int, int, int, int]]], count: int
) -> list[Recalled]:
    """The events that at least two of the other bars agree on and the reference has not."""
    result: list[Recalled] = []
    own: dict[tuple[int, int], list[int]] = {}
    for place, track, hit, _, _ in reference:
        own.setdefault((track, hit), []).append(place)
    for (track, hit), near in places.items():
        if len(near) < 2:
            continue
        there = own.get((track, hit), [])
        for place, _, loud, duration in near:
            if any(abs(place - at) <= TOLERANCE + 1 for at in there):
                continue
            agree = len({number for at, number, _, _ in near if abs(place - at) <= TOLERANCE})
            if agree >= 2:
                there = [*there, place]
                result.append((place, track, hit, loud, duration, MISSING + 4 * count + agree - 1))
    return result


def merged(references: Sequence[tuple[Recalled, ...]]) -> Slot | None:
    """The bars of several parts as one reference; None where there are none."""
    if not references:
        return None
    events = references[0] if len(references) == 1 else tuple(sorted(chain.from_iterable(references)))
    return events, 0, 0, 0


def passed(slot: Slot, place: int) -> Slot:
    """A reference without the events that should have come before this place."""
    events = slot[0]
    gone = 0
    while gone < len(events) and events[gone][0] < place - TOLERANCE:
        gone += 1
    return (events[gone:], slot[1], slot[2] + gone, slot[3]) if gone else slot

"""Choruses: who is given a whole blues goes on with the next chorus, over the same chords.

    I    I*   I    I        twelve bars, by the root or the bass of the chord with which each begins
    IV   IV*  I    I*       * another chord that is common there: IV in bar 2, I or #IV in 6, VI in 8 and 11, II or bVI
    V*   IV*  I*   V*       in 9, V in 10, III or VI in 11, I or II in 12

What is written over its chords is new; a bar of its plan may return only to bars that have the same ones.
"""

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

from melody.music.chords import OCTAVE
from melody.tokens.harmony import Rate, harmony_of, steps_of

if TYPE_CHECKING:
    from melody.generation.primer.primer_view import PrimerView

BLUES = (
    {0}, {0, 5}, {0}, {0},
    {5}, {5, 0, 6}, {0}, {0, 9},
    {7, 2, 8}, {5, 7}, {0, 4, 9}, {7, 0, 2},
)  # fmt: skip
"""Semitones above the tonic."""

Steps = Sequence[tuple[int, int]]  # of a bar: chord and bass as `melody.tokens.harmony` numbers them


def chorus_of(view: "PrimerView | None", rate: Rate) -> int:
    """Return the bars of a chorus where the primer is one, or several; 0 where it is none."""
    pickup = 0 if view is None else int(view.bars % len(BLUES) == 1)
    if view is None or view.bars - pickup < len(BLUES) or (view.bars - pickup) % len(BLUES):
        return 0
    return len(BLUES) if is_blues(steps_by_bar(view, rate)[-len(BLUES) :]) else 0


def is_blues(bars: Sequence[Steps]) -> bool:
    """Return True for twelve bars with the chords of a blues."""
    if len(bars) != len(BLUES) or not all(bars):
        return False
    begin = [{(chord - 1) % OCTAVE, bass - 1} if chord else set() for (chord, bass), *_ in bars]
    return any(
        all({(one - tonic) % OCTAVE for one in found} & fits for found, fits in zip(begin, BLUES, strict=True))
        for tonic in begin[0]
    )


def steps_by_bar(view: "PrimerView", rate: Rate) -> list[Steps]:
    """The chords and basses heard in each bar of a primer."""
    steps = iter(harmony_of(view.score, rate).steps.tolist())
    return [[(chord, bass) for chord, bass in islice(steps, len(ticks))] for ticks in steps_of(view.score, rate)]

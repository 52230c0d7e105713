"""Choruses: who is given a whole blues goes on with the next chorus, over the same chords.

    I    I*   I    I        twelve bars, by the root or the bass of the chord with which each begins
    IV   IV*  I    I*       * another chord that is common there: IV in bar 2, I or #IV in 6, VI in 8 and 11, II or bVI
    V*   IV*  I*   V*       in 9, V in 10, III or VI in 11, I or II in 12

What is written over its chords is new; a bar of its plan may return only to bars that have the same ones.
"""

from collections.abc import Sequence
from itertools import islice

from melody.music.chords import OCTAVE
from melody.music.score import Score
from melody.tokens.harmony import HarmonyPlan, Rate, steps_of

BLUES = (
    {0}, {0, 5}, {0}, {0},
    {5}, {5, 0, 6}, {0}, {0, 9},
    {7, 2, 8}, {5, 7}, {0, 4, 9}, {7, 0, 2},
)  # fmt: skip
"""Semitones above the tonic."""

Steps = Sequence[tuple[int, int]]  # of a bar: chord and bass as `melody.tokens.harmony` numbers them


def chorus_of(heard: Sequence[Steps], bars: int) -> int:
    """Return the bars of a chorus where so many bars are one, or several; 0 where they are none.

    A bar more may be a pickup. What was `heard` ends with the chords of the last one.
    """
    whole = bars - int(bars % len(BLUES) == 1)
    if whole < len(BLUES) or whole % len(BLUES):
        return 0
    return len(BLUES) if is_blues(heard[-len(BLUES) :]) else 0


def is_blues(bars: Sequence[Steps]) -> bool:
    """Return True for twelve bars with the chords of a blues."""
    if len(bars) != len(BLUES) or not all(bars):
        return False
    begin = [{(chord - 1) % OCTAVE, bass - 1} if chord else set() for (chord, bass), *_ in bars]
    return any(
        all({(one - tonic) % OCTAVE for one in found} & fits for found, fits in zip(begin, BLUES, strict=True))
        for tonic in begin[0]
    )


def steps_by_bar(score: Score, harmony: HarmonyPlan, rate: Rate) -> list[Steps]:
    """The chords and basses of each bar, of a score and its harmony at this rate."""
    steps = iter(harmony.steps.tolist())
    return [[(chord, bass) for chord, bass in islice(steps, len(ticks))] for ticks in steps_of(score, rate)]

"""Rules of a style, which a bundle names in its settings: what its music keeps so strictly that takes are held to it.

They are rules as in `melody.generation.rules`: where one leaves nothing, it yields.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from melody.errors import UsageError
from melody.generation.rules import Mask, Rule
from melody.tokens import Reader, Vocabulary

FIFTH, OCTAVE = 7, 12


def no_parallels(vocabulary: Vocabulary) -> Rule:
    """No two voices that move go from a fifth to a fifth, or from an octave or unison to another.

    The oldest rule of counterpoint (Fux 1725): such voices cease to be two. Tracks are voices from high to low, as in
    `melody.voice_leading.parallels`; a voice that rests right before, or stays, makes no parallel.
    """
    pitches = vocabulary.ids["Pitch"].start

    def rule(reader: Reader) -> Mask | None:
        before = dict(reader.before)
        if not reader.now or reader.track not in before:
            return None
        mine, forbidden = before[reader.track], []
        for voice, pitch in reader.now:
            if voice == reader.track or pitch == before.get(voice, pitch):
                continue
            sign = 1 if voice < reader.track else -1  # intervals are the upper voice's above the lower
            interval = sign * (before[voice] - mine) % OCTAVE
            if interval in (0, FIFTH):
                forbidden.append((pitch - sign * interval) % OCTAVE)
        return _without_classes(vocabulary, pitches, forbidden, mine) if forbidden else None

    return rule


def _without_classes(vocabulary: Vocabulary, start: int, classes: list[int], kept: int) -> Mask:
    """All but the pitches of some classes; the pitch `kept` stays, since a voice that does not move is free."""
    mask = np.ones(len(vocabulary), bool)
    for one in classes:
        mask[start + one : start + 128 : OCTAVE] = False
    mask[start + kept] = True
    return mask


def style_rules(names: Sequence[str], vocabulary: Vocabulary) -> list[Rule]:
    """The rules of these names. Raises `UsageError` for an unknown one."""
    for name in names:
        if name not in STYLE_RULES:
            raise UsageError(f"style rule {name!r} is unknown; there are: {', '.join(STYLE_RULES)}")
    return [STYLE_RULES[name](vocabulary) for name in names]


STYLE_RULES: Mapping[str, Callable[[Vocabulary], Rule]] = {"no_parallels": no_parallels}

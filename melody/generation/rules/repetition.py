"""Rule of repetition: no track writes the same run of notes again. As all rules it yields where it leaves nothing."""

import numpy as np

from melody.generation.rules.contract import Mask, Rule
from melody.tokens import Reader, Vocabulary
from melody.tokens.sung import MEMORY
from melody.tokens.vocabulary import DRUMS


def no_repeat(vocabulary: Vocabulary, count: int, first_tick: int) -> Rule:
    """No track writes `count` notes again that stand among its last `MEMORY`, in a row and of the same lengths.

    As n-gram blocking does for words (Paulus et al. 2017, arXiv:1705.04304), with durations, so that a tune may come
    back in another rhythm or key. Notes before `first_tick` do not count.
    """
    pitches = vocabulary.ids["Pitch"]

    def rule(reader: Reader) -> Mask | None:
        track = reader.track
        if track < 0 or reader.kind in ("Pitch", "Drum", "Sustain") or reader.programs[track] == DRUMS:
            return None
        latest = reader.history[track]
        notes = [(n.pitch, n.duration) for n in latest.latest(MEMORY) if n.onset >= first_tick] if latest else []
        if len(notes) < count:
            return None
        tail = notes[len(notes) - count + 1 :]
        places = range(len(notes) - count + 1)
        again = {notes[place + count - 1][0] for place in places if notes[place : place + count - 1] == tail}
        if not again:
            return None
        mask = np.ones(len(vocabulary), bool)
        mask[[pitches.start + pitch for pitch in again]] = False
        return mask

    return rule

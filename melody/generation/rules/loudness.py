"""Rule of one loudness: the voices of an ensemble grow loud and soft together.

In scores of string quartets a note is within two bins of the range of what the other voices last had in .95 of cases
(train; 80 movements). A model changes the loudness of a voice and forgets it in the next one: after sixteen bars voices
are 5.3 bins apart in the mean, those of people 1.7. So

    at a place where another voice has begun     as loud as that voice, within `NEAR` bins
    else                                         free to change, but who goes on as before is as loud as those who have
                                                 played since, or falls in with them

so the first voice of a place leads and the others follow. All follows from where the reader is.
"""

from collections.abc import Collection

import numpy as np

from melody.generation.rules.contract import Mask
from melody.generation.rules.native_form import NativeForm
from melody.generation.rules.returns import UNDER_WAY
from melody.tokens import Reader, Vocabulary

NEAR = 3  # bins of velocity


class OneLoudness:
    """The rule that tracks are about as loud as one another. It yields where a note cannot be taken."""

    def __init__(self, vocabulary: Vocabulary, tracks: Collection[int]) -> None:
        """`tracks` are those that are ruled; they listen to all."""
        self.vocabulary, self.tracks = vocabulary, frozenset(tracks)
        self.native = NativeForm("one loudness", (sum(1 << track for track in self.tracks),))

    def __call__(self, reader: Reader) -> Mask | None:
        """Return the tokens (V,) that may follow."""
        if reader.track not in self.tracks or reader.position < 0 or reader.kind in (*UNDER_WAY, "Velocity"):
            return None
        own, heard = reader.history[reader.track], self._heard(reader)
        if not heard or (own is not None and own.onset >= heard[0]):
            return None
        onset, bins = heard
        softest, loudest = min(bins) - NEAR, max(bins) + NEAR
        goes_on = softest <= reader.velocity[reader.track] <= loudest
        if goes_on and onset < reader.tick:
            return None
        ids, mask = self.vocabulary.ids, np.ones(len(self.vocabulary), bool)
        mask[ids["Pitch"].start : ids["Pitch"].stop] = goes_on
        velocities = np.arange(len(ids["Velocity"]))
        mask[ids["Velocity"].start : ids["Velocity"].stop] = (softest <= velocities) & (velocities <= loudest)
        return mask

    @staticmethod
    def _heard(reader: Reader) -> tuple[int, list[int]] | None:
        """The latest onset of other tracks, and how loud those are that began then."""
        others = {
            track: note.onset
            for track, note in enumerate(reader.history)
            if note is not None and track != reader.track and reader.velocity[track] >= 0
        }
        if not others:
            return None
        latest = max(others.values())
        return latest, [reader.velocity[track] for track, onset in others.items() if onset == latest]

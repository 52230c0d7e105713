"""Rule of harmony: chord tones on strong beats. As all rules it yields where it would leave nothing."""

from collections.abc import Sequence

import numpy as np

from melody.generation.rules.contract import Mask, Rule
from melody.music.chords import Span
from melody.music.score import has_strong_middle
from melody.tokens import Reader, Vocabulary
from melody.tokens.vocabulary import METERS


def chord_tones(vocabulary: Vocabulary, spans: Sequence[Span], first_tick: int) -> Rule:
    """From `first_tick` on a note that begins on a strong beat, or with a chord, belongs to the chord.

    Strong beats are the first of the bar and, in bars of four, eight or twelve units, the middle.
    """
    starts = np.array([span.start for span in spans])
    masks = [_belongs(vocabulary, span) for span in spans]
    begins = set(starts.tolist())

    def rule(reader: Reader) -> Mask | None:
        if reader.tick < first_tick or reader.kind in ("Pitch", "Drum", "Sustain") or reader.position < 0:
            return None
        middle = reader.bar_ticks // 2 if has_strong_middle(METERS[reader.meter][0]) else 0
        if reader.position not in (0, middle) and reader.tick not in begins:
            return None
        place = int(np.searchsorted(starts, reader.tick, side="right")) - 1
        return masks[place] if place >= 0 else None

    return rule


def _belongs(vocabulary: Vocabulary, span: Span) -> Mask | None:
    if span.chord is None:
        return None
    pitches = vocabulary.ids["Pitch"]
    mask = np.ones(len(vocabulary), bool)
    mask[pitches.start : pitches.stop] = np.isin(np.arange(128) % 12, list(span.chord.classes))
    return mask

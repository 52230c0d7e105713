"""Rules that steer a line or a harmony: no long repetitions, and chord tones on strong beats.

As all rules they yield where they would leave nothing.
"""

from collections.abc import Sequence

import numpy as np

from melody.generation.rules.rules import Mask, Rule
from melody.music.chords import Span
from melody.music.score import has_strong_middle
from melody.tokens import Reader, Vocabulary
from melody.tokens.grammar import MEMORY
from melody.tokens.vocabulary import DRUMS, METERS


def no_repeat(vocabulary: Vocabulary, count: int, first_tick: int) -> Rule:
    """No track writes `count` notes again that stand among its last `MEMORY`, in a row and of the same lengths.

    As n-gram blocking does for words (Paulus et al. 2017, arXiv:1705.04304), with durations, so that a tune may come
    back in another rhythm or key. `start` says how many notes of each track were there before: they do not count.
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

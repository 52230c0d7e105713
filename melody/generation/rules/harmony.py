"""Rules of harmony: chord tones on strong beats, and what a style asks of planned chords and of its scale.

As all rules they yield where they would leave nothing.
"""

from collections.abc import Collection, Sequence
from functools import cache

import numpy as np

from melody.generation.rules.contract import Mask, Rule, without
from melody.generation.rules.fixed_notes import lasting_between
from melody.generation.rules.native_form import KnownRule, NativeForm
from melody.generation.rules.voices import BEFORE_PITCH, Voices
from melody.music.chords import DIM, DIM_SEVENTH, HALF_DIM, MAJOR, OCTAVE, SEVENTH, VALUES, Chord, Span
from melody.music.key import MODES, Key
from melody.music.score import has_strong_middle
from melody.tokens import Reader, Vocabulary
from melody.tokens.harmony import LONG, SOUNDS, Told
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
    mask[pitches.start : pitches.stop] = np.isin(np.arange(128) % OCTAVE, list(span.chord.classes))
    return mask


def _planned_here(reader: Reader) -> Told | None:
    """The chords told at the tick before and at this one (2, 6); None where none are planned."""
    table, tick = reader.plan.harmony, reader.tick
    return None if table is None or not 0 < tick < len(table) else table[tick - 1 : tick + 1]


def planned_bass(reader: Reader) -> int:
    """Return the pitch class of the bass of the chord that is planned at this tick; -1 where none is."""
    steps = _planned_here(reader)
    return -1 if steps is None else int(steps[1, 1]) - 1


def _begins_note(reader: Reader, tracks: Collection[int]) -> bool:
    """Return True where a pitch of one of these tracks may follow."""
    return reader.position >= 0 and reader.track in tracks and reader.kind in BEFORE_PITCH


def planned_chords(vocabulary: Vocabulary, voices: Voices) -> Rule:
    """Notes that begin with a planned chord belong to it, and those of the lowest voice are its bass.

    For models that plan chords (`melody.tokens.harmony`); a chord that goes on asks for nothing.
    """
    free, lowest = sorted(set(voices.tracks) - voices.fixed), voices.lowest
    pitches = vocabulary.ids["Pitch"]

    @cache
    def mask_of(value: int, bass: int, is_bass: bool) -> Mask:
        chord = _chord(value, bass)
        mask = np.ones(len(vocabulary), bool)
        classes = [chord.bass] if is_bass else list(chord.classes)
        mask[pitches.start : pitches.stop] = np.isin(np.arange(len(pitches)) % OCTAVE, classes)
        return mask

    def rule(reader: Reader) -> Mask | None:
        if (steps := _planned_here(reader)) is None or not _begins_note(reader, free):
            return None
        before, now = steps[:, :2]
        value, bass = now.tolist()
        if not value or (before == now).all():
            return None
        return mask_of(value, bass, reader.track == lowest and lowest > 0)

    numbers = sum(1 << track for track in free), lowest
    return KnownRule(rule, NativeForm("planned chords", numbers, table=np.array(_classes_of_chords())[:, None]))


@cache
def _classes_of_chords() -> tuple[int, ...]:
    """The pitch classes of each chord over its root, by its value, a bit each."""
    chords = [_chord(value, 1 + (value - 1) % OCTAVE) for value in range(1, VALUES)]
    return (0, *(sum(1 << one for one in chord.classes) for chord in chords))


def _chord(value: int, bass: int) -> Chord:
    return Chord((value - 1) % OCTAVE, (value - 1) // OCTAVE, bass - 1)


def leading_notes(vocabulary: Vocabulary, voices: Voices) -> Rule:
    """A leading note goes up to the root where a planned dominant resolves: to the chord a fifth lower.

    For single lines. The leading note of a diminished chord is its root, that of others the major third.
    """
    free = sorted(set(voices.tracks) - voices.fixed)
    pitches = vocabulary.ids["Pitch"]

    def rule(reader: Reader) -> Mask | None:
        if (steps := _planned_here(reader)) is None or not _begins_note(reader, free):
            return None
        mine = dict(reader.before).get(reader.track, -1)
        before, now = steps[:, 0].tolist()
        if mine < 0 or mine % OCTAVE != leading[before] or (mine + 1) % OCTAVE != root[now]:
            return None
        mask = without(vocabulary, "Pitch")
        mask[pitches.start + mine + 1] = True
        return mask

    leading, root = _leading_classes(), [-1, *((value - 1) % OCTAVE for value in range(1, VALUES))]
    form = NativeForm("leading notes", (sum(1 << track for track in free),), table=np.stack([leading, root], axis=1))
    return KnownRule(rule, form)


@cache
def _leading_classes() -> list[int]:
    """The class of the leading note in each chord, by its value; -1 where it has none."""
    result = [-1] * VALUES
    for value in range(1, VALUES):
        quality, root = divmod(value - 1, OCTAVE)
        if quality in (MAJOR, SEVENTH):
            result[value] = (root + 4) % OCTAVE
        elif quality in (DIM, HALF_DIM, DIM_SEVENTH):
            result[value] = root
    return result


def planned_phrases(vocabulary: Vocabulary, voices: Voices) -> Rule:
    """A note of the highest voice that begins with a planned phrase's end lasts two quarters or more."""
    highest = -1 if voices.highest in voices.fixed else voices.highest

    def rule(reader: Reader) -> Mask | None:
        if (steps := _planned_here(reader)) is None or reader.track != highest:
            return None
        before, now = steps[:, -1]
        if reader.kind not in ("Pitch", "Sustain") or now != SOUNDS or before == SOUNDS:
            return None
        return lasting_between(vocabulary, LONG - reader.length, None)

    return KnownRule(rule, NativeForm("planned phrases", (highest,)))


def own_scale(vocabulary: Vocabulary, voices: Voices) -> Rule:
    """Notes are of the key's scale, of what the primer sounds, or of the chord that is planned.

    In minor the leading note is of the scale too. It says nothing before a key is known.
    """
    free = sorted(set(voices.tracks) - voices.fixed)
    pitches = vocabulary.ids["Pitch"]
    heard = sum(1 << one for one in voices.heard)
    scales = [_scale(Key(tonic, mode)) for mode in MODES for tonic in range(OCTAVE)]
    chords = _classes_of_chords()

    @cache
    def mask_of(classes: int) -> Mask:
        mask = np.ones(len(vocabulary), bool)
        mask[pitches.start : pitches.stop] = classes >> np.arange(len(pitches)) % OCTAVE & 1
        return mask

    def rule(reader: Reader) -> Mask | None:
        if not reader.key_told or not _begins_note(reader, free):
            return None
        steps = _planned_here(reader)
        return mask_of(heard | scales[reader.key_told - 1] | chords[0 if steps is None else int(steps[1, 0])])

    numbers = sum(1 << track for track in free), heard, len(scales)
    return KnownRule(rule, NativeForm("own scale", numbers, table=np.array([*scales, *chords])[:, None]))


def _scale(key: Key) -> int:
    """The pitch classes of a key's scale, and its leading note in minor too, a bit each."""
    return sum(1 << one for one in key.scale() | {key.leading_note})

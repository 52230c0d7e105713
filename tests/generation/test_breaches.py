"""Rules that count their breaches: what was composed under a rule breaks it nowhere, and parallels are found."""

from symusic import Note, Track

import melody
from melody.generation.rules.contract import CountsBreaches, breaches_of, without
from melody.generation.rules.styles import style_rules
from melody.generation.rules.voices import Voices
from melody.music.quantize import quantize
from melody.music.score import GRID, Score
from melody.tokens import event_vocabulary

VOCABULARY = event_vocabulary()


def voices(*lines: list[int]) -> Score:
    """Voices in quarters from high to low."""
    score = Score(GRID)
    for line in lines:
        track = Track("", 52, False)
        track.notes.extend([Note(GRID * beat, GRID, pitch, 80) for beat, pitch in enumerate(line)])
        score.tracks.append(track)
    return score


def test_a_rule_counts_what_it_forbids() -> None:
    (rule,) = style_rules(["no_parallels"], VOCABULARY, Voices([0, 1]))
    assert isinstance(rule, CountsBreaches)
    assert rule.breaches(voices([67, 69, 71], [60, 62, 64])) == 2  # fifths
    assert rule.breaches(voices([67, 69, 71], [60, 60, 55])) == 0
    assert rule.breaches(voices([67, 69, 71])) == 0


def test_rules_that_cannot_tell_count_nothing() -> None:
    mask = without(VOCABULARY, "Key")
    assert breaches_of([lambda reader: mask], voices([67], [60])) == 0


def test_a_take_breaks_no_rule_that_it_was_held_to() -> None:
    composer = melody.load("chorale")
    (take,) = composer.compose(bars=4, seed=3)
    rules = style_rules(composer.bundle.style_rules, composer.bundle.tokenizer.vocabulary, Voices(range(4)))
    assert breaches_of(rules, quantize(take.score)) == 0

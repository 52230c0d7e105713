"""Bars that a plan calls the same are played the same: all of them, three quarters, or half."""

from functools import cache

import pytest

from melody.corpus.pieces import quantize_on_places
from melody.generation import Composer
from melody.tokens.plan import Bar, FormPlan, bars_of

SECTION = 2  # bars
BARS = 8


@cache
def composer() -> Composer:
    return Composer("band")


def composed(form: str, seed: int, style_rules: bool = True) -> tuple[list[Bar], FormPlan]:
    options = {"form": form, "section": SECTION, "meter": (4, 4), "style_rules": style_rules}
    (take,) = composer().compose(bars=BARS, seed=seed, **options)
    tokenizer = composer().bundle.tokenizer
    found, _ = bars_of(tokenizer.spell(quantize_on_places(take.notation)).tolist())
    assert take.plan is not None
    return found, take.plan


def notes(bar: Bar, track: int, stop: float) -> list[tuple[int, int]]:
    """Onsets and hits of a track before a tick."""
    return [(place, hit) for place, of, hit, _, _ in bar if of == track and place < stop]


@pytest.mark.parametrize(("form", "stop"), [("AA", 96), ("AA'", 72)])
def test_held_part_of_a_returning_section_is_that_of_the_first(form: str, stop: int) -> None:
    held = 0
    for seed in range(3):
        found, plan = composed(form, seed)
        assert len(found) == BARS
        for bar in range(SECTION, BARS):
            for track in range(len(plan.tracks)):
                if (lag := plan.of(track, bar).lag) and (then := notes(found[bar - lag], track, stop)):
                    assert notes(found[bar], track, stop) == then, (seed, bar, track)
                    held += len(then)
    assert held > 100


def test_without_its_rule_a_section_frays() -> None:
    found, plan = composed("AA", 0, style_rules=False)
    returning = [(bar, track) for bar in range(SECTION, BARS) for track in range(len(plan.tracks))]
    assert any(notes(found[bar], track, 96) != notes(found[bar - SECTION], track, 96) for bar, track in returning)


def test_take_is_the_same_by_the_loop_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    from melody.generation.decoders import sampling

    native = composed("AA'", 4)
    monkeypatch.setattr(sampling, "native_loop", lambda *_: None)
    assert composed("AA'", 4) == native

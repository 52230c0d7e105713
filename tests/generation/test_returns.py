"""Bars that a plan calls the same are played the same: all of them, three quarters, or half."""

from functools import cache
from typing import Any

import numpy as np
import pytest

from melody.corpus.pieces import quantize_on_places
from melody.generation import Composer
from melody.generation.chord_plan import _lag_of
from melody.generation.rules.returns import LOUD, PLAYED, WHOLE, played_soon
from melody.music.drumkit import CRASHES
from melody.tokens.plan import DRUM_HIT, EMPTY, LAGS, NEW, Bar, FormPlan, Symbol, bars_of, is_fill
from melody.tokens.plan_limits import APART, apart_from

SECTION = 2  # bars
BARS = 8
ONE: dict[str, Any] = {"bars": 4, "seed": 0, "form": "A", "section": 1, "meter": (4, 4)}


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
    there = held = 0
    for seed in range(3):
        found, plan = composed(form, seed)
        assert len(found) == BARS
        for bar in range(SECTION, BARS):
            for track in range(len(plan.tracks)):
                if (lag := plan.of(track, bar).lag) and (then := notes(found[bar - lag], track, stop)):
                    again = notes(found[bar], track, stop)
                    if is_fill(plan.of(track, bar - 1), bar - 1):  # behind a fill stands a crash, whatever returns
                        again = [one for one in again if one not in [(0, DRUM_HIT + crash) for crash in CRASHES]]
                    assert set(again) <= set(then), (seed, bar, track)
                    there, held = there + len(again), held + len(then)
    assert there > 100
    assert there >= 0.95 * held  # a note that sounds on from the bar before cannot begin


def test_without_its_rule_a_section_frays() -> None:
    found, plan = composed("AA", 0, style_rules=False)
    returning = [(bar, track) for bar in range(SECTION, BARS) for track in range(len(plan.tracks))]
    assert any(notes(found[bar], track, 96) != notes(found[bar - SECTION], track, 96) for bar, track in returning)


def test_take_is_the_same_by_the_loop_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    from melody.generation.decoders import sampling

    native = composed("AA'", 4)
    monkeypatch.setattr(sampling, "native_loop", lambda *_: None)
    assert composed("AA'", 4) == native


def test_drums_return_as_players_play_and_keep_accents_and_ghost_notes() -> None:
    (take,) = Composer("drums").compose(bars=BARS, seed=1, form="AA", section=SECTION, meter=(4, 4))
    found, _ = bars_of(Composer("drums").bundle.tokenizer.spell(quantize_on_places(take.notation)).tolist())
    assert take.plan is not None
    hits = 0
    for bar in range(SECTION, BARS):
        symbol = take.plan.of(0, bar)
        stop = PLAYED[symbol.like] * 96 // WHOLE
        before, now = ([event for event in found[one] if event[0] < stop] for one in (bar - symbol.lag, bar))
        assert [event[:3] for event in now] == [event[:3] for event in before], bar
        assert all(abs(now_[3] - then[3]) <= LOUD for now_, then in zip(now, before, strict=True)), bar
        hits += len(now)
    assert hits > 40


def groove(*strokes: tuple[int, int]) -> Bar:
    return tuple((place, 0, DRUM_HIT + drum, 20 + place // 12, 6) for place, drum in strokes)


BEGINS = groove((0, 36), (0, 49), (12, 42), (24, 38), (24, 42))
GOES_ON = groove((0, 36), (0, 42), (12, 42), (24, 38), (24, 42))


def test_crash_that_marked_a_beginning_is_no_part_of_the_bar_that_returns_soon() -> None:
    again = played_soon(BEGINS, before=groove((0, 36), (24, 38)))
    assert [event[:3] for event in again] == [event[:3] for event in GOES_ON]
    assert again[1] == (0, *BEGINS[2][1:])  # who keeps time strikes on 1, as loudly as next
    assert played_soon(BEGINS, before=BEGINS) == BEGINS  # a groove with a crash in each bar
    assert played_soon(GOES_ON, before=()) == GOES_ON
    assert played_soon(groove((0, 36), (0, 42), (0, 57)), before=()) == groove((0, 36), (0, 42))
    assert played_soon(groove((0, 49), (24, 38)), before=()) == groove((24, 38))  # nobody keeps time


def bars_of_one(takes: int) -> list[list[Bar]]:
    """Takes of four bars, of which three are as the first."""
    spell, found = composer().bundle.tokenizer.spell, composer().compose(**ONE, takes=takes)
    return [bars_of(spell(quantize_on_places(take.notation)).tolist())[0] for take in found]


def test_crashes_on_1_do_not_go_on_from_bar_to_bar() -> None:
    begun = 0
    for found in bars_of_one(40):
        crashes = [any(event[0] == 0 and event[2] - DRUM_HIT in CRASHES for event in bar) for bar in found]
        begun += crashes[0]
        assert not any(crashes[1:])
    assert begun > 3


def test_bars_without_their_crash_are_the_same_by_the_loop_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    from melody.generation.decoders import sampling

    native = bars_of_one(12)
    monkeypatch.setattr(sampling, "native_loop", lambda *_: None)
    assert bars_of_one(12) == native


@pytest.mark.parametrize("seed", range(3))
def test_take_of_drums_is_the_same_by_the_loop_in_python(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from melody.generation.decoders import sampling

    options = {"bars": BARS, "seed": seed, "form": "AA'BA", "section": SECTION}
    (native,) = Composer("drums").compose(**options)
    monkeypatch.setattr(sampling, "native_loop", lambda *_: None)
    (by_python,) = Composer("drums").compose(**options)
    spell = Composer("drums").bundle.tokenizer.spell
    assert spell(native.notation).tolist() == spell(by_python.notation).tolist()


def test_a_lag_by_which_others_do_not_return_is_less_likely() -> None:
    bass = [0, 1, 2, 3, 0]  # its bar 4 is as its first
    less = apart_from([bass], 4)
    assert isinstance(less, np.ndarray)
    by_lag = dict(zip(LAGS, less[2:].tolist(), strict=True))
    assert by_lag[4] == 0
    assert by_lag[1] == by_lag[2] == by_lag[3] == pytest.approx(APART)
    assert by_lag[8] == 0  # there is no such bar
    new = [0, 1, 2, 3, 4]
    half = apart_from([bass, new, [0, 1, 0, 1, 0]], 4)  # who plays something new has no say
    assert isinstance(half, np.ndarray)
    assert half[2 + LAGS.index(2)] == pytest.approx(APART / 2)
    assert apart_from([new], 4) == 0


def test_a_bar_has_the_chords_of_the_bar_that_most_pitched_tracks_play_again() -> None:
    again = (NEW, NEW, Symbol(2, 4), NEW)
    plan = FormPlan(tracks=((NEW, NEW, Symbol(1, 4), Symbol(1, 4)), again, (NEW,) * 4, (EMPTY,) * 4))
    assert _lag_of(plan, 2, {1, 2, 3}) == 2  # not the drums'
    assert _lag_of(plan, 3, {1, 2, 3}) == 0


def test_a_band_from_nothing_begins_with_its_rhythm_and_two_others() -> None:
    for seed in range(4):
        (take,) = composer().compose(bars=4, seed=seed)
        assert take.plan is not None
        playing = {track for track, line in enumerate(take.plan.tracks) if line[0] != EMPTY}
        roles = {composer().bundle.tracks[track].role for track in playing}
        assert len(playing) >= 4
        assert {"drums", "bass"} <= roles

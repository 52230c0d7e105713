"""Drums that are added to music in 6/8, 9/8 and 12/8 keep to its eighths, and keep time there."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from support.native_trials import check_masks
from symusic import Note, Tempo, TimeSignature, Track

from melody.generation import Composer, Take
from melody.generation.decoders import sampling
from melody.generation.form import Form
from melody.generation.rules import compound
from melody.generation.rules.compound import KeepBeat, has_beats_of_three, is_fast, step_beside, strokes
from melody.generation.rules.fills import FILLING
from melody.generation.rules.fixed_notes import FixedNotes
from melody.generation.seeds import Seed
from melody.generation.settings import settings_of
from melody.music.drumkit import CRASHES
from melody.music.score import GRID, Notes, Score, bars, notes_of, resample
from melody.tokens import EventTokenizer, Plan, Reader
from melody.tokens.channels import layout_of, names_of
from melody.tokens.plan import EMPTY, FIRST, LIKES, FormPlan, Symbol

EIGHTH, VARIED = 240, Symbol(1, LIKES - 1)  # ticks
KICK, SNARE, HAT, OPEN = 36, 38, 42, 46
VOCABULARY = EventTokenizer.vocabulary
DRUMS, KEYS = range(2)


@cache
def composer() -> Composer:
    return Composer("band")


def blues(eighths: int = 12, count: int = 4, qpm: float = 90, off: int = 0, pickup: int = 0) -> Score:
    """Keys that strike chords on the beats of such bars, and a note `off` ticks behind each."""
    score, keys = Score(480), Track("Keys", 4)
    meters = [(0, pickup), (pickup * EIGHTH, eighths)] if pickup else [(0, eighths)]
    score.time_signatures = [TimeSignature(tick, units, 8) for tick, units in meters]
    score.tempos = [Tempo(0, qpm=qpm)]
    for beat in range(count * eighths // 3):
        tick, root = pickup * EIGHTH + 3 * beat * EIGHTH, (45, 50, 45, 52)[beat * 3 // eighths % 4]
        keys.notes.extend([Note(tick, 200, root + up, 80) for up in (0, 4, 7)])
        keys.notes.append(Note(tick + (off or 2 * EIGHTH), 100, root + 12, 80))
    score.tracks.append(keys)
    return score


def struck(take: Take) -> list[set[tuple[int, int]]]:
    """The drums of each bar: ticks of the grid in it, and which."""
    score = resample(take.notation, GRID)
    (drums,) = (notes_of(track) for track in score.tracks if track.is_drum)
    lines = bars(score)
    place = np.searchsorted(lines, drums.onset, side="right") - 1
    return [
        {(int(o - lines[bar]), int(p)) for o, p, at in zip(drums.onset, drums.pitch, place, strict=True) if at == bar}
        for bar in range(len(lines) - 1)
    ]


def test_strokes_of_a_bar() -> None:
    assert [strokes(12 * n, 144, fast=False) for n in range(12)] == [
        *([(KICK,), (HAT,)], [(HAT,)], [(HAT,)], [(SNARE,), (HAT,)], [(HAT,)], [(HAT,)]),
        *([(KICK,), (HAT,)], [(HAT,)], [(HAT,)], [(SNARE,), (HAT,)], [(HAT,)], [(HAT, OPEN)]),
    ]
    on_beats = {ticks: [strokes(beat, ticks, fast=False)[:-1] for beat in range(0, ticks, 36)] for ticks in (72, 108)}
    assert on_beats == {72: [[(KICK,)], [(SNARE,)]], 108: [[(KICK,)], [], [(SNARE,)]]}
    assert [bool(strokes(place, 72, fast=True)) for place in range(0, 36, 6)] == [
        True,
        False,
        False,
        False,
        True,
        False,
    ]


def test_meters_with_beats_of_three() -> None:
    assert [has_beats_of_three(meter) for meter in ((6, 8), (9, 8), (12, 8), (15, 8))] == [True] * 4
    assert [has_beats_of_three(meter) for meter in ((3, 8), (5, 8), (6, 4), (12, 16), (4, 4))] == [False] * 5


def test_sixteenths_are_free_where_what_is_given_has_many_and_fast_beats_are_thinner() -> None:
    def given(*onsets: int) -> FixedNotes:
        at = np.array(onsets)
        return FixedNotes({KEYS: Notes(at, 0 * at + 3, 0 * at + 60, 0 * at + 80)})

    assert step_beside(given(*range(0, 240, 12))) == 12
    assert step_beside(given(0, 6, 12)) == 6
    assert step_beside(given(*range(0, 120, 12), 6)) == 12  # a single one
    assert step_beside(given(0, 4, 8)) == 12  # ornaments are none
    assert step_beside(FixedNotes({})) == 12
    assert (is_fast([Tempo(0, qpm=134)]), is_fast([Tempo(0, qpm=136)]), is_fast([])) == (False, True, False)


@pytest.mark.parametrize(("eighths", "pickup"), [(12, 0), (6, 0), (6, 1), (9, 0)])
@pytest.mark.parametrize("seed", [1, 2])
def test_added_drums_keep_time(eighths: int, pickup: int, seed: int) -> None:
    (take,) = composer().compose(blues(eighths, pickup=pickup), add=("bass", "drums"), seed=seed)
    found = struck(take)[1 if pickup else 0 :]
    assert len(found) == 4
    filling = 0
    for bar in found:
        assert {place % 12 for place, _ in bar} == {0}
        fill = {place for place, drum in bar if drum in FILLING[1:]}
        filling += bool(fill)
        until = min(fill, default=12 * eighths) // 36 * 36
        for place in range(0, 12 * eighths if not fill else until, 12):
            for stroke in strokes(place, 12 * eighths, fast=False):
                assert any((place, drum) in bar for drum in stroke)
    assert filling <= 1
    (bass,) = (notes_of(track) for track in resample(take.notation, GRID).tracks if track.name == "Bass")
    assert set((bass.onset[bass.onset >= 12 * pickup] % 12).tolist()) == {0}


def test_parts_that_are_added_do_not_go_back_to_a_pickup() -> None:
    prepared = composer()._prepare(blues(6, pickup=1), settings_of({"add": ("bass", "drums")}, None))
    assert prepared.form is not None
    goals = {
        bar - symbol.lag
        for seed in range(30)
        for line in prepared.form.draw(Seed(seed, 1)).tracks[:2]
        for bar, symbol in enumerate(line)
        if symbol.lag
    }
    assert goals == {1, 2, 3}


def test_they_wait_for_the_second_of_three_where_beats_are_fast() -> None:
    (take,) = composer().compose(blues(12, qpm=200), add="drums", seed=1)
    hats = [{place for place, drum in bar if drum in (HAT, OPEN)} for bar in struck(take)]
    assert hats == [{place for place in range(0, 144, 12) if place % 36 != 12}] * 4


@pytest.mark.parametrize("off", [60, 120, 180])
def test_the_loop_in_c_and_the_one_in_python_make_the_same_takes(off: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Notes off the grid, a sixteenth late, or later still, where new ones have no place."""
    asked = {"add": ("bass", "drums"), "seed": 3}
    native = composer().compose(blues(12, off=off), **asked)[0]
    assert {place % 12 for bar in struck(native) for place, _ in bar} <= ({0, 6} if off == 120 else {0})
    monkeypatch.setattr(sampling, "native_loop", lambda *_: None)
    assert composer().compose(blues(12, off=off), **asked)[0].to_midi() == native.to_midi()


def test_masks_are_the_same_in_c_with_fills_and_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = Form.draw

    def planned(form: Form, seed: Seed | None) -> FormPlan:
        plan = drawn(form, seed)
        drums = (FIRST, EMPTY, Symbol(2, LIKES), VARIED, Symbol(2, LIKES), Symbol(3, LIKES))
        return replace(plan, tracks=(drums, *plan.tracks[1:]))

    monkeypatch.setattr(Form, "draw", planned)
    prepared = composer()._prepare(blues(12, count=6), settings_of({"add": ("bass", "drums")}, None))
    (rule,) = (rule for rule in prepared.rules if isinstance(rule, KeepBeat))
    seed = Seed(1, 1)
    start = prepared.start([seed])
    draws = prepared.settings.sampling
    ids = [
        token for _, token, _ in sampling.stream(composer().engine, start, prepared.rules, draws, [seed.generator()])
    ]
    check_masks(start[0], [rule], ids)
    (take,) = composer().compose(blues(12, count=6), add=("bass", "drums"), seed=1)
    groove, silent, again, fill, crash, last = struck(take)
    assert (silent, {place for place, _ in groove}) == (set(), set(range(0, 144, 12)))
    assert {p for p, drum in fill if drum in FILLING} >= {108, 120, 132}
    assert not {drum for place, drum in fill if place >= 108} & {HAT, OPEN}
    assert {drum for place, drum in crash if place == 0} & {*CRASHES}
    assert not {drum for _, drum in (*groove, *again, *last)} & {*CRASHES}


def test_other_meters_parts_and_tasks_know_no_such_rule() -> None:
    def has_rule(score: Score, **asked: object) -> bool:
        prepared = composer()._prepare(score, settings_of(asked, None))
        return any(isinstance(rule, KeepBeat) for rule in prepared.rules)

    straight = blues()
    straight.time_signatures = [TimeSignature(0, 4, 4)]
    assert has_rule(blues(), add=("drums",))
    assert not has_rule(straight, add=("drums",))
    assert not has_rule(blues(), add=("bass",))
    assert not has_rule(blues(), bars=4)


def reader(*read: str, meter: str = "12/8", symbol: Symbol = FIRST) -> Reader:
    """A reader of drums and keys behind the first bar line and some tokens more."""
    layout = layout_of(names_of(("read", "form", "parts"), 4))
    known = Reader(VOCABULARY, Plan(form=FormPlan((), 0, tracks=((symbol,), (FIRST,)))), layout)
    header = ["Track_0", "Program_drums", "Track_1", "Program_4"]
    return known.read_all([VOCABULARY.id_of[n] for n in ("BOS", *header, "Bar", f"TimeSignature_{meter}", *read)])


def left(rule: KeepBeat, known: Reader, *kinds: str) -> set[str]:
    """The tokens of some types that a rule leaves of those that may follow."""
    mask = rule(known)
    kept = known.allow() if mask is None else known.allow() & mask
    return {
        name for name in (VOCABULARY.tokens[token] for token in np.flatnonzero(kept)) if name.split("_")[0] in kinds
    }


START = ("Position_0", VOCABULARY.tokens[VOCABULARY.ids["Tempo"][50]], "Track_0", "Velocity_82")
SOFT = ("Velocity_50", "Drum_42", "Duration_1")


def test_what_may_come_and_what_has_to() -> None:
    at = np.array([42])
    rule = KeepBeat(VOCABULARY, DRUMS, FixedNotes({KEYS: Notes(at, at, at, at)}), compound.EIGHTH, fast=False)
    assert left(rule, reader(), "Position", "Bar", "End") == {"Position_0"}
    assert left(rule, reader(*START), "Drum") == {"Drum_36"}
    kick = (*START, "Drum_36", "Duration_1")
    assert left(rule, reader(*kick), "Drum", "Position", "Track") == {"Drum_42"}
    assert left(rule, reader(*kick), "Velocity") == {f"Velocity_{4 * n + 2}" for n in range(16, 29) if n != 20}
    both = (*kick, "Drum_42", "Duration_1")
    assert left(rule, reader(*both), "Drum", "Position", "Track", "Bar") == {"Position_12", "Track_1"}
    assert left(rule, reader(*both, "Position_12"), "Drum", "Track") == set()  # it would be too loud
    assert left(rule, reader(*both, "Position_12"), "Velocity") == {f"Velocity_{4 * n + 2}" for n in range(8, 18)}
    assert left(rule, reader(*both, "Position_12", "Velocity_50"), "Drum", "Track") == {"Drum_42"}
    third = (*both, "Position_12", *SOFT, "Position_24")
    assert left(rule, reader(*third), "Drum") == {"Drum_42"}
    assert left(rule, reader(*third, "Velocity_66"), "Drum") == {"Drum_36", "Drum_42"}
    assert left(rule, reader(*third, "Velocity_90"), "Drum") == {"Drum_36"}
    assert left(rule, reader(*third, "Velocity_94"), "Drum", "Position") == set()
    assert left(rule, reader(*third, "Velocity_66", meter="3/8"), "Drum") > {"Drum_36", "Drum_42"}
    second = (*third, "Drum_42", "Duration_1", "Position_36")
    assert left(rule, reader(*second), "Velocity", "Drum") == {f"Velocity_{4 * n + 2}" for n in range(20, 32)}
    assert left(rule, reader(*second, "Velocity_90"), "Drum") == {"Drum_38"}  # before the hi-hat
    found = rule.redirect(reader(*both))
    assert found is not None
    assert VOCABULARY.tokens[found[0]] == "Position_12"
    assert rule(reader(*START, meter="4/4")) is None
    assert rule.redirect(reader(*START, meter="4/4")) is None


def test_where_drums_rest_only_the_grid_holds() -> None:
    at = np.array([42])
    rule = KeepBeat(VOCABULARY, DRUMS, FixedNotes({KEYS: Notes(at, at, at, at)}), compound.EIGHTH, fast=False)
    keys = ("Track_1", *START[3:], "Pitch_60", "Duration_12")
    known = reader(*START[:2], *keys, symbol=EMPTY)
    assert left(rule, known, "Position", "Track") == {f"Position_{place}" for place in (*range(12, 144, 12), 42)}
    assert rule.redirect(reader(symbol=EMPTY)) is None

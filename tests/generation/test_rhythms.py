"""A track of a band rests where its plan says so, and keeps its rhythm where its notes are new."""

from functools import cache

import numpy as np
import pytest
from support.primers import kit, part, piano, primer
from symusic import Track

from melody.corpus.pieces import quantize_on_places
from melody.generation import Composer, Take
from melody.generation.rules.rhythms import NEAR, KeepRhythms
from melody.native.library import core
from melody.tokens import EventTokenizer, Plan, Reader
from melody.tokens.channels import layout_of, names_of
from melody.tokens.plan import EMPTY, FIRST, LIKES, NEW, Bar, FormPlan, Symbol, bars_of

VOCABULARY = EventTokenizer.vocabulary
DRUMS, BASS, CHORDS = range(3)
HALF = Symbol(1, LIKES - 2)  # held up to its middle


def reader(bass: tuple[Symbol, ...], read: tuple[str, ...], chords: tuple[Symbol, ...] = ()) -> Reader:
    """A reader of drums, bass and chords; drums are silent throughout."""
    lines = ((EMPTY,) * 16, bass, chords or (EMPTY,) * 16)
    known = Reader(
        VOCABULARY, Plan(form=FormPlan((), 0, tracks=lines)), layout_of(names_of(("read", "form", "parts"), 4))
    )
    header = ["Track_0", "Program_drums", "Track_1", "Program_33", "Track_2", "Program_4"]
    return known.read_all([VOCABULARY.id_of[name] for name in ("BOS", *header, *read)])


def bar(*notes: tuple[int, str, int], track: int = BASS, first: bool = False) -> tuple[str, ...]:
    """The tokens of a bar of one track: place, pitch, length; notes of one place stand together."""
    found = ["Bar", *(["TimeSignature_4/4"] if first else [])]
    last = -1
    for place, pitch, long in notes:
        start = [
            f"Position_{place}",
            *(["Tempo_" + TEMPO] if first and place == 0 else []),
            f"Track_{track}",
            "Velocity_82",
        ]
        found += [*(start if place != last else []), f"Pitch_{pitch}", f"Duration_{long}"]
        last = place
    return tuple(found)


TEMPO = VOCABULARY.tokens[VOCABULARY.ids["Tempo"][50]].split("_")[1]
WALK = ((0, "40", 12), (36, "43", 24))
TRIAD = ((0, "60", 48), (0, "64", 48), (0, "67", 36))
RULE = KeepRhythms(VOCABULARY, {BASS, CHORDS}, DRUMS, bass=BASS)


def left(known: Reader, kind: str) -> set[str]:
    """The tokens of a kind that grammar and rule leave."""
    mask = RULE(known)
    kept = known.allow() if mask is None else known.allow() & mask
    return {VOCABULARY.tokens[token] for token in np.flatnonzero(kept) if VOCABULARY.kind_of[token] == kind}


def walking(*more: str, bass: tuple[Symbol, ...] = (FIRST, NEW, NEW)) -> Reader:
    return reader(bass, (*bar(*WALK, first=True), *bar(*WALK), "Bar", *more))


def test_a_new_bar_has_the_onsets_and_lengths_of_the_habit() -> None:
    assert left(walking(), "Position") == {"Position_0"}
    named = walking("Position_0", "Track_1", "Velocity_82")
    assert len(left(named, "Pitch")) > 60
    named.read(VOCABULARY.id_of["Pitch_50"])
    assert left(named, "Duration") == {"Duration_12"}
    named.read(VOCABULARY.id_of["Duration_12"])
    assert left(named, "Position") == {"Position_36"}
    assert left(named, "Pitch") == left(named, "Bar") == set()
    played = named.read_all(
        [VOCABULARY.id_of[f"{x}"] for x in ("Position_36", "Track_1", "Velocity_82", "Pitch_45", "Duration_24")]
    )
    assert left(played, "Position") == set()
    assert left(played, "Bar") == {"Bar"}


def test_a_new_bar_has_other_notes_than_the_one_whose_rhythm_it_keeps() -> None:
    assert "Pitch_40" not in left(walking("Position_0", "Track_1", "Velocity_82"), "Pitch")
    assert "Pitch_43" in left(walking("Position_0", "Track_1", "Velocity_82"), "Pitch")  # it stood elsewhere


@pytest.mark.parametrize(("bass", "told"), [((FIRST, NEW, NEW), 1), ((FIRST, NEW, HALF), 0)])
def test_the_bass_of_a_new_bar_is_that_of_the_chord_on_strong_beats(bass: tuple[Symbol, ...], told: int) -> None:
    table = np.zeros((3 * 96, 6), np.int16)
    table[:, :2] = 1, 5  # C over its third
    lines = ((EMPTY,) * 16, bass, (EMPTY,) * 16)
    plan = Plan(form=FormPlan((), 0, tracks=lines), harmony=table)
    known = Reader(VOCABULARY, plan, layout_of(names_of(("read", "form", "parts", "harmony"), 4)))
    read = ("BOS", "Track_0", "Program_drums", "Track_1", "Program_33", "Track_2", "Program_4")
    strong = ((0, "40", 12), (36, "43", 24), (48, "43", 12))
    known.read_all([VOCABULARY.id_of[name] for name in (*read, *bar(*strong, first=True), *bar(*strong), "Bar")])
    for place, is_strong in ((0, 1), (36, 0), (48, 1)):
        known.read_all([VOCABULARY.id_of[name] for name in (f"Position_{place}", "Track_1", "Velocity_82")])
        mask = RULE(known)
        assert mask is not None
        pitches = mask[VOCABULARY.ids["Pitch"].start : VOCABULARY.ids["Pitch"].stop]
        assert (set(np.flatnonzero(pitches) % 12) == {4}) == bool(is_strong and told)
        known.read_all([VOCABULARY.id_of[name] for name in ("Pitch_52", f"Duration_{24 if place == 36 else 12}")])


def test_mass_goes_to_the_next_stroke() -> None:
    found = RULE.redirect(walking())
    assert found is not None
    assert VOCABULARY.tokens[found[0]] == "Position_0"
    assert found[1][VOCABULARY.id_of["Position_6"]]
    assert found[1][VOCABULARY.id_of["Bar"]]
    found = RULE.redirect(walking("Position_0"))
    assert found is not None
    assert VOCABULARY.tokens[found[0]] == "Track_1"
    assert RULE.redirect(walking("Position_0", "Track_1")) is None


def test_chords_are_as_full_as_they_were_and_lie_near() -> None:
    new = (FIRST, NEW, NEW)
    read = (
        *bar(*TRIAD, track=CHORDS, first=True),
        *bar(*TRIAD, track=CHORDS),
        "Bar",
        "Position_0",
        "Track_2",
        "Velocity_82",
    )
    known = reader((EMPTY,) * 16, read, new)
    assert left(known, "Pitch") == {f"Pitch_{pitch}" for pitch in range(60 - NEAR, 60 + NEAR + 1)}
    kept = known.copy().read_all([VOCABULARY.id_of[name] for name in ("Pitch_60", "Duration_48")])
    assert not {"Pitch_64", "Pitch_67"} & left(kept, "Pitch")  # one in three may stay
    known.read_all([VOCABULARY.id_of[name] for name in ("Pitch_62", "Duration_48")])
    assert left(known, "Bar") == left(known, "Position") == set()
    known.read_all([VOCABULARY.id_of[name] for name in ("Pitch_65", "Duration_48", "Pitch_69")])
    assert left(known, "Duration") == {"Duration_36"}
    known.read(VOCABULARY.id_of["Duration_36"])
    assert left(known, "Pitch") == set()
    assert left(known, "Bar") == {"Bar"}


def test_a_track_without_a_habit_and_one_that_begins_an_eight_are_free() -> None:
    other = ((0, "40", 12), (24, "43", 24))
    assert RULE(reader((FIRST, NEW, NEW), (*bar(*WALK, first=True), *bar(*other), "Bar"))) is not None  # chords rest
    assert len(left(reader((FIRST, NEW, NEW), (*bar(*WALK, first=True), *bar(*other), "Bar")), "Position")) > 50
    eight = reader((FIRST, *(NEW,) * 8), (*bar(*WALK, first=True), *bar(*WALK) * 7, "Bar"))
    assert len(left(eight, "Position")) > 50


def test_what_returns_in_part_keeps_its_rhythm_to_the_end() -> None:
    late = ((0, "40", 12), (60, "43", 24))
    known = reader((FIRST, HALF), (*bar(*late, first=True), *bar((0, "40", 12))))
    assert left(known, "Position") == {"Position_60"}
    assert left(known, "Bar") == set()


def test_who_is_planned_to_rest_rests() -> None:
    known = walking("Position_0", bass=(FIRST, NEW, EMPTY))
    assert left(walking(bass=(FIRST, NEW, EMPTY)), "Position") == set()  # nobody plays at all
    assert left(known, "Track") == set()


@cache
def composer() -> Composer:
    return Composer("band")


def composed(seed: int) -> tuple[Take, list[Bar]]:
    theme = primer(kit(), part("Bass", [40, 40, 43, 45] * 2, 33), piano(), Track("Lead", 80, False))
    (take,) = composer().compose(theme, bars=8, seed=seed, best_of=1)
    return take, bars_of(composer().bundle.tokenizer.spell(quantize_on_places(take.notation)).tolist())[0]


def test_a_tune_that_is_to_come_in_later_is_not_heard_before() -> None:
    rests = early = entries = 0
    for seed in range(8):
        take, bars = composed(seed)
        assert take.plan is not None
        (place,) = (number for number, track in enumerate(composer().bundle.tracks) if track.name == "Lead")
        for number, events in enumerate(bars[4:], 4):
            plays = any(event[1] == 3 for event in events)  # the fourth track of the score
            if take.plan.of(place, number) == EMPTY:
                rests += 1
                early += plays
            entries += plays
    assert rests > 20
    assert entries > 4
    assert early <= 0.05 * rests  # where it sounds at once with others a rule may yield


@pytest.mark.skipif(core() is None, reason="no native core")
def test_takes_are_the_same_by_the_loop_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    from melody.generation.decoders import sampling

    native = [composed(seed)[0].to_midi() for seed in (1, 2)]
    monkeypatch.setattr(sampling, "native_loop", lambda *_: None)
    assert [composed(seed)[0].to_midi() for seed in (1, 2)] == native

"""A track of a band whose bar is planned to be new is heard in it: drums on the downbeat, others by the middle."""

from functools import cache

import numpy as np
import pytest
from support.primers import kit, part, piano, primer

from melody.corpus.pieces import quantize_on_places
from melody.generation import Composer, Take
from melody.generation.finish import _emptied
from melody.generation.rules.entries import ComeIn
from melody.generation.settings import settings_of
from melody.music.score import Score, notes_of, set_notes
from melody.tokens import EventTokenizer, Plan, Reader
from melody.tokens.channels import layout_of, names_of
from melody.tokens.plan import EMPTY, FIRST, LIKES, NEW, FormPlan, Symbol, bars_of

VOCABULARY = EventTokenizer.vocabulary
DRUMS, BASS, PAD = range(3)
SAME = Symbol(1, LIKES)
LATEST = {DRUMS: 0, BASS: 2}  # quarters of a bar


@cache
def composer() -> Composer:
    return Composer("band")


def theme() -> Score:
    """Four bars of drums, bass and keys."""
    return primer(kit(), part("Bass", [40, 40, 43, 45] * 2, 33), piano())


@pytest.mark.parametrize("seed", [1022, 1055, 1058, 1086, 1097])
def test_drums_that_are_rewritten_play(seed: int) -> None:
    for take in composer().compose(theme(), fill=(1, 4), tracks=["1", "3"], seed=seed, takes=2):
        for track in take.score.tracks:
            assert notes_of(track).onset.min() <= 960, (seed, track.name)
        assert len(take.score.tracks[0].notes) >= 12
        assert take.plan is not None
        assert [line[0] for line in take.plan.tracks] == [FIRST] * 3 + [EMPTY] * 5  # who is not there has no plan


def heard_late(take: Take, first: int) -> tuple[int, list[tuple[int, int]]]:
    """How many bars of tracks are planned to be new, and those (bar, track) in which the track does not come in."""
    bars, _ = bars_of(composer().bundle.tokenizer.spell(quantize_on_places(take.notation)).tolist())
    assert take.plan is not None
    planned = [
        (bar, track)
        for bar in range(max(first, take.plan.pickup), len(bars))
        for track, line in enumerate(take.plan.tracks)
        if bar < len(line) and line[bar] in (FIRST, NEW)
    ]
    late = []
    for bar, track in planned:
        places = [event[0] for event in bars[bar] if event[1] == track]
        ends = [96 * (one - bar) + e[0] + e[4] for one in range(bar) for e in bars[one] if e[1] == track]
        held = max(ends, default=0) > 48  # past the middle
        if not held and min(places, default=96) > (0 if track == DRUMS else 48):
            late.append((bar, track))
    return len(planned), late


@pytest.mark.parametrize("style_rules", [True, False])
def test_each_track_comes_in_where_its_plan_says_so(style_rules: bool) -> None:
    count, late = 0, []
    for seed in range(3):
        for take in composer().compose(bars=8, seed=seed, takes=2, meter=(4, 4), style_rules=style_rules):
            planned, missing = heard_late(take, 0)
            count, late = count + planned, late + missing
    assert count > 60
    assert late == []


def test_takes_are_the_same_by_the_loop_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    from melody.generation.decoders import sampling

    asked = {"fill": (1, 4), "tracks": ["1", "3"], "seed": 1022, "best_of": 1}
    native = composer().compose(theme(), **asked)[0].to_midi()
    monkeypatch.setattr(sampling, "native_loop", lambda *_: None)
    assert composer().compose(theme(), **asked)[0].to_midi() == native


def reader(*lines: tuple[Symbol, ...], read: tuple[str, ...] = (), pickup: int = 0) -> Reader:
    """A reader of three tracks under this plan, behind the first bar line and some tokens more."""
    layout = layout_of(names_of(("read", "form", "parts"), 4))
    known = Reader(VOCABULARY, Plan(form=FormPlan((), pickup, tracks=lines)), layout)
    header = ["Track_0", "Program_drums", "Track_1", "Program_33", "Track_2", "Program_89"]
    return known.read_all([VOCABULARY.id_of[name] for name in ("BOS", *header, "Bar", "TimeSignature_4/4", *read)])


def open_tokens(rule: ComeIn, known: Reader) -> set[str]:
    """The tokens of ways on that a rule leaves: bar lines, positions and tracks."""
    mask = rule(known)
    kept = known.allow() if mask is None else known.allow() & mask
    names = {VOCABULARY.tokens[token] for token in np.flatnonzero(kept)}
    return {name for name in names if name.split("_")[0] in ("Bar", "End", "Position", "Track")}


def note(track: int, place: int | None, hit: str = "Pitch_40", long: int = 12) -> tuple[str, ...]:
    """The tokens of a note; without a place it stands where the one before stands."""
    where = () if place is None else (f"Position_{place}",)
    return (*where, f"Track_{track}", "Velocity_82", hit, f"Duration_{long}")


START = ("Position_0", VOCABULARY.tokens[VOCABULARY.ids["Tempo"][50]])
KICK = (*START, *note(DRUMS, None, "Drum_36"))


def test_nothing_passes_the_downbeat_before_the_drums_nor_the_middle_before_the_bass() -> None:
    rule, lines = ComeIn(VOCABULARY, LATEST, 0), ((FIRST,), (FIRST,), (FIRST,))
    assert open_tokens(rule, reader(*lines)) == {"Position_0"}
    assert open_tokens(rule, reader(*lines, read=START)) == {"Track_0"}
    assert open_tokens(rule, reader(*lines, read=KICK)) == {
        *(f"Position_{place}" for place in range(1, 49)),
        *(f"Track_{track}" for track in (BASS, PAD)),
    }
    assert open_tokens(rule, reader(*lines, read=(*KICK, "Position_48"))) == {"Track_1"}  # or drums, unnamed
    late = reader(*lines, read=(*KICK, *note(PAD, 48, "Pitch_60")))
    assert "Bar" not in open_tokens(rule, late)
    assert "Position_49" in open_tokens(rule, late)  # there the bass is due
    late.read(VOCABULARY.id_of["Position_49"])
    assert open_tokens(rule, late) == {"Track_0", "Track_1"}
    mask = rule(late)
    assert mask is not None
    assert not mask[VOCABULARY.id_of["Pitch_62"]]  # nor does the pad go on unnamed
    assert "Bar" in open_tokens(rule, reader(*lines, read=(*KICK, *note(BASS, 49))))


def test_added_drums_begin_a_new_bar_with_the_kick_and_go_on_as_they_like() -> None:
    rule, lines = ComeIn(VOCABULARY, LATEST, 0, DRUMS), ((FIRST,), (FIRST,), (FIRST,))
    named = (*START, "Track_0", "Velocity_82")
    mask, free = rule(reader(*lines, read=named)), ComeIn(VOCABULARY, LATEST, 0)(reader(*lines, read=named))
    assert mask is not None
    assert free is not None
    drums = VOCABULARY.ids["Drum"]
    assert [VOCABULARY.tokens[token] for token in drums if mask[token]] == ["Drum_36"]
    assert free[drums.start : drums.stop].all()
    behind = rule(reader(*lines, read=KICK))
    assert behind is not None
    assert behind[drums.start : drums.stop].all()


@pytest.mark.parametrize("lines", [((EMPTY,), (EMPTY,)), ((FIRST, SAME), (FIRST, SAME)), ()])
def test_rests_and_what_returns_are_left_to_other_rules(lines: tuple[tuple[Symbol, ...], ...]) -> None:
    rule = ComeIn(VOCABULARY, LATEST, 0)
    behind = ("Bar",) if lines and len(lines[0]) > 1 else ()
    read = (*KICK, *note(BASS, None), *behind) if behind else ()
    assert rule(reader(*lines, read=read)) is None
    assert rule.redirect(reader(*lines, read=read)) is None


def test_a_note_held_past_the_middle_is_heard_in_the_bar_and_a_pickup_is_free() -> None:
    rule, lines = ComeIn(VOCABULARY, {BASS: 2}, 0), ((FIRST, NEW), (FIRST, NEW))
    held = (*START, *note(BASS, None)[:-1], "Sustain", "Duration_96", "Bar")
    assert rule(reader(*lines, read=held)) is None
    assert rule(reader(*lines, read=(*START, *note(BASS, None), "Bar"))) is not None
    assert rule(reader(*lines, pickup=1)) is None


def test_the_mass_of_all_that_would_pass_goes_to_the_track_that_is_due() -> None:
    rule, lines = ComeIn(VOCABULARY, LATEST, 0), ((FIRST,), (FIRST,))
    found = rule.redirect(reader(*lines, read=START))
    assert found is not None
    target, passing = found
    names = {VOCABULARY.tokens[token] for token in np.flatnonzero(passing)}
    assert VOCABULARY.tokens[target] == "Track_0"
    assert {"Bar", "EOS", "Position_5", "Track_1", "Track_2"} <= names
    assert "Track_0" not in names


def test_a_track_that_came_out_empty_is_named() -> None:
    prepared = composer()._prepare(theme(), settings_of({"fill": (1, 4), "tracks": ("1", "3")}, None))
    without_drums = theme()
    set_notes(without_drums.tracks[0], notes_of(without_drums.tracks[0]).take(np.zeros(0, np.int64)))
    (said,) = _emptied(prepared, without_drums)
    assert said.startswith("Kit: without a note now")
    assert _emptied(prepared, theme()) == []

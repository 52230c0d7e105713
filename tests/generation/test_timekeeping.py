"""A groove that begins, and that the plan holds on to, has a hi-hat or ride that keeps time."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from support.native_trials import check_masks
from symusic import Note, Tempo, TimeSignature, Track

from melody.generation import Composer, Take
from melody.generation.decoders import sampling
from melody.generation.form import Form
from melody.generation.rules.returns import LOUD
from melody.generation.rules.timekeeping import FAST, KeepTime, kept_time
from melody.generation.seeds import Seed
from melody.generation.settings import settings_of
from melody.music.score import Score, bars, notes_of
from melody.tokens import EventTokenizer, Plan, Reader
from melody.tokens.channels import layout_of, names_of
from melody.tokens.plan import DRUM_HIT, EMPTY, FIRST, LIKES, NEW, Bar, FormPlan, Symbol

QUARTER, EIGHTH = 480, 240  # ticks of the scores here
KICK, SNARE, HAT, OPEN_HAT, RIDE = 36, 38, 42, 46, 51
HATS, RIDES = (HAT, 44, OPEN_HAT), (RIDE, 53)
SAME, VARIED = Symbol(1, LIKES), Symbol(1, LIKES - 1)
VOCABULARY = EventTokenizer.vocabulary


@cache
def composer() -> Composer:
    return Composer("band")


def band(*played: list[tuple[int, int]], quarters: int = 4, count: int = 8, qpm: float = 100) -> Score:
    """A bass on the beats and, where they are given, drums (eighth and drum) through all bars."""
    score, bass = Score(QUARTER), Track("Bass", 33)
    score.time_signatures = [TimeSignature(0, quarters, 4)]
    score.tempos = [Tempo(0, qpm=qpm)]
    for beat in range(count * quarters):
        bass.notes.append(Note(beat * QUARTER, 400, (33, 38, 40, 33)[beat // quarters % 4], 80))
    score.tracks.append(bass)
    for strokes in played:
        kit = Track("Drums", 0, True)
        for bar in range(count):
            start = bar * quarters * QUARTER
            kit.notes.extend([Note(start + place * EIGHTH, 100, drum, 90) for place, drum in strokes])
        score.tracks.append(kit)
    return score


def struck(take: Take) -> list[set[tuple[int, int]]]:
    """The drums of each bar: eighths in it, and which; what lies between eighths is left out."""
    score = take.notation
    (drums,) = (notes_of(track) for track in score.tracks if track.is_drum)
    unit, lines = score.ticks_per_quarter // 2, bars(score)
    place = np.searchsorted(lines, drums.onset, side="right") - 1
    found: list[set[tuple[int, int]]] = [set() for _ in lines[:-1]]
    for onset, pitch, bar in zip(drums.onset.tolist(), drums.pitch.tolist(), place.tolist(), strict=True):
        eighth, rest = divmod(onset - int(lines[bar]), unit)
        if not rest and bar < len(found):
            found[bar].add((eighth, pitch))
    return found


def planned(monkeypatch: pytest.MonkeyPatch, *drums: Symbol) -> None:
    """Let the drums follow these symbols, which are the last of their plan."""
    drawn = Form.draw

    def draw(form: Form, seed: Seed | None) -> FormPlan:
        plan = drawn(form, seed)
        own = plan.tracks[0]
        line = (*own[: len(own) - len(drums)], *drums) if len(own) > len(drums) else drums[: len(own)]
        return replace(plan, tracks=(line, *plan.tracks[1:]))

    monkeypatch.setattr(Form, "draw", draw)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_drums_that_are_added_keep_time(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    planned(monkeypatch, FIRST, SAME, SAME, SAME, NEW, SAME, NEW, NEW)
    (take,) = composer().compose(band(), add="drums", seed=seed)
    found = struck(take)
    for bar in found[:4]:
        assert {place for place, drum in bar if drum == HAT} == set(range(8))
    for bar in found[4:6]:
        assert {place for place, drum in bar if drum in HATS} >= {0, 2, 4, 6}
    assert {(0, KICK), (2, SNARE), (6, SNARE)} <= found[0]
    assert not {place for place, drum in found[0] if drum == SNARE} - {2, 6}
    assert len({place for place, drum in found[0] if drum == KICK and place % 2}) <= 2


def test_bands_from_nothing_keep_time_but_orchestras(monkeypatch: pytest.MonkeyPatch) -> None:
    planned(monkeypatch, FIRST, SAME, NEW, SAME)
    for style in (None, "rock"):
        for seed in (1, 2):
            (take,) = composer().compose(bars=4, meter=(4, 4), tempo_qpm=100, style=style, seed=seed)
            found = struck(take)
            assert all({(place, HAT) for place in range(8)} <= bar for bar in found[:2])
            assert all({place for place, drum in bar if drum in HATS} >= {0, 2, 4, 6} for bar in found[2:])
    prepared = composer()._prepare(None, settings_of({"bars": 4, "style": "orchestral"}, None))
    assert not any(isinstance(rule, KeepTime) for rule in prepared.rules)


def test_fast_music_has_it_on_beats_and_bars_of_three_the_snare_on_three(monkeypatch: pytest.MonkeyPatch) -> None:
    planned(monkeypatch, FIRST, SAME, SAME, SAME)
    (fast,) = composer().compose(band(count=4, qpm=170), add="drums", seed=1)
    assert all({(place, HAT) for place in (0, 2, 4, 6)} <= bar for bar in struck(fast))
    (waltz,) = composer().compose(band(count=4, quarters=3), add="drums", seed=1)
    for bar in struck(waltz):
        assert {(place, HAT) for place in range(6)} <= bar
        assert {place for place, drum in bar if drum == SNARE} == {4}


def test_where_beats_fall_into_three_no_even_eighth_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    planned(monkeypatch, FIRST, SAME, SAME, SAME)
    shuffle = band(count=4)
    for beat in range(16):
        shuffle.tracks[0].notes.append(Note(beat * QUARTER + 2 * QUARTER // 3, 100, 45, 80))
    (take,) = composer().compose(shuffle, add="drums", seed=1)
    assert all({place for place, drum in bar if drum == HAT} >= {0, 2, 4, 6} for bar in struck(take))
    prepared = composer()._prepare(shuffle, settings_of({"add": ("drums",)}, None))
    (rule,) = (rule for rule in prepared.rules if isinstance(rule, KeepTime))
    assert rule.fast < 0
    prepared = composer()._prepare(band(), settings_of({"add": ("drums",)}, None))
    (rule,) = (rule for rule in prepared.rules if isinstance(rule, KeepTime))
    assert rule.fast == FAST


RIDING = [(place, RIDE) for place in (0, 2, 3, 4, 6, 7)] + [(0, KICK), (4, KICK), (6, SNARE)]
SPARSE = [(0, KICK), (4, SNARE), (5, HAT)]


def test_what_kept_time_in_a_primer_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    planned(monkeypatch, NEW, SAME, NEW, NEW)
    for seed in (1, 2, 3):
        found = struck(composer().compose(band(RIDING), bars=4, seed=seed)[0])[8:10]
        for bar in found:
            assert {place for place, drum in bar if drum in RIDES} >= {0, 2, 4, 6}
            assert {drum for place, drum in bar if place == 2} <= {*RIDES, SNARE}  # nobody else has joined there


@pytest.mark.parametrize(
    ("played", "second"),
    [(RIDING, NEW), (SPARSE, SAME)],
    ids=["a new bar stands alone", "the primer keeps no time"],
)
def test_where_nothing_is_ruled(played: list[tuple[int, int]], second: Symbol, monkeypatch: pytest.MonkeyPatch) -> None:
    planned(monkeypatch, NEW, second, NEW, NEW)
    takes = []
    for rules in (composer().bundle.style_rules, composer().bundle.style_rules[:-1]):
        bundle = replace(composer().bundle, settings={**composer().bundle.settings, "style_rules": rules})
        takes.append(Composer(bundle).compose(band(played), bars=4, seed=1)[0].to_midi())
    assert takes[0] == takes[1]


def test_the_loop_in_c_and_the_one_in_python_make_the_same_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [(band(count=4), {"add": ("drums",)}), (band(RIDING), {"bars": 4}), (None, {"bars": 6, "meter": (4, 4)})]
    native = [composer().compose(primer, seed=3, **options)[0].to_midi() for primer, options in asked]
    monkeypatch.setattr(sampling, "native_loop", lambda *_: None)
    assert [composer().compose(primer, seed=3, **options)[0].to_midi() for primer, options in asked] == native


@pytest.mark.parametrize(("quarters", "qpm"), [(4, 100), (3, 160), (5, 90)])
def test_masks_are_the_same_in_c(quarters: int, qpm: float, monkeypatch: pytest.MonkeyPatch) -> None:
    planned(monkeypatch, FIRST, NEW, EMPTY, VARIED, NEW, Symbol(1, 1), SAME, VARIED, NEW, NEW)
    prepared = composer()._prepare(band(count=10, quarters=quarters, qpm=qpm), settings_of({"add": ("drums",)}, None))
    (rule,) = (rule for rule in prepared.rules if isinstance(rule, KeepTime))
    for number in (1, 2):
        seed = Seed(number, 1)
        start = prepared.start([seed])
        draws = prepared.settings.sampling
        drawn = sampling.stream(composer().engine, start, prepared.rules, draws, [seed.generator()])
        check_masks(start[0], [rule], [token for _, token, _ in drawn])


def test_a_pickup_is_no_groove(monkeypatch: pytest.MonkeyPatch) -> None:
    planned(monkeypatch, FIRST, FIRST, SAME, SAME, NEW)
    score = band(count=4)
    score.time_signatures = [TimeSignature(0, 1, 4), TimeSignature(QUARTER, 4, 4)]
    (take,) = composer().compose(score, add="drums", seed=1)
    assert all({(place, HAT) for place in range(8)} <= bar for bar in struck(take)[1:4])


def events(*strokes: tuple[int, int]) -> Bar:
    return tuple((place, 0, DRUM_HIT + drum, 20, 6) for place, drum in sorted(strokes))


def test_bars_that_keep_time() -> None:
    hats = [(place, HAT) for place in range(0, 96, 12)]
    kept = kept_time(events(*hats), 96)
    assert kept == (HATS, 20 - LOUD, 20 + LOUD)
    assert kept_time(events(*hats[:6]), 96) == kept
    assert not kept_time(events(*hats[1:6]), 96)
    assert kept_time(events(*hats[::2], (6, HAT), (3, RIDE)), 96) == kept
    assert kept_time(events(*((place, OPEN_HAT if place % 24 else HAT) for place in range(0, 96, 12))), 96) == kept
    riding = kept_time(events(*((place, RIDE) for place in range(0, 96, 24)), (12, HAT)), 96)
    assert riding is not None
    assert riding.drums == RIDES
    assert not kept_time(events(*((place, HAT if place % 48 else RIDE) for place in range(0, 96, 24))), 96)
    assert not kept_time((), 96)


def reader(*read: str, meter: str = "4/4", symbol: Symbol = FIRST, tempo: int = FAST - 5) -> Reader:
    """A reader of drums and keys in a bar, behind some tokens."""
    layout = layout_of(names_of(("read", "form", "parts"), 4))
    known = Reader(VOCABULARY, Plan(form=FormPlan((), 0, tracks=((symbol, SAME), (FIRST, SAME)))), layout)
    names = ["BOS", "Track_0", "Program_drums", "Track_1", "Program_4", "Bar", f"TimeSignature_{meter}"]
    names += ["Position_0", VOCABULARY.tokens[VOCABULARY.ids["Tempo"][tempo]]]
    return known.read_all([VOCABULARY.id_of[name] for name in (*names, *read)])


def left(known: Reader, *kinds: str) -> set[str]:
    """The tokens of some types that the rule leaves of those that may follow."""
    mask = KeepTime(VOCABULARY, 0)(known)
    kept = known.allow() if mask is None else known.allow() & mask
    names = (VOCABULARY.tokens[token] for token in np.flatnonzero(kept))
    return {name for name in names if name.split("_")[0] in kinds}


ONE = ("Track_0", "Velocity_90", "Drum_36", "Duration_1", "Drum_42", "Duration_1")
KICKED = ("Drum_36", "Duration_1", "Drum_42", "Duration_1")


def test_what_may_come_and_what_has_to() -> None:
    assert left(reader(), "Track", "Position", "Bar") == {"Track_0"}
    assert left(reader("Track_0", "Velocity_90"), "Drum") == {"Drum_36"}
    assert left(reader(*ONE[:4]), "Drum", "Track", "Position") == {"Drum_42"}
    assert left(reader(*ONE), "Drum", "Position") == {"Drum_49", "Drum_57", *(f"Position_{n}" for n in range(1, 13))}
    assert left(reader(*ONE, "Position_12"), "Drum") == {"Drum_42"}  # no kick on the first eighth off the beat
    assert left(reader(*ONE, "Position_6"), "Drum") == {"Drum_36", "Drum_42", "Drum_44", "Drum_46"}
    eighth = (*ONE, "Position_12", "Drum_42", "Duration_1", "Position_24")
    assert left(reader(*eighth), "Drum", "Track") == {"Drum_38"}
    beat = (*eighth, "Drum_38", "Duration_1", "Drum_42", "Duration_1", "Position_36")
    assert left(reader(*beat), "Drum") == {"Drum_36", "Drum_42"}
    three = (*beat, *KICKED, "Position_48", *KICKED, "Position_60", *KICKED, "Position_72")
    four = (*three, "Drum_38", "Duration_1", "Drum_42", "Duration_1", "Position_84")
    assert left(reader(*four), "Drum") == {"Drum_42"}  # two kicks between beats are enough
    assert left(reader(*ONE, tempo=FAST), "Position") == {f"Position_{n}" for n in range(1, 25)}
    for other in (reader(*ONE, meter="6/8"), reader(*ONE, meter="2/2"), reader(*ONE, symbol=SAME)):
        assert KeepTime(VOCABULARY, 0)(other) is None
        assert KeepTime(VOCABULARY, 0).redirect(other) is None
    found = KeepTime(VOCABULARY, 0).redirect(reader(*ONE))
    assert found is not None
    assert VOCABULARY.tokens[found[0]] == "Position_12"


def test_the_band_tells_its_rules_by_style() -> None:
    orchestra = composer().bundle.in_style("orchestral")
    assert set(composer().bundle.style_rules) - set(orchestra.style_rules) == {"kept_time"}
    assert composer().bundle.in_style("rock").style_rules == composer().bundle.style_rules

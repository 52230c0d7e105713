"""The readers of the recipes folk, pop, drums, lied and quartet, on made music."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.made_music import one_track, score_of
from symusic import Tempo, TimeSignature

from melody.corpus import folk, lied, pop, quartet
from melody.corpus.drums import FOLD, on_grid
from melody.corpus.pieces import LeftOut, tunes_of
from melody.formats.abc import TuneReading
from melody.music.drumkit import HIT
from melody.music.quantize import snapped, subdivisions
from melody.music.score import GRID, Notes, Score, bars, notes_of, set_notes

# ---- human timing ---------------------------------------------------------------------------------------------------


@given(st.sampled_from([6, 8]), st.integers(0, 1000))
def test_a_wobble_of_the_hand_is_no_rhythm(step: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    exact = np.arange(0, 8 * GRID, step)
    human = exact + generator.uniform(-0.7, 0.7, len(exact))
    np.testing.assert_array_equal(snapped(human, subdivisions(human, np.full(len(human), 60))), exact)


def test_a_roll_is_32nds_and_a_late_hit_is_not() -> None:
    roll = np.arange(0, GRID, 3.0)
    snare = np.full(8, 38)
    assert subdivisions(roll, snare).tolist() == [3]
    late = np.array([0.0, 6, 14.2, 18])
    assert subdivisions(late, snare[:4]).tolist() == [6]
    assert snapped(late, subdivisions(late, snare[:4])).tolist() == [0, 6, 12, 18]


def test_beats_choose_for_themselves() -> None:
    onsets = np.array([0.0, 6, 12, 18, 24, 32, 40, 72])
    steps = subdivisions(onsets, np.full(8, 60))
    assert steps.tolist() == [6, 8, 6, 6]
    np.testing.assert_array_equal(snapped(onsets, steps), onsets)
    assert snapped(np.array([500.0]), steps).tolist() == [498]  # past the end


# ---- pop ------------------------------------------------------------------------------------------------------------


def test_bars_follow_the_votes() -> None:
    votes = np.zeros(40)
    votes[2::4] = 1
    votes[14] = 0  # a bar line that nobody heard
    votes[17] = 1  # and a chord that changes early
    assert pop.bar_starts(votes, 4).tolist() == list(range(2, 40, 4))


def test_an_odd_bar_needs_much_that_speaks_for_it() -> None:
    votes = np.zeros(60)
    votes[0:20:4] = 1
    votes[22:60:4] = 1
    starts = pop.bar_starts(votes, 4)
    assert set(np.diff(starts).tolist()) == {4, 6} or set(np.diff(starts).tolist()) == {2, 4}
    assert set(range(22, 60, 4)) <= set(starts.tolist())
    votes[26:] = 0  # one bar line alone is not enough
    assert set(np.diff(pop.bar_starts(votes, 4)).tolist()) == {4}


@given(st.integers(0, 10_000))
def test_off_beat_ticks_with_a_drifting_tempo_come_back_to_their_beats(seed: int) -> None:
    generator = np.random.default_rng(seed)
    beats = 0.3 + np.cumsum(generator.uniform(0.55, 0.65, 40))  # seconds
    wanted = np.sort(generator.choice(4 * 36, 40, replace=False)) * 6  # grid ticks
    wanted[0] = 0
    seconds = np.interp(wanted / GRID, np.arange(40), beats)
    ticks = np.round(seconds / 0.5 * 480).astype(int)  # a file at 120 quarters a minute that knows no beats
    raw = score_of(*(one_track(ticks, pitch) for pitch in (72, 67, 50)), meter=(1, 4))
    for track, name in zip(raw.tracks, pop.TRACKS, strict=True):
        track.name = name
    raw.tempos = [Tempo(0, qpm=120)]
    result = pop.on_beats(raw, beats, np.arange(0, 40, 4), 4)
    assert [track.name for track in result.tracks] == ["MELODY", "BRIDGE", "PIANO"]
    for track in result.tracks:
        np.testing.assert_array_equal(notes_of(track).onset, wanted)
    assert [(t.time, t.numerator, t.denominator) for t in result.time_signatures] == [(0, 4, 4)]
    assert 92 < result.tempos[0].qpm < 110


def test_a_song_that_ignores_its_beats_is_left_out() -> None:
    ticks = np.cumsum(np.random.default_rng(0).integers(61, 400, 300))
    raw = score_of(*(one_track(ticks) for _ in pop.TRACKS))
    for track, name in zip(raw.tracks, pop.TRACKS, strict=True):
        track.name = name
    with pytest.raises(LeftOut, match="off the beat"):
        pop.on_beats(raw, np.arange(100) * 0.5, np.arange(0, 100, 4), 4)


# ---- drums ----------------------------------------------------------------------------------------------------------


def test_the_kit_folds_to_general_midi() -> None:
    track = one_track([0, 118, 245, 355, 480], [36, 22, 26, 58, 40], velocity=[10, 60, 70, 80, 127], drums=True)
    notes = notes_of(track)
    set_notes(track, notes._replace(duration=np.array([0, 5, 0, 900, 1])))
    result = notes_of(on_grid(score_of(track)).tracks[0])
    assert result.onset.tolist() == [0, 6, 12, 18, 24]
    assert result.pitch.tolist() == [36, 42, 46, 43, 38]
    assert set(result.duration.tolist()) == {HIT}
    assert result.velocity.tolist() == [10, 60, 70, 80, 127]
    assert not set(FOLD) & set(FOLD.values())


def test_of_hits_that_fall_together_the_louder_stays() -> None:
    track = one_track([0, 10, 480], [38, 40, 38], velocity=[50, 90, 60], drums=True)
    result = notes_of(on_grid(score_of(track)).tracks[0])
    assert result.onset.tolist() == [0, 24]
    assert result.velocity.tolist() == [90, 60]


# ---- folk -----------------------------------------------------------------------------------------------------------

TUNE = "X:1\nT:x\nM:4/4\nL:1/8\nK:D\n|: d2fd Adfd | {g}e2~ge ceAc | d2fd (3Adf gf | ec Ac d4 :|\n"


def test_a_tune_is_one_line_with_repeats_and_no_ornaments() -> None:
    reading = tunes_of(TUNE, "x")["x"]
    assert isinstance(reading, TuneReading)
    score = folk.tune(reading)
    notes = notes_of(score.tracks[0])
    assert len(notes.onset) == 2 * 27
    assert set(notes.velocity.tolist()) == {folk.VELOCITY}
    assert (notes.onset[1:] >= (notes.onset + notes.duration)[:-1]).all()
    assert bars(score).tolist() == [1920 * n for n in range(9)]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ((":|", ":|\nd6 | d8 | e7 | d8 | f5 | d8 | g8 |"), "more than two wrong bars"),
        ((" | {g}e2~ge ceAc | d2fd (3Adf gf | ec Ac d4 :|", " |"), "fewer than 24 notes"),
    ],
)
def test_a_tune_with_wrong_bars_is_left_out(change: tuple[str, str], reason: str) -> None:
    text = TUNE.replace(*change)
    assert text != TUNE
    reading = tunes_of(text, "x")["x"]
    assert isinstance(reading, TuneReading)
    with pytest.raises(LeftOut) as caught:
        folk.tune(reading)
    assert caught.value.reason == reason


def test_the_session_is_never_read() -> None:
    top = "folk_ngram_analysis-9d8ccf9"
    assert folk.is_wanted(f"{top}/cre_corpus/MIDI/x.mid")
    assert not folk.is_wanted(f"{top}/FoNN/thesession_corpus/midi/x.mid")


def test_a_bar_line_that_is_missing_does_no_harm() -> None:
    reading = tunes_of(TUNE.replace("Adfd |", "Adfd "), "x")["x"]
    assert isinstance(reading, TuneReading)
    assert len(bars(folk.tune(reading))) == 9


def meters_of(score: Score) -> list[tuple[int, int, int]]:
    return [(t.time, t.numerator, t.denominator) for t in score.time_signatures]


def accented(downbeats: list[int], end: int) -> Score:
    """Eighths as abc2midi writes them: a tick late, the first of each bar accented."""
    ticks = np.arange(0, end, 240)
    velocity = np.where(np.isin(ticks, downbeats), 105, 80)
    return score_of(one_track(np.where(ticks, ticks + 1, 0), velocity=velocity.tolist()))


def test_accents_tell_where_the_bars_are() -> None:
    pickup = folk.ceol_rince(accented([0, *range(480, 480 + 8 * 1920, 1920)], 480 + 8 * 1920))
    assert notes_of(pickup.tracks[0]).onset.tolist() == list(range(0, 480 + 8 * 1920, 240))
    assert meters_of(pickup) == [(0, 1, 4), (480, 4, 4)]
    regular = folk.ceol_rince(accented(list(range(0, 8 * 1920, 1920)), 8 * 1920))
    assert meters_of(regular) == [(0, 4, 4)]
    long_bar = folk.ceol_rince(accented([0, 1920, 1920 + 2400, 3 * 1920 + 480, 4 * 1920 + 480], 6 * 1920))
    assert meters_of(long_bar) == [(0, 4, 4), (3840, 1, 4), (4320, 4, 4)]
    astray = folk.ceol_rince(accented([0, 1920, 2400, 3840, 5760], 6 * 1920))  # one accent within a bar
    assert meters_of(astray) == [(0, 4, 4)]


def test_a_file_of_many_odd_bars_is_left_out() -> None:
    with pytest.raises(LeftOut, match="more than two wrong bars"):
        folk.ceol_rince(accented([0, 1920, 4080, 6240, 8400, 10560], 6 * 2160))


def test_a_wrong_bar_gets_a_meter_of_its_own() -> None:
    text = TUNE.replace("|:", "").replace(":|", "|").replace("ceAc |", "ceA |")
    reading = tunes_of(text + "d2fd Adfd | d2fd Adfd |\n", "x")["x"]
    assert isinstance(reading, TuneReading)
    assert meters_of(folk.tune(reading)) == [(0, 4, 4), (1920, 7, 8), (3600, 4, 4)]


# ---- lied -----------------------------------------------------------------------------------------------------------


def named(*names: str) -> Score:
    result = score_of(*(one_track(np.arange(0, 4800, 240), 60 - 5 * n) for n in range(len(names))))
    for track, name in zip(result.tracks, names, strict=True):
        track.name = name
    return result


def test_both_staves_are_one_piano() -> None:
    score = lied.voice_and_piano(named("Singstimme Voice", "Pianoforte 1", "Pianoforte 2"))
    assert [(track.name, len(track.notes)) for track in score.tracks] == [("Voice", 20), ("Piano", 40)]


@pytest.mark.parametrize(
    "names", [("Soprano", "Alto", "Tenor", "Bass"), ("Voice",), ("Voice", "Viola", "Piano"), ("Voice", "Guitar")]
)
def test_other_ensembles_are_left_out(names: tuple[str, ...]) -> None:
    with pytest.raises(LeftOut, match="not for voice and piano"):
        lied.voice_and_piano(named(*names))


# ---- quartet --------------------------------------------------------------------------------------------------------

PARTS = ("Violin I", "Violin II", "Viola", "Violoncello")


def test_a_quartet_has_its_four_parts_in_order_and_desks_that_divide_are_one() -> None:
    score = quartet.four_parts(named("Cello", "Violin 2", "Viola", "Violin 1", "Violoncello"))
    assert [(track.name, track.program, len(track.notes)) for track in score.tracks] == [
        ("Violin 1", 40, 20),
        ("Violin 2", 40, 20),
        ("Viola", 41, 20),
        ("Violoncello", 42, 40),
    ]
    assert [track.notes[0].pitch for track in score.tracks] == [45, 55, 50, 40]


@pytest.mark.parametrize("names", [PARTS[:3], (*PARTS, "Clarinet"), ("Violin", "Violin", "Violin", "Violin")])
def test_other_line_ups_than_a_quartet_are_left_out(names: tuple[str, ...]) -> None:
    with pytest.raises(LeftOut, match="not for a string quartet"):
        quartet.four_parts(named(*names))


def work(*sections: tuple[int, int, int], slur: bool = False) -> Score:
    """A work of sections: so many bars of a meter at a tempo; `slur`: a note sounds over every cut."""
    score, start = named(*PARTS), 0
    score.time_signatures, score.tempos = [], []
    for bars_, numerator, qpm in sections:
        score.time_signatures.append(TimeSignature(start, numerator, 4))
        score.tempos.append(Tempo(start, qpm))
        start += bars_ * numerator * score.tpq
    for track in score.tracks:
        onset = np.arange(0, start, score.tpq)
        long = np.full_like(onset, score.tpq * (2 if slur else 1))
        set_notes(track, Notes(onset, long, *np.full((2, len(onset)), 60)))
    return score


def test_a_movement_begins_where_a_meter_and_a_tempo_do() -> None:
    found = quartet.movements(work((20, 4, 60), (40, 3, 120), (16, 2, 90)))
    assert [(len(bars(part)) - 1, part.time_signatures[0].numerator, round(part.tempos[0].qpm)) for part in found] == [
        (20, 4, 60),
        (40, 3, 120),
        (16, 2, 90),
    ]
    assert all(part.tracks[0].notes[0].time == 0 for part in found)


def test_few_bars_go_with_what_follows_and_nothing_is_cut_that_sounds() -> None:
    assert [len(bars(part)) - 1 for part in quartet.movements(work((20, 4, 60), (8, 3, 90), (40, 2, 120)))] == [20, 48]
    assert [len(bars(part)) - 1 for part in quartet.movements(work((20, 4, 60), (40, 3, 120), slur=True))] == [61]

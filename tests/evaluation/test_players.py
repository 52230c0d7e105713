"""Statistics of tracks, on bars that can be counted by hand."""

import pytest
from support.tiny_bundle import style_tracks

from melody.evaluation import players
from melody.evaluation.form import FOUR_QUARTERS, Excerpt
from melody.evaluation.players import statistics_of

KICK = 128 + 36
QUARTER = 24


def bar(*notes: tuple[int, int, int], duration: int = QUARTER) -> tuple[tuple[int, int, int, int, int], ...]:
    """A bar of (beat, track, hit)."""
    return tuple((QUARTER * beat, track, hit, 20, duration) for beat, track, hit in sorted(notes))


BEAT = [(0, 0, KICK), (2, 0, KICK)]
GIVEN = [bar(*BEAT, (0, 1, 36)), bar(*BEAT, (0, 1, 43))]
BAND = Excerpt([*GIVEN, bar(*BEAT, (0, 1, 36)), bar((0, 1, 50)), bar(*BEAT)], start=2)
SILENT = Excerpt([*GIVEN, bar(), bar(), bar()], start=2)


def test_bars_of_a_track_return_or_do_not() -> None:
    assert players.nearly_returns([BAND], track=0) == 1  # empty bars do not count
    assert players.nearly_returns([BAND], track=1) == 0.5


def test_silence_and_density_of_a_track_that_sounded() -> None:
    assert players.silence([BAND], track=0) == pytest.approx(1 / 3)
    assert players.silence([BAND, SILENT], track=1) == pytest.approx(4 / 6)
    assert players.notes_a_bar([BAND], track=0) == pytest.approx(4 / 3)
    assert players.silence([BAND], track=5) != players.silence([BAND], track=5)  # not there: no number


def test_range_before_and_after() -> None:
    assert players.range_of([BAND], track=1) == 14
    assert players.leaves_range([BAND, SILENT], track=1) == 1  # 50 is 7 above 43; who is silent does not count
    near = Excerpt([*GIVEN, bar((0, 1, 48)), bar((0, 1, 31))], start=2)
    assert players.leaves_range([near], track=1) == 0


def test_who_hardly_plays() -> None:
    full = Excerpt([bar(*[(beat, 1, 60) for beat in range(4)])] * 2)
    assert players.hardly_plays([full, BAND], track=1) == 0.5


def test_tones_of_the_harmony_on_strong_beats() -> None:
    chord = [(0, 2, 60), (0, 2, 64), (0, 2, 67)]
    half = [bar(*chord, (0, 1, 36), (0, 4, 72), duration=48), bar(*chord, (0, 1, 40), (0, 4, 74), duration=48)]
    found = {name: statistic([Excerpt(half)]) for name, statistic in statistics_of(style_tracks("band")).items()}
    assert found["bass on the root, on strong beats"] == 0.5  # C, then E under C major
    assert found["chord tones of the others, on strong beats"] == 7 / 8  # all but the D


def test_semitones_between_tracks_clash() -> None:
    one = Excerpt([bar((0, 1, 48), (0, 2, 61), (1, 1, 50), (2, 2, 62), (2, 2, 63))])
    assert players.clashes([one]) == pytest.approx(2 / 5)  # C and C sharp; what a track plays itself is its own affair
    assert players.clashes([Excerpt([bar(*BEAT)], bar_ticks=FOUR_QUARTERS)]) != 0


def test_each_track_has_its_rows() -> None:
    names = list(statistics_of(style_tracks("pop")))
    assert "Melody: leaves its range by more than 5" in names
    assert not any(name.startswith("bass") for name in names)
    assert "Drums: range in semitones" not in statistics_of(style_tracks("band"))


def test_chords_and_tunes_are_held_to_the_harmony_each_by_itself() -> None:
    chord = [(0, 2, 60), (0, 2, 64), (0, 2, 67)]
    half = [bar(*chord, (0, 4, 74), duration=48), bar(*chord, (0, 4, 72), duration=48)]
    found = {name: statistic([Excerpt(half)]) for name, statistic in statistics_of(style_tracks("band")).items()}
    assert found["Chords: chord tones, on strong beats"] == 1
    assert found["Lead: chord tones, on strong beats"] == 0.5  # D, then C
    assert "Bass: chord tones, on strong beats" not in found

"""At the seam nothing of the primer hangs over into new music, by kind; in a gap the primer's own state comes back."""

import pytest
from symusic import ControlChange, KeySignature, Note, PitchBend, Tempo, TextMeta, TimeSignature, Track

from melody.generation.seam import Seam, across
from melody.music.score import Score

BAR = 1920
START = 4 * BAR


def piece(*controls: tuple[int, int, int], bends: tuple[tuple[int, int], ...] = ()) -> Score:
    """Four bars of quarters with these (tick, controller, value) and (tick, bend)."""
    track = Track("Lead", 0, False)
    track.notes = [Note(480 * n, 480, 60 + n % 5, 80) for n in range(16)]
    track.controls = [ControlChange(*control) for control in controls]
    track.pitch_bends = [PitchBend(*bend) for bend in bends]
    score = Score(480)
    score.tracks.append(track)
    return score


def continued(score: Score) -> tuple[Track, list[str]]:
    """The first track as new music finds it behind the primer's four bars."""
    result, said = across(score, Seam(START, None, frozenset([0])))
    return result.tracks[0], said


def state(track: Track, tick: int) -> dict[int, int]:
    """Each controller's value at a tick."""
    return {control.number: control.value for control in track.controls if control.time <= tick}


def bend(track: Track, tick: int) -> int:
    """The bend at a tick."""
    return [0, *(bend.value for bend in track.pitch_bends if bend.time <= tick)][-1]


@pytest.mark.parametrize("value", [4000, -8192, 1])
@pytest.mark.parametrize("tick", [100, 7000, START, START + 900])
def test_a_bend_left_open_ends_at_the_seam(tick: int, value: int) -> None:
    track, _ = continued(piece(bends=((tick, value),)))
    assert bend(track, START) == 0
    assert max(bend.time for bend in track.pitch_bends) <= START if tick <= START else not len(track.pitch_bends)
    assert bend(track, tick) == value if tick < START else True


@pytest.mark.parametrize("number", [64, 66, 69])
@pytest.mark.parametrize("releases", [(), (START + 10,)])
def test_held_pedals_are_let_go(number: int, releases: tuple[int, ...]) -> None:
    track, said = continued(piece((7000, number, 127), *((tick, number, 0) for tick in releases)))
    assert state(track, START) == {number: 0}
    assert [(c.time, c.value) for c in track.controls] == [(7000, 127), (START, 0)]
    assert said == []  # a release behind the seam says nothing new


def test_a_pedal_that_is_up_needs_nothing() -> None:
    track, _ = continued(piece((7000, 64, 127), (7600, 64, 0)))
    assert [(c.time, c.value) for c in track.controls] == [(7000, 127), (7600, 0)]


@pytest.mark.parametrize(("number", "level"), [(7, 100), (11, 127), (7, 90), (11, 60)])
@pytest.mark.parametrize("stops_at", [0, 5, 30])
def test_a_fade_ends_at_the_seam(number: int, level: int, stops_at: int) -> None:
    given = [] if level == {7: 100, 11: 127}[number] else [(0, number, level)]
    fade = [(6000 + 100 * step, number, level + (stops_at - level) * step // 16) for step in range(17)]
    track, said = continued(piece(*given, *fade))
    assert state(track, START) == {number: level}
    assert state(track, 6800)[number] < level  # the fade itself is as it was
    assert len(track.controls) == len(given) + len(fade) + 1
    assert len(said) == 1
    assert str(level) in said[0]


@pytest.mark.parametrize("values", [[(0, 40)], [(0, 100), (BAR, 60)], [(0, 40), (3 * BAR, 90)]])
def test_a_level_that_is_meant_carries_on(values: list[tuple[int, int]]) -> None:
    track, said = continued(piece(*((tick, 7, value) for tick, value in values)))
    assert [(c.time, c.value) for c in track.controls] == values
    assert said == []


@pytest.mark.parametrize(("number", "home"), [(1, 0), (10, 64), (74, 64)])
def test_a_controller_in_motion_comes_home(number: int, home: int) -> None:
    track, _ = continued(piece((7600, number, 99)))
    assert state(track, START) == {number: home}


def test_settings_carry_on() -> None:
    given = [(0, 0, 1), (0, 32, 2), (0, 101, 0), (0, 100, 0), (0, 6, 12), (0, 10, 30), (0, 91, 50)]
    track, _ = continued(piece(*given))
    assert [(c.time, c.number, c.value) for c in track.controls] == given


def test_reset_all_controllers_counts() -> None:
    track, _ = continued(piece((7000, 64, 127), (7100, 1, 90), (7600, 121, 0)))
    assert [(c.time, c.number) for c in track.controls] == [(7000, 64), (7100, 1), (7600, 121)]


def test_what_stands_behind_the_last_note_is_left_out_and_said() -> None:
    track, said = continued(piece((START + 500, 7, 0), bends=((START + 500, -3000),)))
    assert not len(track.controls)
    assert not len(track.pitch_bends)
    assert len(said) == 1
    assert "2 events" in said[0]
    assert "Lead" in said[0]


def test_maps_behind_the_last_note_hold_from_the_seam() -> None:
    score = piece()
    score.tempos = [Tempo(0, qpm=120), Tempo(START + 480, qpm=90)]
    score.key_signatures = [KeySignature(0, 0, 0), KeySignature(START + 480, 2, 0)]
    score.time_signatures = [TimeSignature(0, 4, 4), TimeSignature(START + 480, 3, 4)]
    score.markers = [TextMeta(0, "A"), TextMeta(START + 480, "Coda")]
    result, _ = across(score, Seam(START, None, frozenset([0])))
    assert [(t.time, round(t.qpm)) for t in result.tempos] == [(0, 120), (START, 90)]
    assert [(k.time, k.key) for k in result.key_signatures] == [(0, 0), (START, 2)]
    assert [m.time for m in result.time_signatures] == [0]  # the new part states its own
    assert [(m.time, m.text) for m in result.markers] == [(0, "A"), (START, "Coda")]


def test_the_given_score_stays() -> None:
    score = piece((7000, 64, 127), bends=((7000, 99),))
    before = score.copy()
    across(score, Seam(START, None, frozenset([0])))
    assert score.tracks[0].controls == before.tracks[0].controls
    assert score.tracks[0].pitch_bends == before.tracks[0].pitch_bends


# ---- gaps ------------------------------------------------------------------------------------------------------------

GAP = Seam(BAR, 2 * BAR, frozenset([0]))
IN_GAP = BAR + 500


def test_a_gap_is_neutral_and_the_state_comes_back() -> None:
    score = piece((500, 64, 127), (600, 11, 20), bends=((700, 4000),))
    track = across(score, GAP)[0].tracks[0]
    assert (state(track, IN_GAP)[64], bend(track, IN_GAP)) == (0, 0)
    assert (state(track, 2 * BAR), bend(track, 2 * BAR)) == ({64: 127, 11: 20}, 4000)


def test_gestures_of_the_bars_that_are_replaced_go_and_their_outcome_stays() -> None:
    score = piece((0, 7, 90), (IN_GAP, 1, 80), (IN_GAP, 7, 70), (IN_GAP, 64, 127), bends=((IN_GAP, 99),))
    track = across(score, GAP)[0].tracks[0]
    assert (state(track, IN_GAP), bend(track, IN_GAP)) == ({7: 70}, 0)
    assert (state(track, 2 * BAR), bend(track, 2 * BAR)) == ({7: 70, 1: 80, 64: 127}, 99)


def test_the_primers_own_events_where_it_resumes_come_last() -> None:
    score = piece((500, 11, 20), (2 * BAR, 11, 110), bends=((700, 5), (2 * BAR, 7)))
    track = across(score, GAP)[0].tracks[0]
    assert (state(track, 2 * BAR), bend(track, 2 * BAR)) == ({11: 110}, 7)


def test_tracks_beside_a_gap_stay_as_they_are() -> None:
    score = piece((500, 64, 127), bends=((700, 4000),))
    track = across(score, Seam(BAR, 2 * BAR, frozenset([1])))[0].tracks[0]
    assert track.controls == score.tracks[0].controls
    assert track.pitch_bends == score.tracks[0].pitch_bends

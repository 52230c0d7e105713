"""Progressions fill bars and survive their text; markers are chords where they look like it."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from symusic import TextMeta

from melody.errors import UsageError
from melody.music.chords import QUALITIES, Chord, Span, parse_chord
from melody.music.progressions import Progression, held, laid_out, markers_as_chords, parse_progression
from melody.music.score import GRID, Score

ROOTS, PLACES = range(12), range(len(QUALITIES))
CHORDS = st.builds(Chord, st.sampled_from(ROOTS), st.sampled_from(PLACES), st.sampled_from(ROOTS))


def plan(text: str, lines: list[int], beat: int = GRID) -> list[tuple[int, str]]:
    """(tick, name) of each chord of a progression on bars."""
    spans = laid_out(parse_progression(text), np.array(lines), beat)
    return [(span.start, span.chord.name if span.chord else "N.C.") for span in spans]


FOUR = [0, 96, 192, 288, 384]  # bar lines of 4/4
THREE = [0, 72, 144, 216]  # of 3/4, and of 6/8


@pytest.mark.parametrize(
    ("text", "lines", "beat", "expected"),
    [
        ("Am F C G", FOUR, 24, [(0, "Am"), (96, "F"), (192, "C"), (288, "G")]),
        ("Am F", FOUR, 24, [(0, "Am"), (96, "F"), (192, "Am"), (288, "F")]),
        ("Am F | C", FOUR[:3], 24, [(0, "Am"), (48, "F"), (96, "C")]),
        ("| C D E |", FOUR[:2], 24, [(0, "C"), (32, "D"), (64, "E")]),
        ("Am:3 F:1 G", FOUR[:3], 24, [(0, "Am"), (72, "F"), (96, "G")]),
        ("Am:3 F:1 | G", THREE, 24, [(0, "Am"), (72, "F"), (144, "G")]),  # a beat into the next bar, and holds on
        ("Am:1 F:1", FOUR[:3], 24, [(0, "Am"), (24, "F"), (96, "Am"), (120, "F")]),
        ("C:8 G:4", FOUR, 24, [(0, "C"), (192, "G"), (288, "C")]),
        ("Am:3 F:3", THREE[:3], 12, [(0, "Am"), (36, "F"), (72, "Am"), (108, "F")]),  # 6/8
        ("Am F", THREE[:3], 12, [(0, "Am"), (72, "F")]),
        ("| Am F |", THREE[:2], 24, [(0, "Am"), (36, "F")]),
        ("| Am:1 F G:1 |", FOUR[:2], 24, [(0, "Am"), (24, "F"), (72, "G")]),
        ("| Am:4 F |", FOUR[:3], 24, [(0, "Am"), (96, "F")]),  # nothing is left in the bar, so F has the next
        ("Am:3/2 F:2.5", FOUR[:2], 24, [(0, "Am"), (36, "F")]),
        ("C % G", FOUR[:4], 24, [(0, "C"), (96, "C"), (192, "G")]),
        ("| C F | % |", FOUR[:3], 24, [(0, "C"), (48, "F"), (96, "C"), (144, "F")]),
        ("| C % F % |", FOUR[:2], 24, [(0, "C"), (24, "C"), (48, "F"), (72, "F")]),
        ("C nc G N.C.", FOUR, 24, [(0, "C"), (96, "N.C."), (192, "G"), (288, "N.C.")]),
        ("Am, F; C", FOUR[:4], 24, [(0, "Am"), (96, "F"), (192, "C")]),
        ("Am - F – C", FOUR[:4], 24, [(0, "Am"), (96, "F"), (192, "C")]),
        ("Am F", [0, 24, 120], 24, [(0, "Am"), (24, "F")]),  # a pickup is a bar
    ],
)
def test_a_progression_fills_bars(text: str, lines: list[int], beat: int, expected: list[tuple[int, str]]):
    assert plan(text, lines, beat) == expected


def test_beats_may_differ_from_bar_to_bar():
    spans = laid_out(parse_progression("C:2 G:2"), np.array([0, 96, 144]), np.array([24, 12]))
    assert [span.start for span in spans] == [0, 48, 96, 120]


STEPS = st.tuples(st.none() | CHORDS, st.none() | st.fractions(Fraction(1, 16), 12, max_denominator=16))
PROGRESSIONS = st.builds(
    lambda groups: Progression(tuple(map(tuple, groups))),
    st.lists(st.lists(STEPS, min_size=1, max_size=4), min_size=1, max_size=4),
)


@given(PROGRESSIONS)
def test_a_progression_survives_its_text(progression: Progression):
    assert parse_progression(str(progression)) == progression


@given(PROGRESSIONS, st.lists(st.sampled_from((24, 48, 72, 96)), min_size=1, max_size=9))
def test_all_bars_have_a_chord(progression: Progression, lengths: list[int]):
    lines = np.cumsum([0, *lengths])
    starts = [span.start for span in laid_out(progression, lines, 24)]
    assert starts[0] == 0
    assert starts == sorted(set(starts))
    assert starts[-1] < lines[-1]


@given(PROGRESSIONS)
def test_held_chords_sound_all_the_time_and_are_struck_where_they_or_bars_begin(progression: Progression):
    spans, lines = laid_out(progression, np.array(FOUR), 24), np.array(FOUR)
    notes = held(spans, lines)
    struck = np.union1d([span.start for span in spans], lines[:-1])
    asked = [[span.chord for span in spans if span.start <= tick][-1] for tick in struck.tolist()]
    for tick, stop, chord in zip(struck, [*struck[1:], lines[-1]], asked, strict=True):
        here = notes.take(np.flatnonzero(notes.onset == tick))
        assert (here.onset + here.duration == stop).all()
        assert set((here.pitch % 12).tolist()) == (chord.classes if chord else set())
        assert not chord or (here.pitch.min() % 12 == chord.bass and np.ptp(here.pitch) < 12)
    assert np.isin(notes.onset, struck).all()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "no chord in it"),
        (" | | ", "no chord in it"),
        ("% Am", "'%'"),
        ("Am H7", "'H7'"),
        ("Am:0", "'0'"),
        ("Am:x F", "'x'"),
        ("Am:", "''"),
        ("Am:1e9", "'1e9'"),
        ("Am:1/0", "'1/0'"),
        (":4", "''"),
        ("|: Am F :|", "''"),
    ],
)
def test_a_progression_that_cannot_be_read_is_refused(text: str, named: str):
    with pytest.raises(UsageError) as caught:
        parse_progression(text)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


# ---- markers --------------------------------------------------------------------------------------------------------


def marked(*texts: str) -> list[Span]:
    score = Score(480)
    score.markers = [TextMeta(1920 * bar, text) for bar, text in enumerate(texts)]
    return markers_as_chords(score)


def test_markers_that_are_chords_are_read():
    am, g = parse_chord("Am"), parse_chord("G/B")
    assert marked("Am", " G/B ", "N.C.") == [Span(0, am), Span(1920, g), Span(3840, None)]
    assert marked("Am", "Chorus", "G/B") == [Span(0, am), Span(3840, g)]


@pytest.mark.parametrize(
    "texts",
    [
        (),
        ("A", "B", "C"),
        ("A", "A", "B", "A"),
        ("A1", "A2", "B1", "B2"),
        ("Intro", "A", "B", "Coda"),
        ("Verse", "Chorus", "Am"),
    ],
)
def test_rehearsal_marks_are_no_chords(texts: tuple[str, ...]):
    assert marked(*texts) == []

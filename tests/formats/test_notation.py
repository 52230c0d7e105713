"""Spelling, note values and played music: what an engraver decides before a page is written."""

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.short_scores import line, score_of, track
from support.strategies import content

from melody.corpus.chorale import read_chorale
from melody.formats.notation.accidentals import Accidentals
from melody.formats.notation.notate import notated
from melody.formats.notation.rhythm import meter_of, triplets, values
from melody.formats.notation.spelling import Spelled, Tonality, candidates, spell, spelled
from melody.music.quantize import quantize
from melody.music.score import Score, notes_of

chorale = cache(read_chorale)
CHORALES = ("bach/bwv108.6.mxl", "bach/bwv276.mxl", "bach/bwv227.3.mxl", "bach/bwv248.33-3.mxl")


# ---- spelling --------------------------------------------------------------------------------------------------------


def names(score: Score, number: int = 0) -> str:
    signs = {-2: "bb", -1: "b", 0: "", 1: "#", 2: "x"}
    written = [
        spelled(pitch, place)
        for pitch, place in zip(
            notes_of(score.tracks[number]).pitch.tolist(), spell(score)[number].tolist(), strict=True
        )
    ]
    return " ".join(note.step + signs[note.alter] for note in written)


@pytest.mark.parametrize(
    ("key", "pitches", "expected"),
    [
        ((1, 1), (64, 63, 64, 71, 72, 73, 75, 76), "E D# E B C C# D# E"),  # E minor
        ((-2, 1), (67, 66, 67, 75, 74, 68, 67), "G F# G Eb D Ab G"),  # G minor, its Neapolitan
        ((5, 1), (68, 67, 68), "G# Fx G#"),  # G# minor
        ((0, 0), (60, 61, 62, 63, 64, 65, 66, 67, 68, 69), "C C# D D# E F F# G G# A"),
        ((0, 0), (72, 71, 70, 69, 68, 67, 66, 65, 64, 63, 62, 61, 60), "C B Bb A Ab G F# F E Eb D Db C"),
        ((-4, 0), (68, 67, 64, 65), "Ab G E F"),  # Ab major, a secondary leading note
        ((6, 0), (66, 65, 66), "F# E# F#"),
        ((-6, 0), (66, 65, 71), "Gb F Cb"),
    ],
)
def test_lines_are_spelled_by_key_and_direction(key: tuple[int, int], pitches: tuple[int, ...], expected: str) -> None:
    assert names(score_of(line(*pitches), key=key)) == expected


@pytest.mark.parametrize(
    ("chord", "expected"),
    [
        ((57, 61, 64, 67), "A C# E G"),  # V7 of ii in C major
        ((64, 68, 71, 74), "E G# B D"),
        ((56, 60, 63), "Ab C Eb"),
        ((60, 64, 67, 70), "C E G Bb"),
        ((61, 65, 68), "Db F Ab"),
    ],
)
def test_chords_are_spelled_in_thirds(chord: tuple[int, ...], expected: str) -> None:
    assert names(score_of(track(*((0, 48, pitch) for pitch in chord)), key=(0, 0))) == expected


@given(st.integers(0, 127), st.integers(-7, 7), st.sampled_from(("major", "minor")))
def test_every_spelling_is_the_pitch(pitch: int, sharps: int, mode: str) -> None:
    for place in candidates(pitch, Tonality(0, sharps, mode)):
        note = spelled(pitch, place)
        assert (
            12 * (note.octave + 1) + {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}[note.step] + note.alter
            == pitch
        )
        assert abs(note.alter) <= 2


def test_without_a_signature_no_double_sharps_are_read() -> None:
    score = quantize(score_of(line(62, 65, 69, 68, 66, 65, 60, 63, 67, 66, 64, 63)))
    assert not set("x") & set(names(score))


def test_accidentals_hold_for_their_bar_and_octave() -> None:
    memory = Accidentals()
    memory.set_key(1)
    sharp, natural = Spelled("F", 1, 4), Spelled("F", 0, 4)
    assert [memory.shown(note) for note in (sharp, natural, natural, sharp)] == [None, "natural", None, "sharp"]
    assert memory.shown(Spelled("F", 0, 5)) == "natural"
    memory.next_bar()
    assert [memory.shown(note) for note in (sharp, sharp)] == [None, None]
    memory.shown(natural)
    memory.next_bar()
    assert [memory.shown(note) for note in (sharp, sharp)] == ["sharp", None]  # a courtesy, once


# ---- rhythm ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("meter", "span", "expected"),
    [
        ((4, 4), (0, 96), [96]),
        ((4, 4), (12, 36), [24]),  # eighth, quarter, eighth
        ((4, 4), (24, 72), [48]),  # quarter, half, quarter
        ((4, 4), (24, 96), [72]),
        ((4, 4), (36, 60), [12, 12]),  # the middle is to be seen
        ((4, 4), (24, 60), [24, 12]),
        ((4, 4), (0, 60), [48, 12]),
        ((4, 4), (6, 24), [18]),
        ((4, 4), (0, 15), [12, 3]),
        ((3, 4), (0, 72), [72]),
        ((3, 4), (24, 72), [48]),
        ((3, 4), (12, 60), [12, 36]),
        ((6, 8), (0, 36), [36]),
        ((6, 8), (24, 48), [12, 12]),
        ((6, 8), (0, 72), [72]),
        ((6, 8), (0, 48), [36, 12]),
        ((9, 8), (0, 108), [72, 36]),
        ((12, 8), (0, 144), [144]),
        ((7, 8), (12, 36), [12, 12]),  # 2 + 2 + 3
        ((5, 4), (24, 72), [24, 24]),  # 2 + 3
        ((3, 16), (0, 18), [18]),
        ((3, 1), (0, 288), [288]),
    ],
)
def test_notes_are_cut_where_beats_must_be_seen(
    meter: tuple[int, int], span: tuple[int, int], expected: list[int]
) -> None:
    assert [value.stop - value.start for value in values(*span, meter_of(*meter), [], is_rest=False)] == expected


@pytest.mark.parametrize(
    ("meter", "span", "expected"),
    [
        ((4, 4), (0, 48), [48]),
        ((4, 4), (24, 72), [24, 24]),
        ((4, 4), (12, 36), [12, 12]),
        ((3, 4), (0, 48), [24, 24]),
        ((6, 8), (0, 36), [36]),
        ((6, 8), (0, 24), [24]),
        ((6, 8), (12, 36), [12, 12]),
    ],
)
def test_rests_never_syncopate(meter: tuple[int, int], span: tuple[int, int], expected: list[int]) -> None:
    assert [value.stop - value.start for value in values(*span, meter_of(*meter), [], is_rest=True)] == expected


@pytest.mark.parametrize(
    ("cuts", "expected"),
    [
        ((0, 8, 16, 24), [(0, 24)]),
        ((0, 16, 32, 48), [(0, 48)]),  # quarters
        ((0, 4, 8, 12, 24), [(0, 12)]),  # and a plain eighth
        ((24, 28, 32, 36, 40, 44, 48), [(24, 48)]),  # a sextuplet
        ((0, 6, 12, 18, 24), []),
        ((48, 49), [(48, 51)]),
        ((0, 4, 20, 24), [(0, 24)]),
    ],
)
def test_triplets_are_where_cuts_lie_on_thirds(cuts: tuple[int, ...], expected: list[tuple[int, int]]) -> None:
    assert triplets(cuts, meter_of(4, 4)) == expected


# ---- played music ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CHORALES)
def test_what_is_clean_is_not_tidied(name: str) -> None:
    score = quantize(chorale(name))
    assert content(notated(score)) == content(score)


def test_a_performance_is_notated_as_it_was_meant() -> None:
    played = track((1, 20, 60), (23, 26, 62), (49, 7, 64), (56, 7, 65), (65, 6, 67), (71, 20, 69))
    assert [(n.time, n.duration, n.pitch) for n in notated(quantize(score_of(played))).tracks[0].notes] == [
        (0, 24, 60), (24, 24, 62), (48, 8, 64), (56, 8, 65), (64, 8, 67), (72, 24, 69),
    ]  # fmt: skip

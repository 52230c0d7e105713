"""The key of a score beside transposition: that of the sounding notes, one for all parts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.musicxml_files import attributes, document, key, keys, note, read, rows

from melody.formats.musicxml import from_music21, parse_musicxml
from melody.music.score import shift_signature

B_FLAT = (-2, -1)  # semitones, steps
A, E_FLAT, F = (-3, -2), (-9, -5), (-7, -4)


def part(fifths: int, shift: tuple[int, int] | None = None, mode: str = "", *later: str) -> list[str]:
    semitones, steps = shift or (0, 0)
    transpose = f"<transpose><diatonic>{steps}</diatonic><chromatic>{semitones}</chromatic></transpose>"
    return [attributes(key(fifths, mode) + (transpose if shift else "")) + note("D"), *later]


@pytest.mark.parametrize(
    ("written", "shift", "sounding"),
    [(2, B_FLAT, 0), (-3, A, 0), (1, B_FLAT, -1), (2, E_FLAT, -1), (0, F, -1), (6, A, 9 - 12), (-5, B_FLAT, -7)],
)
def test_the_key_of_a_transposing_part_is_that_of_what_sounds(written: int, shift: tuple[int, int], sounding: int):
    assert keys(read(*part(written, shift)).score) == [(0, sounding)]


@given(st.integers(-7, 7), st.integers(-24, 24), st.integers(-14, 14))
def test_a_signature_moves_by_the_circle_of_fifths(sharps: int, semitones: int, steps: int):
    moved = shift_signature(sharps, semitones, steps)
    assert -7 <= moved <= 7
    assert (7 * moved - 7 * sharps - semitones) % 12 == 0  # the tonic moves by that many semitones
    assert shift_signature(sharps, 12) == shift_signature(sharps, 0) == sharps


def test_a_key_change_moves_as_far_and_one_of_all_parts_stands_once():
    clarinet = part(2, B_FLAT, "major", attributes(key(5, "major")) + note("E"))
    flute = part(0, None, "major", attributes(key(3, "major")) + note("E"))
    score = parse_musicxml(document(clarinet, flute)).score
    assert keys(score) == [(0, 0), (4, 3)]
    assert [rows(score, track)[0] for track in (0, 1)] == [(0, 4, 60), (0, 4, 62)]


def test_a_change_of_instrument_alone_changes_no_key():
    in_a = "<key><fifths>-3</fifths></key><transpose><diatonic>-2</diatonic><chromatic>-3</chromatic></transpose>"
    assert keys(read(*part(2, B_FLAT), attributes(in_a) + note("E", alter=-1)).score) == [(0, 0)]


def test_parts_with_a_signature_decide_over_horns_and_timpani_without():
    strings = [part(-3) for _ in range(2)]
    assert keys(parse_musicxml(document(part(0, F), part(0, F), part(0, F), part(0), *strings)).score) == [(0, -3)]
    assert keys(parse_musicxml(document(part(0, F), part(0))).score) == [(0, 0)]  # C major: no part has one
    assert keys(read(*part(0, F)).score) == [(0, -1)]  # a horn alone


def test_spellings_of_one_key_are_counted_together():
    clarinets = [part(-4, B_FLAT) for _ in range(2)]  # G flat
    strings = [part(6) for _ in range(3)]  # F sharp
    others = [part(0, None), *[part(1) for _ in range(4)]]
    assert keys(parse_musicxml(document(*clarinets, *strings, *others)).score) == [(0, 6)]


def test_an_octave_or_a_concert_score_moves_no_key():
    octave = "<transpose><diatonic>0</diatonic><chromatic>0</chromatic><octave-change>-1</octave-change></transpose>"
    score = read(attributes(key(-3) + octave) + note()).score
    assert (keys(score), rows(score)) == ([(0, -3)], [(0, 4, 48)])
    shown = "<for-part><part-transpose><chromatic>-2</chromatic></part-transpose></for-part>"
    score = read(attributes(key(-3) + shown) + note()).score
    assert (keys(score), rows(score)) == ([(0, -3)], [(0, 4, 60)])


def test_music21_gives_the_same_keys():
    music21 = pytest.importorskip("music21")
    horn = part(0, F)
    strings = [part(-3) for _ in range(2)]
    for data in (
        document(horn, *strings),
        document(part(2, B_FLAT), part(0)),
        document(part(1, B_FLAT), part(2, E_FLAT)),
    ):
        stream = music21.converter.parseData(data.decode(), format="musicxml")
        assert keys(from_music21(stream, "any")) == keys(parse_musicxml(data).score)

"""Tunes in ABC read as written: notes, lengths, accidentals, and what a file of them holds."""

from fractions import Fraction
from pathlib import Path

import pytest
from support.abc_notes import notes, read_one, tune
from symusic.core import ScoreTick as Score

from melody.errors import LimitExceeded, UnreadableFile
from melody.formats.abc import parse_abc, read_abc, read_tunes, split_tunes
from melody.music.score import bars

JIG = 'X:7\nT:The Test Jig\nM:6/8\nL:1/8\nQ:3/8=100\nK:D\nD|"D"FAd {g}f~ed|AFD D2D:|\n'
MINOR = "X:2\nT:Größe\nM:3/4\nL:1/4\nK:Em\nE G [Be]|(3ABc d/e/ z|\n"


def only(text: str) -> Score:
    """The score of a single tune."""
    (score,) = read_abc(text)
    return score


# ---- notes (4.1 to 4.5, 4.13, 4.17) ----------------------------------------------------------------------------------


def test_a_tune_reads_as_written() -> None:
    score = only(MINOR)
    assert notes(score) == ["64@0/1", "67@1/1", "71@2/1", "76@2/1", "69@3/2:3", "71@11:3/2:3", "72@13:3/2:3",
                            "74@5/1:2", "76@11:2/1:2"]  # fmt: skip
    assert score.tracks[0].name == "Größe"
    assert [(k.key, k.tonality) for k in score.key_signatures] == [(1, 1)]
    assert [(m.time, m.numerator, m.denominator) for m in score.time_signatures] == [(0, 3, 4)]
    assert len({n.velocity for n in score.tracks[0].notes}) == 1


@pytest.mark.parametrize(
    ("music", "expected"),
    [
        ("C D, c' C,, c''", "60@0/1 50@1/1 84@2/1 36@3/1 96@4/1"),
        ("C,' c,'", "60@0/1 72@1/1"),
        ("C2 C/ C// C/4 C3/2 C3/ C/", "60@0/2 60@2/1:2 60@5:2/1:4 60@11:4/1:4 60@3/3:2 60@9:2/3:2 60@6/1:2"),
        ("C0 D", "62@0/1"),
        ("C>D E<F G>>A B<<<c", "60@0/3:2 62@3:2/1:2 64@2/1:2 65@5:2/3:2 67@4/7:4 69@23:4/1:4 71@6/1:8 72@49:8/15:8"),
        ("C > D | E>{g}F", "60@0/3:2 62@3:2/1:2 64@2/3:2 65@7:2/1:2"),
        ("C2>D", "60@0/2 62@2/1"),
        ("z C x2 D y3 E", "60@1/1 62@4/1 64@5/1"),
        ("Z2 C|X1|D", "60@8/1 62@13/1"),
        ("(3CDE F", "60@0/2:3 62@2:3/2:3 64@4:3/2:3 65@2/1"),
        ("(2CD (4CDEF", "60@0/3:2 62@3:2/3:2 60@3/3:4 62@15:4/3:4 64@9:2/3:4 65@21:4/3:4"),
        ("(5:4CDEFG (3:2:2C2D", "60@0/4:5 62@4:5/4:5 64@8:5/4:5 65@12:5/4:5 67@16:5/4:5 60@4/4:3 62@16:3/2:3"),
        ("(3C[DF]z (3::2C2D", "60@0/2:3 62@2:3/2:3 65@2:3/2:3 60@2/4:3 62@10:3/2:3"),
        ("(0CD (1CD", "60@0/1 62@1/1 60@2/1 62@3/1"),
        ("[CEG]2 D", "60@0/2 64@0/2 67@0/2 62@2/1"),
        ("[C2E2]2", "60@0/4 64@0/4"),
        ("[C2E2]/2 D", "60@0/1 64@0/1 62@1/1"),
        ("[C2E4G]D", "60@0/2 64@0/4 67@0/1 62@2/1"),
        ("+CEG+D", "60@0/1 64@0/1 67@0/1 62@1/1"),
        ("{gab}C {/d}D [C{e}E]", "60@0/1 62@1/1 60@2/1 64@2/1"),
        ("(CD)(E(FG)) .(C D) (,E) ('F)", "60@0/1 62@1/1 64@2/1 65@3/1 67@4/1 60@5/1 62@6/1 64@7/1 65@8/1"),
    ],
)
def test_lengths_and_pitches(music: str, expected: str) -> None:
    assert notes(tune(music)) == expected.split()


def test_five_in_compound_time_last_as_long_as_three() -> None:
    assert notes(tune("(5CDEFG", meter="6/8"))[-1] == "67@12:5/3:5"
    assert notes(tune("(5CDEFG", meter="3/4"))[-1] == "67@8:5/2:5"


@pytest.mark.parametrize(
    ("music", "pitches", "fields"),
    [
        ("^F F f | F _B__B =B ^^C", [66, 66, 78, 65, 70, 69, 71, 62], ""),
        ("^F F f F,", [66, 66, 77, 53], "I:propagate-accidentals octave\n"),
        ("^F F F f", [66, 65, 65, 77], "%%propagate-accidentals not\n"),
        ("^c-|c c|c", [73, 72, 72], ""),  # a tie alone carries an accidental over the bar line
        ("F [K:D] F =F [K:F] B", [65, 66, 65, 70], ""),
    ],
)
def test_accidentals(music: str, pitches: list[int], fields: str) -> None:
    assert [note.pitch for note in tune(music, fields=fields).tracks[0].notes] == pitches


@pytest.mark.parametrize(
    "mark",
    [".", "H", "L", "M", "O", "P", "S", "T", "u", "v", "~", "J", "!fermata!", "!staccato!", "!trill!", "!roll!",
     "!breath!", "!slide!", "!wedge!", "!tenuto!", "+trill+", "+roll+",
     "!D.C.!", "!>!", "!1!", "!8va(!", "!crescendo(!", '"^x"'],
)  # fmt: skip
def test_what_stands_over_a_note_changes_no_length(mark: str) -> None:
    plain = ["60@0/1", "62@1/1", "64@2/1", "60@2/1", "65@3/1"]
    assert sorted(notes(tune(f"{mark}C D {mark}[CE] {mark}F"))) == sorted(plain)


def test_hornpipes_stand_as_written_and_ornaments_leave_no_notes() -> None:
    assert notes(tune("CDEF", unit="1/8", fields="R:hornpipe\n"))[:2] == ["60@0/1:2", "62@1:2/1:2"]
    score = only(JIG)
    once = [62, 66, 69, 74, 78, 76, 74, 69, 66, 62, 62, 62]
    assert [note.pitch for note in score.tracks[0].notes] == once + once
    assert [round(tempo.qpm, 2) for tempo in score.tempos] == [150]
    assert [marker.text for marker in score.markers] == ["D", "D"]


def test_what_is_left_out_is_counted_and_said() -> None:
    (remark,) = read_one("{gab}C (.D !trill!E) HF|").remarks
    assert remark == "left out: 3 grace notes, 3 marks over notes, 1 slurs"
    assert not read_one("CDEF|").remarks


def test_dynamics_are_velocities() -> None:
    assert [n.velocity for n in tune("!p!C D !ff!E").tracks[0].notes] == [60, 60, 120]


# ---- bars ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("music", "quarters"),
    [
        ("D|", Fraction(4)),
        ("D|CDEF|", Fraction(1)),
        ("|:A2 B|c4|", Fraction(3)),
        ("A/B/ c//|CDEF|", Fraction(5, 4)),
        ("z A>B|CDEF|", Fraction(3)),
        ("(3ABc d|CDEF|", Fraction(3)),
        ("[CEG]2 [^c'_e]/|CDEF|", Fraction(5, 2)),
        ('"Am"A{gf}!trill!B [K:G] c|CDEF|', Fraction(3)),
        ("% all\nA3/2B|CDEF|", Fraction(5, 2)),
    ],
)
def test_a_short_first_bar_is_a_pickup(music: str, quarters: Fraction) -> None:
    assert Fraction(int(bars(tune(music))[1]), 480) == quarters


def test_an_odd_bar_has_a_meter_of_its_own_and_is_said() -> None:
    reading = read_one("CDEF|CDE|CDEF|CDEF|")
    assert [(m.time // 480, m.numerator) for m in reading.score.time_signatures] == [(0, 4), (4, 3), (7, 4)]
    assert reading.wrong_bars == 1
    assert "bar 2: 3/4" in reading.repairs[0]
    assert "bar 2: 5 quarters" in read_one("CDEF|CDEFG|C4|").repairs[0]


def test_the_unit_length_follows_the_meter_where_none_is_given() -> None:
    for meter, first in (("2/4", "69@0/1:4"), ("6/8", "69@0/1:2"), ("none", "69@0/1:2"), ("C|", "69@0/1:2")):
        assert notes(only(f"X:1\nM:{meter}\nK:C\nA A|"))[0] == first


# ---- files -----------------------------------------------------------------------------------------------------------


def test_a_file_holds_many_tunes(tmp_path: Path) -> None:
    path = tmp_path / "book.abc"
    path.write_text(f"% a book\n\n{JIG}\n\n{MINOR}", encoding="utf-8")
    assert [reading.title for reading in read_tunes(path)] == ["The Test Jig", "Größe"]
    assert [len(score.tracks) for score in read_abc(path)] == [1, 1]
    for encoding in ("latin-1", "utf-8-sig", "utf-16"):
        path.write_bytes(MINOR.replace("\n", "\r\n").encode(encoding))
        assert read_tunes(path)[0].title == "Größe"


@pytest.mark.parametrize(
    ("written", "title"),
    [("Gr\\\"o\\sse", "Größe"), ("caf\\'e", "café"), ("se&ntilde;or", "señor"), ("\\u0160", "Š"),
     ("100\\% x", "100% x"), ("O'Neill % his", "O'Neill"), ("\\cc \\AA \\/o", "ç Å ø"), ("\\vs \\zz", "š \\zz")],
)  # fmt: skip
def test_escapes_in_texts(written: str, title: str) -> None:
    assert parse_abc(f"X:1\nT:{written}\nK:C\nC|\n")[0].title == title


def test_fields_of_the_file_hold_for_every_tune() -> None:
    first, second = parse_abc("M:3/4\nL:1/16\nQ:1/4=90\n\nX:1\nK:C\nC4|\n\nX:2\nL:1/4\nK:C\nC|\n")
    assert notes(first.score) == notes(second.score) == ["60@0/1"]
    assert [round(tempo.qpm, 2) for reading in (first, second) for tempo in reading.score.tempos] == [90, 90]
    assert [m.numerator for m in second.score.time_signatures] == [3]


def test_an_empty_line_ends_a_tune() -> None:
    reading = read_one("CDEF|\n\nGABc|\n")
    assert len(notes(reading.score)) == 4
    assert "empty line" in reading.remarks[0]
    assert not read_one("CDEF|\n\nA text about the tune\n").remarks


def test_splitting_keeps_every_tune() -> None:
    assert split_tunes("junk\nX:1\na\n\nX:2\r\nb") == ["X:1\na\n", "X:2\nb\n"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("hello", "no ABC tune"),
        ("X:1\nT:no key\nABC|\n", "tune 1: .*K:"),
        ("X:3\nT:no notes\nK:C\n", "tune 3: a tune without notes"),
    ],
)
def test_what_is_no_tune_is_refused(text: str, reason: str) -> None:
    with pytest.raises(UnreadableFile, match=reason):
        parse_abc(text, "book.abc")


def test_giant_tunes_are_refused() -> None:
    with pytest.raises(LimitExceeded, match="100,0"):
        parse_abc("X:1\nK:C\n" + "A" * 100_000)


@pytest.mark.parametrize(
    ("written", "title"),
    [
        ("Te\tt", "Te t"),
        (r"red \u001b[31m", "red \ufffd[31m"),
        ("red &#27;[31m", "red [31m"),
        (r"\u202eair", "\ufffdair"),
    ],
)
def test_no_escape_spells_what_acts_on_a_terminal(written: str, title: str):
    (reading,) = parse_abc(f"X:1\nT:{written}\nK:C\nC4|\n")
    assert reading.title == title
    assert reading.score.tracks[0].name.isprintable()

"""Any music file reads by what is in it; what is no music is named for what it seems to be. ABC reads as written."""

import gzip
from fractions import Fraction
from pathlib import Path

import pytest
from support.midi_files import TRACK, file
from symusic.core import ScoreTick as Score

from melody.errors import LimitExceeded, UnreadableFile
from melody.formats.abc import first_bar_quarters, parse_abc, read_abc, read_tunes, split_tunes
from melody.formats.reading import read, read_file

JIG = 'X:7\nT:The Test Jig\nM:6/8\nL:1/8\nQ:3/8=100\nK:D\nD|"D"FAd {g}f~ed|AFD D2D:|\n'
MINOR = "X:2\nT:Größe\nM:3/4\nL:1/4\nK:Em\nE G [Be]|(3ABc d/e/ z|\n"


def tune(text: str) -> Score:
    """The score of a single tune."""
    (score,) = read_abc(text)
    return score


def notes(score: Score) -> list[tuple[int, int, int]]:
    """Onset, duration and pitch of the first track's notes."""
    return [(n.time, n.duration, n.pitch) for n in score.tracks[0].notes]


# ---- ABC -------------------------------------------------------------------------------------------------------------


def test_a_tune_reads_as_written() -> None:
    score = tune(MINOR)
    assert notes(score) == [
        (0, 480, 64), (480, 480, 67), (960, 480, 71), (960, 480, 76),
        (1440, 320, 69), (1760, 320, 71), (2080, 320, 72), (2400, 240, 74), (2640, 240, 76),
    ]  # fmt: skip
    assert score.tracks[0].name == "Größe"
    assert [(k.key, k.tonality) for k in score.key_signatures] == [(1, 1)]
    assert [(m.time, m.numerator, m.denominator) for m in score.time_signatures] == [(0, 3, 4)]
    assert len({n.velocity for n in score.tracks[0].notes}) == 1


def test_graces_rolls_and_chord_symbols_leave_no_notes_and_repeats_are_played_out() -> None:
    score = tune(JIG)
    assert len(score.tracks) == 1
    once = [62, 66, 69, 74, 78, 76, 74, 69, 66, 62, 62, 62]
    assert [pitch for _, _, pitch in notes(score)] == once + once
    assert [tempo.qpm for tempo in score.tempos] == [150]


def test_a_pickup_is_a_bar_of_its_own() -> None:
    assert [(m.time, m.numerator, m.denominator) for m in tune(JIG).time_signatures] == [(0, 1, 8), (240, 6, 8)]


@pytest.mark.parametrize(
    ("music", "quarters"),
    [
        ("D|", 1),
        ("|:A2 B|c4|", 3),
        ("A/B/ c//|", Fraction(5, 4)),
        ("z A>B|", 3),
        ("(3ABc d|", 3),
        ("[CEG]2 [^c'_e]/|", Fraction(5, 2)),
        ('"Am"A{gf}!trill!B [K:G] c|', 3),
        ("% all\nw:la la\nA3/2B|", Fraction(5, 2)),
        ("", 0),
    ],
)
def test_the_length_of_the_first_bar(music: str, quarters: Fraction) -> None:
    assert first_bar_quarters(f"X:1\nM:4/4\nL:1/4\nK:C\n{music}\n", 4, 4) == quarters


def test_the_unit_length_follows_the_meter_where_none_is_given() -> None:
    assert first_bar_quarters("X:1\nM:2/4\nK:C\nA|", 2, 4) == Fraction(1, 4)
    assert first_bar_quarters("X:1\nM:6/8\nK:C\nA|", 6, 8) == Fraction(1, 2)


def test_voices_become_tracks() -> None:
    score = tune("X:1\nM:4/4\nL:1/4\nK:C\nV:1\nCDEF|\nV:2\nC,4|\n")
    assert [len(track.notes) for track in score.tracks] == [4, 1]
    assert len({n.velocity for track in score.tracks for n in track.notes}) == 1


def test_a_file_holds_many_tunes(tmp_path: Path) -> None:
    path = tmp_path / "book.abc"
    path.write_text(f"% a book\n\n{JIG}\n\n{MINOR}", encoding="utf-8")
    assert [reading.title for reading in read_tunes(path)] == ["The Test Jig", "Größe"]
    assert [len(score.tracks) for score in read_abc(path)] == [1, 1]
    path.write_bytes(MINOR.encode("latin-1").replace(b"\n", b"\r\n"))
    assert read_tunes(path)[0].title == "Größe"


def test_what_abc2midi_mends_is_stated() -> None:
    (reading,) = parse_abc("X:1\nT:Long bar\nM:4/4\nL:1/4\nK:C\nCDEF|CDEFG|C4|\n")
    assert "Bar 1 has 5" in reading.repairs[0]


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


def test_a_tune_cannot_read_other_files(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("AAAA|\n")
    (reading,) = parse_abc(f"X:1\nM:4/4\nL:1/4\nK:C\n%%abc-include {secret}\nCDEF|\n")
    assert len(reading.score.tracks[0].notes) == 4
    assert capfd.readouterr() == ("", "")


def test_splitting_keeps_every_tune() -> None:
    assert split_tunes("junk\nX:1\na\n\nX:2\r\nb") == ["X:1\na\n", "X:2\nb\n"]


# ---- any file --------------------------------------------------------------------------------------------------------


def test_content_decides_not_the_name(tmp_path: Path) -> None:
    (tmp_path / "a.abc").write_bytes(file(TRACK))
    assert len(read(tmp_path / "a.abc").tracks[0].notes) == 1
    (tmp_path / "b.txt").write_text(JIG)
    assert read_file(tmp_path / "b.txt").title == "The Test Jig"
    (tmp_path / "c.mid").write_bytes(b"junk" + file(TRACK))
    assert read_file(tmp_path / "c.mid").repairs


def test_of_several_tunes_the_first_is_read_and_the_others_are_mentioned(tmp_path: Path) -> None:
    (tmp_path / "book.abc").write_text(JIG + "\n" + MINOR)
    reading = read_file(tmp_path / "book.abc")
    assert reading.title == "The Test Jig"
    assert reading.remarks == ("the file holds 2 tunes; read the first, 'The Test Jig'",)


def test_musicxml_goes_to_its_reader(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(
        '<?xml version="1.0"?><score-partwise version="3.1"><part-list><score-part id="P1"><part-name>Flute</part-name>'
        '</score-part></part-list><part id="P1"><measure number="1"><attributes><divisions>1</divisions><time><beats>4'
        "</beats><beat-type>4</beat-type></time></attributes><note><pitch><step>C</step><octave>4</octave></pitch>"
        "<duration>4</duration><type>whole</type></note></measure></part></score-partwise>"
    )
    assert [note.pitch for note in read(tmp_path / "a.xml").tracks[0].notes] == [60]


@pytest.mark.parametrize(
    ("data", "guess"),
    [
        (b"", "is empty"),
        (b"Dear diary, today I composed.\n", "plain text"),
        ("Grüße".encode() * 2000, "plain text"),
        (b"\x89PNG\r\n\x1a\n\x00", "PNG picture"),
        (gzip.compress(file(TRACK), mtime=0), "compressed by gzip; unpack it first"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "WAV recording"),
        (b"<!doctype html><html>", "web page"),
        (b"\0" * 500, "nothing but zeros"),
        (b"\x00\xff\xfe\x80" * 50, "no music file"),
        (b"PK\x03\x04zipped", "zip archive"),
    ],
)
def test_what_is_no_music_is_named(tmp_path: Path, data: bytes, guess: str) -> None:
    path = tmp_path / "x.mid"
    path.write_bytes(data)
    with pytest.raises(UnreadableFile, match=guess) as caught:
        read_file(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).isprintable()


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.mid", "a\0b"):
        with pytest.raises(UnreadableFile):
            read(path)

"""Any music file reads by what is in it; what is no music is named for what it seems to be."""

import gzip
from pathlib import Path

import pytest
from support.midi_files import TRACK, file

from melody.errors import UnreadableFile
from melody.formats.reading import read, read_file

JIG = 'X:7\nT:The Test Jig\nM:6/8\nL:1/8\nQ:3/8=100\nK:D\nD|"D"FAd {g}f~ed|AFD D2D:|\n'
MINOR = "X:2\nT:Größe\nM:3/4\nL:1/4\nK:Em\nE G [Be]|(3ABc d/e/ z|\n"

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
    assert reading.remarks[-1] == "the file holds 2 tunes; read the first, 'The Test Jig'"


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
        (b"\x89PNG\r\n\x1a\n\x00", "a damaged PNG picture"),
        (gzip.compress(file(TRACK), mtime=0), "compressed by gzip; unpack it first"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "a damaged WAV recording"),
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

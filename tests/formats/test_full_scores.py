"""Full scores go to a program that reads them, where one is installed: here one that writes what it is told to."""

import os
import stat
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from support.pictures import png

from melody.errors import UnreadableFile
from melody.formats import full_scores
from melody.formats.musicxml.writer import musicxml_bytes
from melody.formats.reading import read, read_file

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the stand-in for Audiveris is a shell script")


def three_staves() -> bytes:
    image = Image.new("L", (900, 600), 250)
    draw = ImageDraw.Draw(image)
    for top in (100, 220, 340):
        for line in range(5):
            draw.line((60, top + line * 12, 840, top + line * 12), fill=20, width=2)
    draw.line((60, 100, 60, 340 + 48), fill=20, width=2)
    return png(image)


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is searched for programs, and no other."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "bin"


def write_program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.mark.parametrize("program", ["audiveris", "homr"])
def test_an_installed_program_reads_it_and_is_named(bin_folder: Path, program: str) -> None:
    tune = read(b"X:1\nL:1/4\nK:C\nCDEF|\n")
    (bin_folder / "tune.musicxml").write_bytes(musicxml_bytes(tune))
    write_program(bin_folder / program, f"/bin/cp {bin_folder}/tune.musicxml page.musicxml; test -f page.png")
    reading = read_file(three_staves(), "score.png")
    assert [note.pitch for note in reading.score.tracks[0].notes] == [60, 62, 64, 65]
    assert reading.remarks[0] == f"read from a picture by {program}; check it"


def test_a_program_that_finds_nothing_costs_one_line(bin_folder: Path) -> None:
    write_program(bin_folder / "audiveris", "exit 1")
    with pytest.raises(UnreadableFile, match=r"^score\.png: audiveris found no music"):
        read_file(three_staves(), "score.png")


def test_a_program_that_hangs_is_ended(bin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(full_scores, "LIMIT_SECONDS", 0.3)
    write_program(bin_folder / "homr", "/bin/sleep 100")
    with pytest.raises(UnreadableFile, match=r"^score\.png: homr was not done with it"):
        read_file(three_staves(), "score.png")


def test_without_one_the_page_is_refused_and_both_are_named(bin_folder: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"3 staves belong together.*install Audiveris or homr"):
        read_file(three_staves(), "score.png")

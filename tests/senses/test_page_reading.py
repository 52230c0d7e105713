"""The page reader on pages that it has not seen: engraved here in a font of their own, straight and photographed."""

from pathlib import Path

import numpy as np
import pytest
from support.pictures import png

from melody.cli import run
from melody.errors import UnreadableFile
from melody.formats.reading import read, read_file
from melody.learning.page_reader.distorted import photographed
from melody.music.score import Score, notes_of
from melody.senses.page.reader import MODEL

pytest.importorskip("verovio")
pytest.importorskip("resvg_py")

from melody.learning.page_reader.engraved import page_of

TUNE = b"""X:1
M:4/4
L:1/8
K:D
D2FA d2cB|A2F2 E4|D2FA B2AF|E2D2 D4|
d2cd e2dc|B3A B4|A2F2 G2E2|^G2D2 D4|
"""


def notes_in(score: Score) -> list[list[tuple[float, float, int]]]:
    """Onset and duration in quarters, and pitch, of each track's notes."""
    parts = map(notes_of, score.tracks)
    return [
        [(round(o / score.tpq, 2), round(d / score.tpq, 2), int(p)) for o, d, p in zip(*part[:3], strict=True)]
        for part in parts
    ]


def share_read(found: Score, meant: Score) -> float:
    """F1 of notes by track, onset and pitch."""
    one, other = ({(n, o, p) for n, part in enumerate(notes_in(score)) for o, _, p in part} for score in (found, meant))
    return 2 * len(one & other) / (len(one) + len(other))


def test_a_page_is_read_note_for_note() -> None:
    tune = read(TUNE)
    reading = read_file(png(page_of(tune, "Leland")), "page.png")
    assert notes_in(reading.score) == notes_in(tune)
    assert (reading.score.key_signatures[0].key, reading.score.time_signatures[0].numerator) == (2, 4)
    assert not any("look at" in remark for remark in reading.remarks)


@pytest.mark.parametrize("degrees", [1.5, -1.0])
def test_a_photograph_is_read_too(degrees: float) -> None:
    tune = read(TUNE)
    picture = photographed(page_of(tune, "Leland"), degrees, np.random.default_rng(0))
    assert share_read(read(png(picture)), tune) > 0.9


def test_two_staves_that_belong_together_are_two_tracks() -> None:
    both = read(b"X:1\nM:3/4\nL:1/4\nK:G\nV:1\nd2B|c2A|B2G|A3|\nV:2 clef=bass\nG,,2B,,|A,,2D,|G,,2E,,|D,3|\n")
    found = read(png(page_of(both, "Leland")))
    assert len(found.tracks) == 2
    assert share_read(found, both) == 1


def test_triplets_under_a_beam_are_read() -> None:
    tune = read(b"X:1\nM:4/4\nL:1/8\nK:G\n(3GAB (3cBA GABc|d2 (3Bcd e2 d2|(3edc B2 (3ABc d2|G4 (3GAB G2|]\n")
    assert notes_in(read(png(page_of(tune, "Leland")))) == notes_in(tune)


def test_whole_notes_are_read() -> None:
    hymn = read(b"X:1\nM:4/2\nL:1/2\nK:F\nF2 G A|B2 A2|G A B c|A2 F2|\n")
    assert notes_in(read(png(page_of(hymn, "Leland")))) == notes_in(hymn)


def test_bars_that_do_not_add_up_are_named() -> None:
    page = page_of(read(TUNE), "Leland")
    staff = np.asarray(page).copy()
    from melody.senses.page.staves import staves_of

    first = staves_of(png(page), "x")[0]
    row = round(first.top * page.height)
    ink = np.flatnonzero((staff[row - 40 : row + 40] < 128).any(axis=0))
    middle = (ink[0] + ink[-1]) // 2
    staff[row - 90 : row + 90, middle - 40 : middle + 40] = 255  # a blot of white over some notes
    assert any(remark.startswith("look at bar") for remark in read_file(png(page_of_pixels(staff)), "x").remarks)


def page_of_pixels(pixels: np.ndarray):
    from PIL import Image

    return Image.fromarray(pixels)


def test_compose_goes_on_from_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    Path("page.png").write_bytes(png(page_of(read(TUNE), "Leland")))
    assert run(["compose", "page.png", "--bars", "2", "--seed", "1", "--out", "take.mid"]) == 0
    assert "read from a picture" in capsys.readouterr().err
    whole = read_file("take.mid").score
    assert [n for n in notes_in(whole)[0] if n[0] < 32] == notes_in(read(TUNE))[0]
    Path("text.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    with pytest.raises(UnreadableFile):
        read_file("text.png")


def test_the_network_is_small() -> None:
    assert MODEL.stat().st_size < 6 * 2**20

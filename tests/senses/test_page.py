"""Pages: staves are found and straightened, symbols become bars, and what cannot be read is said."""

import io
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter
from support.pictures import png

from melody.errors import LimitExceeded, MelodyError, UnreadableFile
from melody.formats.reading import read_file
from melody.learning.page_reader.distorted import photographed
from melody.music.score import bars, meters, notes_of
from melody.senses.page import reader, staves
from melody.senses.page.bars import ReadSymbol, bars_of_staves, played
from melody.senses.page.reader import read_page
from melody.senses.page.staves import staves_of
from melody.senses.page.symbols import ABOVE, HEIGHT, SPACE


def page(rows: list[int], space: int = 12, width: int = 900, joined: bool = False) -> Image.Image:
    """A page of empty staves whose top lines lie at these rows, with bar lines."""
    image = Image.new("L", (width, rows[-1] + 12 * space), 250)
    draw = ImageDraw.Draw(image)
    for top in rows:
        for line in range(5):
            draw.line((60, top + line * space, width - 60, top + line * space), fill=20, width=2)
        for x in range(60, width - 59, (width - 120) // 4):
            draw.line((x, top, x, top + 4 * space), fill=20, width=2)
            draw.ellipse((x + 40, top + space, x + 40 + 1.2 * space, top + 2 * space), fill=20)
    if joined:
        for one, other in zip(rows[0::2], rows[1::2], strict=True):
            draw.line((60, one, 60, other + 4 * space), fill=20, width=2)
    return image


# ---- staves ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", [7, 12, 22])
@pytest.mark.parametrize("degrees", [0.0, 1.7, -2.4])
def test_staves_are_found_and_straightened(space: int, degrees: float):
    image = page([8 * space, 22 * space, 36 * space], space, 70 * space)
    found = staves_of(png(photographed(image, degrees, np.random.default_rng(0)) if degrees else image), "x")
    assert len(found) == 3
    for staff in found:
        assert staff.pixels.shape[0] == HEIGHT
        dark = 255 - staff.pixels[:, SPACE * 4 : -SPACE * 4].mean(axis=1)  # of each row, along the staff
        lines = [ABOVE * SPACE + line * SPACE for line in range(5)]
        assert all(dark[max(0, row - 2) : row + 2].max() > 1.5 * dark[row + 3 : row + 6].max() for row in lines)


def test_staves_that_a_line_joins_belong_together():
    assert [s.joined for s in staves_of(png(page([100, 220, 400, 520], joined=True)), "x")] == [
        True,
        False,
        True,
        False,
    ]
    assert not any(s.joined for s in staves_of(png(page([100, 250, 400])), "x"))


def test_of_more_than_two_staves_that_belong_together_other_programs_are_named():
    image = page([100, 220, 340])
    ImageDraw.Draw(image).line((60, 100, 60, 340 + 48), fill=20, width=2)
    with pytest.raises(UnreadableFile, match=r"3 staves belong together.*Audiveris"):
        read_page(png(image), "score.png")


def test_where_one_system_of_two_staves_is_not_seen_to_be_joined_all_are_pairs():
    def staff(joined: bool) -> staves.StaffOnPage:
        return staves.StaffOnPage(np.zeros((HEIGHT, 80), np.uint8), 0.0, joined)

    seen = [staff(True), staff(False), staff(False), staff(False)]
    assert [len(part) for part in reader._parts(seen, "x")] == [2, 2]
    with pytest.raises(UnreadableFile, match="some staves belong together and others do not"):
        reader._parts(seen[:3], "x")


def text() -> Image.Image:
    image = Image.new("L", (900, 700), 255)
    draw = ImageDraw.Draw(image)
    for y in range(40, 660, 26):
        draw.text((40, y), "Lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor " * 2, fill=0)
    return image


def photo() -> Image.Image:
    """A landscape: sky, hills, a fence of boards, out of focus and grainy; its JPEG's grain too."""
    draw = np.random.default_rng(5)
    y, x = np.mgrid[0:700, 0:1000]
    light = 230 - 0.1 * y + 12 * np.sin(x / 90)
    light = np.where(y > 300 + 40 * np.sin(x / 140), 120 + 20 * np.sin(x / 31) * np.sin(y / 23), light)
    light = np.where((y > 480) & (x % 47 < 34), 90 + 0.1 * x, light)
    light = np.where((y % 95 < 12) & (y > 500), 70, light)  # rails
    grainy = Image.fromarray(np.clip(light + 6 * draw.standard_normal(light.shape), 0, 255).astype(np.uint8))
    buffer = io.BytesIO()
    grainy.filter(ImageFilter.GaussianBlur(1)).save(buffer, "JPEG", quality=80)
    return Image.open(buffer)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (png(Image.new("L", (800, 600), 255)), "no staff was found"),
        (png(photo()), "no staff was found"),
        (png(Image.fromarray(np.random.default_rng(0).integers(0, 255, (500, 700), np.uint8))), "no staff was found"),
        (png(text()), "no staff was found"),
        (png(Image.new("L", (10, 10), 255)), "too small"),
        (png(page([100]))[:300], "a damaged PNG picture"),
        (b"\x89PNG\r\n\x1a\n\x00", "a damaged PNG picture"),
        (b"\xff\xd8\xff" + b"\x00" * 100, "a damaged JPEG picture"),
    ],
)
def test_what_is_no_page_of_music_costs_one_line(data: bytes, reason: str):
    with pytest.raises(UnreadableFile, match=reason) as caught:
        read_file(data, "x.png")
    assert str(caught.value).startswith("x.png: ")
    assert str(caught.value).isprintable()


def test_without_a_page_reader_one_line_names_the_picture(tmp_path, monkeypatch):
    monkeypatch.setattr(reader, "MODEL", tmp_path / "none.onnx")
    with pytest.raises(MelodyError, match=r"^tune\.png: a picture of a page, and this installation has no page reader"):
        read_file(png(page([100])), "tune.png")


def test_a_picture_of_too_many_pixels_is_not_decoded(monkeypatch):
    monkeypatch.setattr(staves, "MAX_PIXELS", 10_000)
    with pytest.raises(LimitExceeded, match="make it smaller"):
        staves_of(png(page([100])), "big.png")


# ---- symbols to bars -------------------------------------------------------------------------------------------------


def read(*lines: str):
    return bars_of_staves([[ReadSymbol(text) for text in line.split()] for line in lines])


def told(bar) -> list[tuple[float, float, int]]:
    return [(float(note.onset), float(note.duration), note.pitch) for note in bar.notes]


def test_pitches_follow_from_clef_key_and_accidentals_of_the_bar():
    first, second = read(
        "clef.G2 key.2 meter.4/4 note.4.8 acc.n note.4.8 note.4.8 note.4.1 bar note.4.8 acc.f note.2.4 dot bar"
    )[0]
    assert [pitch for *_, pitch in told(first)] == [78, 77, 77, 66]
    assert [pitch for *_, pitch in told(second)] == [78, 70]
    bass = read("clef.F4 meter.3/4 note.4.0 note.4.8 acc.s note.4.4 bar")[0][0]
    assert [pitch for *_, pitch in told(bass)] == [43, 57, 51]


def test_dots_ties_triplets_and_rests_have_their_lengths():
    (bar,) = read("clef.G2 meter.C rest.8 rest.4 dot triplet note.8.0 note.8.1 note.8.2 note.8.3 tie bar.final")[0]
    assert bar.length == Fraction(7, 2)
    assert told(bar) == [
        (2.0, 1 / 3, 64),
        (pytest.approx(7 / 3), pytest.approx(1 / 3), 65),
        (pytest.approx(8 / 3), pytest.approx(1 / 3), 67),
        (3.0, 0.5, 69),
    ]
    assert bar.notes[-1].tied
    assert read("meter.3/4 rest.1 bar")[0][0].length == 3  # a whole rest alone is a bar's
    assert told(read("meter.4/4 note.2.0 dot dot note.8.0 bar")[0][0]) == [(0, 3.5, 64), (3.5, 0.5, 64)]


def test_repeats_are_played_twice():
    found = read("meter.2/4 note.2.0 bar.start note.2.1 bar note.2.2 bar.both note.2.3 bar.end note.2.4 bar.final")[0]
    assert [number for number, _ in played(found)] == [1, 2, 3, 2, 3, 4, 4, 5]


def score_of(*lines: str, monkeypatch, image=None):
    """Read a page on which the network sees these lines."""
    rows = iter(lines)
    monkeypatch.setattr(reader, "symbols_of", lambda pixels, name: [ReadSymbol(text) for text in next(rows).split()])
    rows_of_page = [100 + 200 * n for n in range(len(lines))]
    return read_page(png(image or page(rows_of_page)), "x.png")


def test_bars_that_do_not_add_up_are_marked_and_keep_the_others_in_place(monkeypatch):
    found = score_of(
        "clef.G2 meter.4/4 note.1.0 bar note.4.0 note.4.1 bar note.1.2 bar",
        "clef.G2 note.1.3 note.4.4 bar",
        monkeypatch=monkeypatch,
    )
    onset = notes_of(found.score.tracks[0]).onset
    assert onset.tolist() == [0, 1920, 2400, 3840, 5760]
    assert "look at bars 2 (2 of 4 quarters), 4 (5 of 4 quarters)" in found.remarks


def test_a_pickup_has_a_meter_of_its_own_and_ties_join(monkeypatch):
    found = score_of(
        "clef.G2 key.-1 meter.3/4 note.4.0 bar note.2.4 tie note.4.4 bar note.2.3 bar.final", monkeypatch=monkeypatch
    )
    assert meters(found.score)[:2] == [(0, 1, 4), (480, 3, 4)]
    assert bars(found.score)[:3].tolist() == [0, 480, 1920]
    notes = notes_of(found.score.tracks[0])
    assert list(zip(notes.onset.tolist(), notes.duration.tolist(), notes.pitch.tolist(), strict=True)) == [
        (0, 480, 64),
        (480, 1440, 70),
        (1920, 960, 69),
    ]
    assert not any("look at" in remark for remark in found.remarks)
    assert found.score.key_signatures[0].key == -1


def test_two_joined_staves_are_two_tracks_and_missing_signs_are_said(monkeypatch):
    found = score_of(
        "note.1.0 bar note.1.1 bar",
        "clef.F4 meter.4/4 note.1.0 bar note.1.1 bar",
        monkeypatch=monkeypatch,
        image=page([100, 220], joined=True),
    )
    assert [notes_of(track).pitch.tolist() for track in found.score.tracks] == [[64, 65], [43, 45]]
    assert "staff 1: no clef was made out; took a treble clef" in found.remarks

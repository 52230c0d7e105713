"""Engraved pages with what stands on each staff, for the page reader to learn from.

    python -m melody.learning.page_reader.engraved --split train --staves 60000 --out outputs/pages/train

Tunes of the corpora (folk, chorale sopranos, lied voices; prepared first) are moved to a key and a clef, get repeats,
slurs, words and the like, and verovio engraves them in a font, at a width and with a spacing that chance draws. The SVG
says what stands where. Each staff becomes a picture with lines `SPACE` pixels apart. `--fonts Leland` engraves in a
font that training never saw.
"""

import argparse
import io
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from symusic import KeySignature, TimeSignature

from melody.corpus import open_store
from melody.errors import MelodyError
from melody.formats.musicxml.writer import musicxml_bytes
from melody.learning.page_reader.labels import LabelledStaff, labelled_staves
from melody.learning.page_reader.varied import varied
from melody.music.score import Notes, Score, bars, clip, meters, notes_of, set_notes, transpose
from melody.senses.page.symbols import ABOVE, BELOW, HEIGHT, SPACE
from melody.tokens import EventTokenizer

CORPORA = ("folk", "chorale", "lied", "lied")
FONTS = ("Leipzig", "Bravura", "Gootville", "Petaluma")
BARS = (6, 28)  # of a page
LONG = 0.15  # share of lines whose notes are twice as long
WIDTHS = (650, 1500)  # of a page, in tenths of a millimetre where a space is 1.6 mm
SUPERSAMPLED = 1.1  # pixels that a staff is drawn with for each that it keeps
Pixels = NDArray[np.uint8]


class StaffPicture(NamedTuple):
    """A staff's picture (`HEIGHT`, W), dark on light, and its symbols."""

    pixels: Pixels
    symbols: list[str]
    columns: list[int]  # pixels from the left at which each symbol begins


def tunes(split: str, draw: random.Random) -> Iterator[Score]:
    """Yield single lines, again and again, each a stretch of a piece in some key."""
    tokenizer = EventTokenizer()
    pools = {name: open_store(Path("corpora") / name / "prepared").split(split) for name in CORPORA}
    while True:
        pool = pools[draw.choice(CORPORA)]
        score = tokenizer.decode(pool.piece(draw.randrange(len(pool)))[0].tolist())
        if len(score.tracks) and (line := _line(score, draw)) is not None:
            yield line


def _line(score: Score, draw: random.Random) -> Score | None:
    del score.tracks[1:]  # whose end may lie behind that of the first
    count = len(bars(score)) - 1
    wanted = draw.randint(*BARS)
    first = draw.randrange(max(1, count - wanted)) if draw.random() < 0.7 else 0
    line = clip(score, first, min(count, first + wanted))
    if not len(line.tracks) or len(line.tracks[0].notes) < 4 or len(meters(line)) > 3:
        return None
    if draw.random() < LONG and all(denominator in (4, 8) for *_, denominator in meters(line)):
        line = _in_long_notes(line)
    notes = notes_of(line.tracks[0])
    notes = notes.take(np.append(np.diff(notes.onset) > 0, True))
    ends = np.minimum(notes.onset + notes.duration, np.append(notes.onset[1:], 10**9))
    set_notes(line.tracks[0], Notes(notes.onset, ends - notes.onset, notes.pitch, notes.velocity))
    line.tracks[0].program = 0
    low, high = int(notes.pitch.min()), int(notes.pitch.max())
    shifts = [s for s in range(-30, 25) if low + s >= 38 and high + s <= 84]
    weights = [0.35 if low + s < 50 else 0.5 if low + s < 57 else 1.0 for s in shifts]
    line.markers, line.tempos = [], []
    return transpose(line, draw.choices(shifts, weights)[0]) if shifts else None


def _in_long_notes(line: Score) -> Score:
    """Return a line as hymn books print it: each note twice as long, in halves where it had quarters."""
    result = line.copy()
    notes = notes_of(result.tracks[0])
    set_notes(result.tracks[0], notes._replace(onset=2 * notes.onset, duration=2 * notes.duration))
    result.time_signatures = [TimeSignature(2 * m.time, m.numerator, m.denominator // 2) for m in line.time_signatures]
    result.key_signatures = [KeySignature(2 * k.time, k.key, k.tonality) for k in line.key_signatures]
    return result


def pages(split: str, fonts: tuple[str, ...], seed: int) -> Iterator[list[StaffPicture]]:
    """Yield the staves of one page after another."""
    import verovio

    verovio.enableLog(verovio.LOG_OFF)
    draw, toolkit = random.Random(seed), verovio.toolkit()
    for tune in tunes(split, draw):
        try:
            data = musicxml_bytes(tune).decode()
        except MelodyError:
            continue
        toolkit.setOptions(_options(draw, fonts))
        if not toolkit.loadData(data) or not toolkit.loadData(varied(toolkit.getMEI(), draw)):
            continue
        mei = toolkit.getMEI()
        for page in range(1, min(2, toolkit.getPageCount()) + 1):
            svg = toolkit.renderToSVG(page)
            staves = labelled_staves(svg, mei)
            if staves:
                yield _pictures(svg, staves)


def page_of(score: Score, font: str, width: int = 1400, across: int = 1600) -> Image.Image:
    """Return the first page of a score, plainly engraved, so many pixels across; `width` is verovio's of the paper."""
    import verovio

    verovio.enableLog(verovio.LOG_OFF)
    toolkit = verovio.toolkit()
    paper = {"pageWidth": width, "pageHeight": 2600, "adjustPageHeight": True, "svgViewBox": True, "unit": 8}
    toolkit.setOptions(paper | {"font": font, "header": "none", "footer": "none"})
    if not toolkit.loadData(musicxml_bytes(score).decode()):
        raise MelodyError("verovio does not engrave this score")
    return rasterized(toolkit.renderToSVG(1), across / (10 * width))


def _options(draw: random.Random, fonts: tuple[str, ...]) -> dict[str, Any]:
    return {
        "font": draw.choice(fonts),
        "pageWidth": draw.randint(*WIDTHS),
        "pageHeight": 2400,
        "adjustPageHeight": True,
        "header": "none",
        "footer": "none",
        "breaks": "auto",
        "unit": 8,
        "svgViewBox": True,
        "spacingLinear": draw.uniform(0.15, 0.4),
        "spacingNonLinear": draw.uniform(0.45, 0.75),
        "spacingSystem": draw.randint(3, 10),
        "staffLineWidth": draw.uniform(0.1, 0.3),
        "stemWidth": draw.uniform(0.12, 0.3),
        "barLineWidth": draw.uniform(0.2, 0.5),
        "justificationSystem": 1.0,
        "lyricSize": draw.uniform(3.5, 5.0),
        "xmlIdSeed": draw.randrange(1, 2**31),
    }


def _pictures(svg: str, staves: list[LabelledStaff]) -> list[StaffPicture]:
    image = rasterized(svg, SPACE * SUPERSAMPLED / staves[0].space)
    scale = image.width / staves[0].page_width
    columns = [[round((1 + place / staff.space) * SPACE) for place in staff.places] for staff in staves]
    return [StaffPicture(_cut(image, s, scale), s.symbols, c) for s, c in zip(staves, columns, strict=True)]


def _cut(image: Image.Image, staff: LabelledStaff, scale: float) -> Pixels:
    """Return a staff's picture at `SPACE` pixels."""
    space = staff.space
    box = (staff.left - space, staff.top - ABOVE * space, staff.right + space, staff.bottom + BELOW * space)
    left, top, right, bottom = (value * scale for value in box)
    width = max(8, round((box[2] - box[0]) / space * SPACE))
    part = image.transform(
        (width, HEIGHT), Image.Transform.EXTENT, (left, top, right, bottom), Image.Resampling.BILINEAR, fillcolor=255
    )
    return np.asarray(part, np.uint8)


def rasterized(svg: str, zoom: float) -> Image.Image:
    """Return an SVG page as a grey picture on white, `zoom` pixels for each of its own units."""
    import matplotlib
    import resvg_py

    width = max(8, round(float(svg.split('viewBox="0 0 ')[1].split(" ")[0]) * 10 * zoom))
    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    data = resvg_py.svg_to_bytes(
        svg_string=svg,
        width=width,
        background="white",
        skip_system_fonts=True,
        font_files=[str(fonts / "DejaVuSerif.ttf"), str(fonts / "DejaVuSans.ttf")],
        serif_family="DejaVu Serif",
        font_family="DejaVu Serif",
    )
    return Image.open(io.BytesIO(bytes(data))).convert("L")


def write_staves(folder: Path, split: str, count: int, fonts: tuple[str, ...], seed: int) -> None:
    """Write so many staves as shards of a thousand: pictures as PNG, symbols as text."""
    folder.mkdir(parents=True, exist_ok=True)
    shard: list[StaffPicture] = []
    done = 0
    for page in pages(split, fonts, seed):
        shard += page
        while len(shard) >= 1000 or (shard and done + len(shard) >= count):
            part, shard = shard[:1000], shard[1000:]
            pictures = [_png(picture.pixels) for picture in part]
            np.savez(
                folder / f"{seed}-{done:06}.npz",
                data=np.frombuffer(b"".join(pictures), np.uint8),
                sizes=[len(picture) for picture in pictures],
                texts=[" ".join(picture.symbols) for picture in part],
                columns=np.concatenate([picture.columns for picture in part]).astype(np.int16),
            )
            done += len(part)
            print(f"{folder}: {done} staves", flush=True)
        if done >= count:
            return


def _png(pixels: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", default="train")
    parser.add_argument("--staves", type=int, default=60_000)
    parser.add_argument("--fonts", default=",".join(FONTS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    write_staves(given.out, given.split, given.staves, tuple(given.fonts.split(",")), given.seed)

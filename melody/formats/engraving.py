"""Scores as engraved pages: SVG by verovio (Laurent Pugin et al., ISMIR 2014), from the MusicXML that melody writes.

verovio comes with ``pip install 'melody[notation]'`` and is imported when a page is asked for.
"""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from melody.errors import MelodyError
from melody.formats.musicxml.writer import musicxml_bytes
from melody.music.score import Score
from melody.storage.files import refuse_overwrite, write_bytes

OPTIONS = {
    "pageWidth": 2100,  # A4, in tenths of a millimetre
    "pageHeight": 2970,
    "adjustPageHeight": True,  # a last page ends with its music
    "unit": 8,  # half a staff space: staves of 6.4 mm
    "breaks": "auto",
    "header": "auto",
    "footer": "none",
    "svgViewBox": True,
    "xmlIdChecksum": True,  # the same score gives the same bytes
}


def write_svg(
    score: Score,
    path: str | os.PathLike[str],
    *,
    title: str = "",
    force: bool = False,
    open_score: bool = False,
    tidy: bool = True,
) -> list[Path]:
    """Engrave a score; page 1 goes to `path`, page 2 to `NAME-page2.svg` beside it, and so on. Return the paths.

    `open_score` and `tidy` are those of `write_musicxml`.

    Raises `MelodyError` without verovio, where there are no notes, or where a file exists (unless `force`) or cannot be
    written.
    """
    first = Path(path)
    pages = svg_pages(score, title=title, open_score=open_score, tidy=tidy)
    names = [first, *(first.with_stem(f"{first.stem}-page{n}") for n in range(2, len(pages) + 1))]
    for name in names:
        refuse_overwrite(name, force)
    return [write_bytes(name, page.encode("utf-8"), force=force) for name, page in zip(names, pages, strict=True)]


def svg_pages(score: Score, *, title: str = "", open_score: bool = False, tidy: bool = True) -> list[str]:
    """Return the pages of a score as SVG documents. Raises as `write_svg`."""
    data = musicxml_bytes(score, title=title, open_score=open_score, tidy=tidy)
    toolkit = _toolkit()
    if not toolkit.loadData(data.decode("utf-8")):
        raise MelodyError(
            f"verovio cannot engrave this score: {toolkit.getLog().strip()[:200] or 'it gives no reason'}"
        )
    return [toolkit.renderToSVG(page) for page in range(1, toolkit.getPageCount() + 1)]


def require_verovio() -> None:
    """Raise `MelodyError` where verovio is not installed."""
    if find_spec("verovio") is None:
        raise MelodyError("an engraved page needs verovio: pip install 'melody[notation]'; MusicXML needs nothing")


def _toolkit() -> Any:
    require_verovio()
    import verovio

    verovio.enableLog(verovio.LOG_OFF)
    toolkit = verovio.toolkit()
    toolkit.setOptions(OPTIONS)
    return toolkit

"""The folder of the page that composes by itself: `index.html` with all its scripts, and `model.js` with the model.

A page from disk may neither fetch files nor load modules beside it. So its modules stand in an import map as data, and
the model comes as a script. The modules of the piano roll are the studio's.
"""

import base64
import json
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

from melody.bundle import open_bundle
from melody.errors import UsageError
from melody.native.web_core import web_core
from melody.render import player
from melody.storage.files import refuse_overwrite, write_bytes
from melody.web.model import page_model

FILES = ("index.html", "model.js")
PAGE = Path(__file__).with_name("page")
SHARED = Path(__file__).parents[1] / "studio" / "page"
SHARED_MODULES = ("dom.js", "paint.js", "roll.js", "score.js", "smf.js", "stalks.js")
_IMPORT = re.compile(r'(\bfrom|^import) "\./([a-z]+\.js)"', re.MULTILINE)


@dataclass(frozen=True)
class ExportedPage:
    """Result of an export."""

    folder: Path
    model: str
    bytes: int


def export_page(model: str, folder: Path, force: bool = False) -> ExportedPage:
    """Write the page of a model to a folder. Raises `UsageError` for a model that it cannot serve."""
    for name in FILES:
        refuse_overwrite(folder / name, force)
    bundle = open_bundle(model)
    facts, arrays = page_model(bundle)
    try:
        facts |= {"core": _packed(web_core()), "arrays": _packed(arrays)}
    except ValueError as error:
        raise UsageError(f"`web`: {error}") from error
    script = f"globalThis.MELODY = {json.dumps(facts, separators=(',', ':'))};\n"
    for name, text in zip(FILES, (index_page(), script), strict=True):
        write_bytes(folder / name, text.encode(), force=force)
    return ExportedPage(folder, bundle.name, sum((folder / name).stat().st_size for name in FILES))


def index_page() -> str:
    """Return the page, with its style and modules inside."""
    files = (*PAGE.glob("*.js"), *(SHARED / name for name in SHARED_MODULES))
    modules = {path.name: _module(path.read_text(encoding="utf-8")) for path in files}
    modules |= {"voices.js": _module(player.voices())}
    style = player.style() + (PAGE / "page.css").read_text(encoding="utf-8")
    page = (PAGE / "index.html").read_text(encoding="utf-8")
    return page.replace("{style}", style).replace("{modules}", json.dumps({"imports": modules}))


def _module(text: str) -> str:
    """A module as an address that holds it, whose imports are names of the import map."""
    text = _IMPORT.sub(r'\1 "\2"', text)
    return f"data:text/javascript;base64,{base64.b64encode(text.encode()).decode()}"


def _packed(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data, 9)).decode()

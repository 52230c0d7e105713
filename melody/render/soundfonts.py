"""SoundFonts: the caller's, the system's, or TimGM6mb.sf2 out of pretty_midi's wheel.

pretty_midi itself is never imported (a second of start-up for one file); its folder is enough. Compressed fonts (.sf3)
sound only through FluidSynth, so they are offered only where the engine reads them.
Places: Debian's and Fedora's packages (below the folders of XDG_DATA_HOME and XDG_DATA_DIRS), Homebrew, MuseScore on
Windows, the user's own folder.
"""

import importlib.util
import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from melody.errors import MelodyError, UnreadableFile
from melody.render.soundfont_file import check_soundfont

# The better known ones first; what else lies in a folder follows by name.
KNOWN = ("MuseScore_General", "FluidR3_GM", "GeneralUser", "default-GM", "TimGM6mb")


def find(soundfont: str | os.PathLike[str] | None = None, *, compressed: bool = True) -> Path:
    """The SoundFont to use: `soundfont` where given, else the system's best, else the one in pretty_midi's wheel.

    `compressed` says whether the engine reads .sf3. Raises `UnreadableFile` where the given file is missing or no
    SoundFont, `MelodyError` where there is none at all.
    """
    if soundfont is not None:
        return _checked(Path(soundfont).expanduser())
    suffixes = (".sf2", ".sf3") if compressed else (".sf2",)
    for folder in folders():
        for path in _ranked(folder, suffixes):
            if not _fault(path):
                return path
    if (own := bundled()) is not None:
        return own
    raise MelodyError("no SoundFont found; name one with `soundfont` or install pretty_midi, which brings one")


def bundled() -> Path | None:
    """TimGM6mb.sf2 in pretty_midi's wheel, found without importing it; None where it is not installed."""
    spec = importlib.util.find_spec("pretty_midi")
    for folder in spec.submodule_search_locations or () if spec else ():
        if (path := Path(folder) / "TimGM6mb.sf2").is_file():
            return path
    return None


def folders() -> Iterator[Path]:
    """The folders in which this platform keeps SoundFonts, the user's own first."""
    home = Path.home()
    if sys.platform == "win32":
        yield home / "Documents" / "SoundFonts"
        for version in ("4", "3"):
            yield Path(os.environ.get("PROGRAMFILES", r"C:\Program Files")) / f"MuseScore {version}" / "sound"
    elif sys.platform == "darwin":
        yield home / "Library" / "Audio" / "Sounds" / "Banks"
        yield Path("/Library/Audio/Sounds/Banks")
        yield Path("/opt/homebrew/share/soundfonts")
        yield Path("/usr/local/share/soundfonts")
    else:
        own = os.environ.get("XDG_DATA_HOME") or home / ".local" / "share"
        others = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
        for prefix in (own, *others.split(":")):
            yield from (Path(prefix) / name for name in ("sounds/sf2", "sounds/sf3", "soundfonts"))


def _ranked(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    try:
        fonts = [path for path in folder.iterdir() if path.suffix.lower() in suffixes]
    except OSError:  # not there, or not ours to read
        return []
    return sorted(fonts, key=lambda path: (_rank(path.stem), path.name))


def _rank(stem: str) -> int:
    return next((i for i, name in enumerate(KNOWN) if stem.lower().startswith(name.lower())), len(KNOWN))


def _checked(path: Path) -> Path:
    if not path.is_file():
        raise UnreadableFile(f"{path}: no such SoundFont; name a file with `soundfont`, or leave the option out")
    if fault := _fault(path):
        raise UnreadableFile(f"{path}: {fault}")
    return path.resolve()


def _fault(path: Path) -> str:
    """Return the fault of a SoundFont; empty for none."""
    try:
        status = path.stat()
        return _fault_of(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        return f"cannot read: {error.strerror or error}"


@cache
def _fault_of(path: Path, size: int, changed: int) -> str:
    try:
        check_soundfont(path)
    except ValueError as error:
        return str(error)
    return ""

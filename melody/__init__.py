"""melody composes music as symbols: continuations of your MIDI by a residual LSTM, offline, in seconds.

::

    import melody

    theme = melody.read("theme.mid")  # a symusic.Score; bytes of a file do too
    composer = melody.load("chorale")  # a shipped model, or a folder; melody.choose_model(theme) says which suits
    takes = composer.compose(theme, bars=8, takes=4, top_p=0.95, seed=7)
    melody.write(takes[0], "take.mid")  # or .musicxml, .svg, .dawproject; without a path: the bytes
    melody.render(takes[0], "take.wav")  # or .flac, .mp3, .ogg, .png, .html
    for note in composer.stream(theme, seed=7):  # listen while it composes
        ...

The functions and classes import what they need when they are used: `import melody` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, overload

from melody.errors import ConfigError, LimitExceeded, MelodyError, UnreadableFile, UsageError
from melody.version import __version__

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from pathlib import Path

    from melody.formats.midi import Reading, Text
    from melody.generation import Composer, Settings, Take
    from melody.music.score import Score

__all__ = [
    "Composer",
    "ConfigError",
    "LimitExceeded",
    "MelodyError",
    "Settings",
    "Take",
    "UnreadableFile",
    "UsageError",
    "__version__",
    "choose_model",
    "load",
    "read",
    "read_file",
    "render",
    "write",
]
_LAZY = {"Composer": "melody.generation", "Settings": "melody.generation", "Take": "melody.generation"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'melody' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])


def read(source: str | os.PathLike[str] | bytes) -> Score:
    """Return the score in a MIDI, MusicXML, ABC or kern file, named by its path or given as its bytes.

    Raises `UnreadableFile` or `LimitExceeded`. `read_file` tells what was mended or left out.
    """
    return read_file(source).score


def read_file(source: str | os.PathLike[str] | bytes) -> Reading:
    """Return what a file holds: its `score`, `title`, `texts` and `channels`, and `repairs` and `remarks` about it."""
    from melody.formats.reading import read_file

    return read_file(source)


def load(model: str | os.PathLike[str] = "chorale", *, engine: str = "auto", threads: int = 1) -> Composer:
    """Return a composer with a shipped model, by name, or with the bundle in a folder."""
    from melody.generation import Composer

    return Composer(str(model), engine=engine, threads=threads)


def choose_model(score: Score, with_tracks: Sequence[str] = ()) -> tuple[str, str]:
    """Return the name of the shipped model that suits a score best, and why: the one of `melody compose` by default.

    For a score to be composed around, `with_tracks` names the tracks that go on.
    """
    from melody.generation.advice import at_home

    choice = at_home(score, with_tracks)
    assert choice is not None  # there is a score to choose by
    return choice.bundle.name, choice.reason


@overload
def write(
    piece: Score | Take,
    path: None = None,
    *,
    title: str = "",
    texts: Sequence[str | Text] = (),
    own_channels: Sequence[int] = (),
    given: Reading | None = None,
) -> bytes: ...


@overload
def write(
    piece: Score | Take,
    path: str | os.PathLike[str],
    *,
    title: str = "",
    texts: Sequence[str | Text] = (),
    own_channels: Sequence[int] = (),
    given: Reading | None = None,
    force: bool = False,
) -> Path: ...


def write(
    piece: Score | Take,
    path: str | os.PathLike[str] | None = None,
    *,
    title: str = "",
    texts: Sequence[str | Text] = (),
    own_channels: Sequence[int] = (),
    given: Reading | None = None,
    force: bool = False,
) -> Path | bytes:
    """Write a score or a take as MIDI by the rules of DAWs, and return the path; without a path, return the bytes.

    A take's settings are embedded as text for programs. `title` and `texts` go to the conductor track, `own_channels`
    (from 0) are those that its tracks keep where they can. Of `given`, the reading of the primer's file (`read_file`),
    all that a score has no field for is written again. Where `path` ends in .musicxml, .mxl, .svg or .dawproject it is
    written so.

    Raises `MelodyError` where the file exists (unless `force`) or cannot be written.
    """
    from melody.generation.take_files import midi_bytes

    if path is None:
        return midi_bytes(piece, title=title, texts=texts, own_channels=own_channels, given=given)
    return _write(piece, path, title=title, texts=texts, own_channels=own_channels, given=given, force=force)


def render(
    piece: Score | Take,
    path: str | os.PathLike[str],
    *,
    soundfont: str | os.PathLike[str] | None = None,
    force: bool = False,
) -> Path:
    """Write a score or a take as sound (.wav, .flac, .mp3, .ogg), a piano roll (.png) or a page that plays (.html).

    Raises `MelodyError` where the file exists (unless `force`) or cannot be written.
    """
    return _write(piece, path, soundfont=soundfont, force=force)


def _write(piece: Score | Take, path: str | os.PathLike[str], **options: Any) -> Path:
    from pathlib import Path

    from melody.generation.take_files import Writing, write_piece

    return write_piece(Writing(piece, Path(path), **options)).paths[0]

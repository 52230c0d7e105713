"""melody composes music as symbols: continuations of your MIDI by a residual LSTM, offline, in seconds.

::

    import melody

    theme = melody.read("theme.mid")  # a symusic.Score
    composer = melody.load("chorale")  # a shipped model, or a folder; melody.choose_model(theme) says which suits
    takes = composer.compose(theme, bars=8, takes=4, top_p=0.95, seed=7)
    melody.write(takes[0], "take.mid")
    melody.render(takes[0], "take.wav")
    for note in composer.stream(theme, seed=7):  # listen while it composes
        ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from melody.errors import ConfigError, LimitExceeded, MelodyError, UnreadableFile, UsageError

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from pathlib import Path

    from melody.formats.midi import Text
    from melody.generation import Composer, Take
    from melody.music.score import Score

__version__ = "0.1.0"
__all__ = [
    "ConfigError",
    "LimitExceeded",
    "MelodyError",
    "UnreadableFile",
    "UsageError",
    "choose_model",
    "load",
    "read",
    "render",
    "write",
]

# The functions import what they need when they are called: `import melody` costs next to nothing.


def read(source: str | os.PathLike[str] | bytes) -> Score:
    """Return the score in a MIDI, MusicXML or ABC file, named by its path or given as its bytes.

    `melody.formats.reading.read_file` gives its repairs and remarks too. Raises `UnreadableFile`.
    """
    from melody.formats.reading import read

    return read(source)


def load(model: str | os.PathLike[str] = "chorale", *, engine: str = "onnx", threads: int = 1) -> Composer:
    """A composer with a shipped model, by name, or with the bundle in a folder."""
    from melody.generation import Composer

    return Composer(str(model), engine=engine, threads=threads)


def choose_model(score: Score, with_tracks: Sequence[str] = ()) -> tuple[str, str]:
    """The name of the shipped model that suits a score best, and why: what `melody compose` takes without ``--model``.

    For a score to be composed around, `with_tracks` names the tracks that go on.
    """
    from melody.generation.model_choice import choose, shipped

    bundle, reason = choose(score, shipped(), with_tracks)
    return bundle.name, reason


def write(
    piece: Score | Take,
    path: str | os.PathLike[str],
    *,
    title: str = "",
    texts: Sequence[str | Text] = (),
    own_channels: Sequence[int] = (),
    force: bool = False,
) -> Path:
    """Write a score or a take as MIDI by the rules of DAWs; a take's settings are embedded as text for programs.

    `title` and `texts` go to the conductor track, `own_channels` (from 0) are those that its tracks keep
    where they can (`melody.formats.reading.read_file` gives those of a file).

    Raises `MelodyError` where the file exists (unless `force`) or cannot be written.
    """
    import json

    from melody.formats.midi import SEQUENCER, Text, write_midi

    settings = getattr(piece, "settings", None)
    about = [Text(0, f"melody {__version__} {json.dumps(settings)}", SEQUENCER)] if settings else []
    return write_midi(
        _score_of(piece), path, title=title, texts=[*texts, *about], own_channels=own_channels, force=force
    )


def render(
    piece: Score | Take,
    path: str | os.PathLike[str],
    *,
    soundfont: str | os.PathLike[str] | None = None,
    force: bool = False,
) -> Path:
    """Write a score or a take as sound, by the file's suffix: .wav, .flac, .mp3 or .ogg."""
    from melody.render.sound import render

    return render(_score_of(piece), path, soundfont=soundfont, force=force)


def _score_of(piece: Score | Take) -> Score:
    return getattr(piece, "score", piece)

"""A bundle: one folder that is one usable model.

====================  ==============================================================================================
``bundle.json``       name, model and tokenizer configuration, context channels, the tracks the model writes, scores,
                      licence, and the SHA-256 of every other file
``vocabulary.json``   the tokens by id, and how often each stood in the training music (transpositions included)
``step.onnx``         one step of the model with 8-bit weights, for the default engine
``weights.safetensors``  the weights in 16-bit floats, for the torch engine and for further training
``originality.npz``   the n-grams of the training music (`melody.originality`), by which copies of it are found
``README.md``         the model card: data, licence, split, command, numbers
====================  ==============================================================================================

A bundle is data: nothing in it is executed or unpickled, and its files are read from its own folder alone.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melody.errors import MelodyError, UnreadableFile
from melody.originality import Count, Index
from melody.tokens import EventTokenizer

FORMAT = 1
SHIPPED = Path(__file__).parent / "bundles"
LOCAL = Path("outputs/bundles")  # where `melody export` puts them


@dataclass(frozen=True)
class TrackInfo:
    """A track that the model writes: its name and program, and the pitches it had in the training music."""

    name: str
    program: int
    drums: bool
    lowest: int
    highest: int
    mean: float
    polyphony: int  # most notes that sounded at once


@dataclass(frozen=True)
class Bundle:
    """An opened bundle; see the module for its files."""

    folder: Path
    settings: Mapping[str, Any]  # bundle.json

    @property
    def name(self) -> str:
        """The name by which `melody compose --model` knows it."""
        return str(self.settings["name"])

    @property
    def tracks(self) -> list[TrackInfo]:
        """The tracks of a piece, in the order of the model's Track tokens."""
        return [TrackInfo(**track) for track in self.settings["tracks"]]

    @property
    def style_rules(self) -> list[str]:
        """The rules of `melody.generation.styles` to which takes are held, unless asked otherwise."""
        return list(self.settings.get("style_rules", []))

    @property
    def tempo_qpm(self) -> float:
        """The tempo of a piece from nothing, unless asked otherwise."""
        return float(self.settings["tempo_qpm"])

    @cached_property
    def tokenizer(self) -> EventTokenizer:
        """The tokenizer the model was trained with; its vocabulary must be the bundle's."""
        tokenizer = EventTokenizer(**self.settings["tokenizer"])
        if tokenizer.vocabulary.hash != self.settings["vocabulary_hash"]:
            raise UnreadableFile(f"{self.folder}: made for another vocabulary; use the melody version it came with")
        return tokenizer

    @cached_property
    def seen(self) -> NDArray[np.bool_]:
        """Which tokens (V,) stood in the training music."""
        counts = json.loads(self.file("vocabulary.json").read_text(encoding="utf-8"))["counts"]
        return np.array(counts) > 0

    @property
    def knows_its_training(self) -> bool:
        """Whether it carries the index of its training music; bundles of earlier versions do not."""
        return "originality.npz" in self.settings["files"]

    @cached_property
    def originality(self) -> Index:
        """The n-grams of the training music. Raises `UnreadableFile` for a bundle without them."""
        return Index.from_bytes(self.file("originality.npz").read_bytes())

    @cached_property
    def held_out(self) -> list[list[Count]]:
        """For each held-out piece (valid and test) what of each track stands in the training music."""
        rows = self.settings.get("originality", {}).get("held_out", [])
        return [[Count(*map(int, count.split("/"))) for count in row.split()] for row in rows]

    def file(self, name: str) -> Path:
        """The path of one of the bundle's files, its hash verified. Raises `UnreadableFile`."""
        path = self.folder / name
        expected = self.settings["files"].get(name)
        if expected is None or not path.is_file():
            raise UnreadableFile(f"{self.folder}: has no {name}; export the run again")
        if hashlib.sha256(path.read_bytes()).hexdigest() != expected:
            raise UnreadableFile(f"{path}: is not the file that bundle.json names; fetch or export the bundle again")
        return path


def open_bundle(name: str | Path) -> Bundle:
    """A bundle by the name of a shipped or local model, or by its folder."""
    for folder in (Path(name), SHIPPED / name, LOCAL / name):
        if (folder / "bundle.json").is_file():
            return _open(folder)
    names = [bundle.name for bundle in bundles()]
    close = get_close_matches(str(name), names, 1)
    hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(names) or 'none'}"
    raise MelodyError(f"no model {str(name)!r}: neither a folder with a bundle.json nor a known name; {hint}")


def bundles() -> list[Bundle]:
    """The shipped models and those exported here, by name."""
    folders = [path.parent for root in (SHIPPED, LOCAL) for path in sorted(root.glob("*/bundle.json"))]
    return [_open(folder) for folder in folders]


def _open(folder: Path) -> Bundle:
    path = folder / "bundle.json"
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UnreadableFile(f"{path}: is not JSON: {error}") from error
    if not isinstance(settings, dict) or settings.get("format") != FORMAT:
        raise UnreadableFile(f"{path}: is not a bundle of format {FORMAT}")
    missing = {"name", "model", "tokenizer", "tracks", "files", "vocabulary_hash", "tempo_qpm"} - settings.keys()
    if missing:
        raise UnreadableFile(f"{path}: lacks {', '.join(sorted(missing))}")
    return Bundle(folder, settings)

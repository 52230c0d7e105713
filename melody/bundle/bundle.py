"""A bundle: one folder that is one usable model.

====================  ==============================================================================================
``bundle.json``       name, model and tokenizer configuration, context channels, the tracks the model writes, scores,
                      licence, and the SHA-256 of every other file
``vocabulary.json``   the tokens by id, and how often each stood in the training music (transpositions included)
``step.onnx``         one step of the model with its weights in 8 bits, for the default engine; the torch engine and
                      further training have them from here too (`melody.engine.weights`)
``encoder.safetensors``  the encoder, where the model has one (`melody.tokens.encoder`): the step graph is its decoder's
``weights.safetensors``  the weights in 16-bit floats, of a kind of model without a step graph and in older bundles
``harmonist.safetensors``  what draws its chords (`melody.tokens.harmonist`), where its model is told of such a plan
``harmoniser.safetensors`` what finds the chords of a tune alone, where that is the harmonist of no shipped model
``planner.safetensors``  the planner of its bars (`melody.tokens.planner`), where its model is told of a plan
``rewriter.safetensors``  what fills any cells of its voices or drums at once (`melody.tokens.rewriter`), or none
``taste.safetensors``  the taste by which takes may be ranked (`melody.tokens.taste`), where one was learned
``feel.safetensors``  how its players move off the grid (`melody.music.feel`), where its corpus was played
``originality.npz``   the n-grams of the training music (`melody.music.originality`), by which copies of it are found
``README.md``         the model card: data, licence, split, command, numbers
====================  ==============================================================================================

A bundle is data, and may be a stranger's: nothing in it is executed or unpickled, its files are read from its own
folder or a shipped model's, and `melody.storage.untrusted` (for graphs `melody.engine.check.graph`) checks each first.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from melody.bundle.adapter import Adapter, adapter_file, open_adapter
from melody.errors import ConfigError, MelodyError, UnreadableFile, UsageError
from melody.music.feel import Feel
from melody.music.originality import Count, Index
from melody.storage.files import read_bytes
from melody.storage.untrusted import (
    EIGHT_BIT,
    WEIGHT_TYPES,
    check_index,
    check_settings,
    check_weights,
    parse_json,
    weight_names,
)
from melody.tokens import EventTokenizer
from melody.tokens.channels import USUAL, layout_of, names_in_older_bundle
from melody.tokens.encoder import Encoder
from melody.tokens.harmonist import TEMPERATURE, Harmonist
from melody.tokens.harmony import Rate
from melody.tokens.planner import Planner
from melody.tokens.rewriter import Rewriter
from melody.tokens.taste import Taste

FORMAT = 1
T = TypeVar("T")
SHIPPED = Path(__file__).parents[1] / "bundles"
LOCAL = Path("outputs/bundles")  # where `melody export` puts them

MOST_BYTES = {
    ".json": 2**20,
    ".npz": 2**28,
    ".onnx": 2**30,
    ".safetensors": 2**31,
    **dict.fromkeys(("planner.safetensors", "harmonist.safetensors", "harmoniser.safetensors"), 2**23),
    **dict.fromkeys(("rewriter.safetensors", "taste.safetensors", "encoder.safetensors"), 2**24),
    "feel.safetensors": 2**20,
}
TOP_P = 0.95  # cuts the long tail of tokens that are each unlikely and together spoil a piece
HARMONIST, HARMONISER, WEIGHTS = "harmonist.safetensors", "harmoniser.safetensors", "weights.safetensors"
PLANNER, TASTE, FEEL = "planner.safetensors", "taste.safetensors", "feel.safetensors"
REWRITER, ENCODER = "rewriter.safetensors", "encoder.safetensors"
REMEDY = "fetch or export the bundle again"
HAND = "hand"  # role of each of the two tracks of a model of one keyboard


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
    role: str = ""  # in a band, as `melody.music.roles` has them, or `HAND`; empty: known by its range alone


@dataclass(frozen=True)
class Bundle:
    """An opened bundle; see the module for its files."""

    folder: Path
    settings: Mapping[str, Any]  # bundle.json
    adapter: Adapter | None = None

    @property
    def name(self) -> str:
        """The name by which `melody compose --model` knows it."""
        own = str(self.settings["name"])
        return own if self.adapter is None else f"{own}+{self.adapter.name}"

    @property
    def step_graph(self) -> str:
        """The hash that tells which model it is, with its encoder and adapter; empty without a step graph."""
        own, encoder = (str(self.settings["files"].get(name, "")) for name in ("step.onnx", ENCODER))
        own = hashlib.sha256(f"{own} {encoder}".encode()).hexdigest() if encoder else own
        if self.adapter is None:
            return own
        return hashlib.sha256(f"{own} {self.adapter.sha256}".encode()).hexdigest()

    @cached_property
    def tracks(self) -> list[TrackInfo]:
        """The tracks of a piece, in the order of the model's Track tokens."""
        return [TrackInfo(**track) for track in self.settings["tracks"]]

    @property
    def style_rules(self) -> list[str]:
        """The rules of `melody.generation.rules.styles` to which takes are held, unless asked otherwise."""
        return list(self.settings.get("style_rules", []))

    @property
    def tempo_qpm(self) -> float:
        """The tempo of a piece from nothing, unless asked otherwise."""
        return float(self.settings["tempo_qpm"])

    @property
    def top_p(self) -> float:
        """The share of the probability that takes are drawn from, unless asked otherwise."""
        return float(self.settings.get("top_p", TOP_P))

    @property
    def layer_bits(self) -> tuple[int, ...]:
        """Bits, 4 or 8, in which the native engine keeps the weights of each layer; 8 where nothing is said.

        `melody.learning.short_weights` decides, without an adapter.
        """
        return tuple(self.settings.get("layer_bits", ())) if self.adapter is None else ()

    @property
    def density_limits(self) -> tuple[float, float]:
        """Up to how many onsets a quarter a bar is of low and of medium density. Raises `UsageError` without them."""
        limits = self.settings.get("density_limits")
        if limits is None:
            raise UsageError(f"density: {self.name} was made before densities; export its run again")
        return float(limits[0]), float(limits[1])

    def style_value(self, style: str | None) -> int:
        """The value of the style channel for one of the bundle's styles; 0 for none. Raises `UsageError`.

        Where none is asked for, it is the bundle's own choice, if it has one.
        """
        styles: list[str] = self.settings.get("styles", [])
        if style is None and (style := self.settings.get("default_style")) is None:
            return 0
        if style not in styles:
            raise UsageError(f"style {style!r}: {self.name} knows {', '.join(styles) or 'one style alone, its own'}")
        return 1 + styles.index(style)

    def in_style(self, style: str | None) -> "Bundle":
        """The same model with the instruments, tempo, meter and rules of a style, where it has these."""
        known = self.settings.get("by_style", {}).get(style or self.settings.get("default_style"))
        if not known:
            return self
        pairs = zip(self.settings["tracks"], known["programs"], strict=True)
        tracks = [{**track, "program": program} for track, program in pairs]
        told = {name: known[name] for name in ("tempo_qpm", "meter", "style_rules") if name in known}
        result = replace(self, settings={**self.settings, "tracks": tracks, **told})
        read = self.__dict__.keys() - {"folder", "settings", "adapter", "tracks"}  # the style has tracks of its own
        result.__dict__.update({name: self.__dict__[name] for name in read})
        return result

    def with_adapter(self, path: Path) -> "Bundle":
        """Return the model with the adapter in a file. Raises `UnreadableFile` for one of another model."""
        size, own = len(self.tokenizer.vocabulary), str(self.settings["files"].get("step.onnx", ""))
        return replace(self, adapter=open_adapter(path, self.settings["model"], size, own, self.name))

    @cached_property
    def channels(self) -> tuple[str, ...]:
        """The names of the context channels that the model is told."""
        if "channels" in self.settings:
            return tuple(self.settings["channels"])
        if WEIGHTS not in self.settings["files"]:
            return USUAL
        names = weight_names(self.read(WEIGHTS))  # bundles of 0.1 do not record their channels
        return names_in_older_bundle(sum(name.startswith("channels.") for name in names))

    @cached_property
    def tokenizer(self) -> EventTokenizer:
        """The tokenizer the model was trained with; its vocabulary must be the bundle's."""
        try:
            tokenizer = EventTokenizer(layout_of(self.channels).checked)
        except ConfigError as error:
            raise UnreadableFile(f"{self.folder / 'bundle.json'}: {error}; {REMEDY}") from error
        if tokenizer.vocabulary.hash != self.settings["vocabulary_hash"]:
            raise UnreadableFile(f"{self.folder}: made for another vocabulary; use the melody version it came with")
        return tokenizer

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Tokens (V,) that stood in the training music."""
        return self.counts > 0

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """Counts of each token (V,) in the training music."""
        data = self.read("vocabulary.json")
        try:
            content = parse_json(data)
            counts = np.array(content["counts"], np.int64)
            if content["tokens"] != list(self.tokenizer.vocabulary.tokens) or counts.shape != (len(content["tokens"]),):
                raise ValueError("is another vocabulary than this melody's")
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            raise UnreadableFile(f"{self.folder / 'vocabulary.json'}: {error}; {REMEDY}") from error
        return counts

    @cached_property
    def planner(self) -> Planner | None:
        """Planner that draws the plan of a piece; None if the model is told of none. Raises `UnreadableFile`."""
        return self._loaded(PLANNER, Planner.of)

    @cached_property
    def feel(self) -> Feel | None:
        """Feel of its players; None for music that was written, not played. Raises `UnreadableFile`."""
        return self._loaded(FEEL, Feel.of)

    @cached_property
    def harmonist(self) -> Harmonist | None:
        """Harmonist that draws the chords of a piece; None if the model is told of none. Raises `UnreadableFile`."""
        return self._loaded(HARMONIST, Harmonist.of)

    @cached_property
    def harmoniser(self) -> Harmonist | None:
        """Harmonist that finds the chords of a tune alone; None where its own one does. Raises `UnreadableFile`."""
        shipped = self.settings.get("harmoniser")
        return _open(SHIPPED / shipped).harmonist if shipped else self._loaded(HARMONISER, Harmonist.of)

    @cached_property
    def rewriter(self) -> Rewriter | None:
        """Rewriter that fills a gap in rounds; None where none was learned. Raises `UnreadableFile`."""
        return self._loaded(REWRITER, Rewriter.of)

    @cached_property
    def encoder(self) -> Encoder | None:
        """Encoder that reads what is given of a piece; None for a model without one. Raises `UnreadableFile`."""
        return self._loaded(ENCODER, Encoder.of)

    @property
    def harmony_rate(self) -> Rate:
        """The steps of the plan of chords."""
        return "halves" if self.settings.get("harmony") == "halves" else "beats"

    @property
    def harmony_sampling(self) -> tuple[float, int, float]:
        """The temperature of a plan of chords, of how many the likeliest stays, and how much given notes weigh."""
        asked = self.settings
        return asked.get("harmony_temperature", TEMPERATURE), asked.get("chord_plans", 1), asked.get("harmony_fit", 1.0)

    @cached_property
    def taste(self) -> Taste | None:
        """Taste that ranks takes; None where none was learned. Raises `UnreadableFile`."""
        names = self.settings.get("taste", {}).get("statistics", [])
        return self._loaded(TASTE, lambda arrays: Taste.of(names, arrays))

    def _loaded(self, name: str, make: Callable[[dict[str, NDArray[Any]]], T]) -> T | None:
        """A small model from its file; None where the bundle has none. Raises `UnreadableFile`."""
        if name not in self.settings["files"]:
            return None
        from safetensors.numpy import load

        data = self.read(name)
        try:
            return make(load(data))
        except ValueError as error:
            raise UnreadableFile(f"{self.folder / name}: {error}; {REMEDY}") from error

    @property
    def weights_file(self) -> str:
        """The file that holds the weights to train further; its hash tells which model it is."""
        return WEIGHTS if WEIGHTS in self.settings["files"] else "step.onnx"

    @property
    def has_step_graph(self) -> bool:
        """True if the default engine can step it; a kind of model without a step graph composes by the torch engine."""
        return "step.onnx" in self.settings["files"]

    @property
    def knows_its_training(self) -> bool:
        """True if it carries the index of its training music; bundles of earlier versions do not."""
        return "originality.npz" in self.settings["files"]

    @cached_property
    def originality(self) -> Index:
        """The n-grams of the training music. Raises `UnreadableFile` for a bundle without them."""
        index = Index.from_bytes(self.read("originality.npz"))
        try:
            "".join(index.pieces).encode()
        except UnicodeError:
            path = self.folder / "originality.npz"
            raise UnreadableFile(f"{path}: names a piece by what is not Unicode; {REMEDY}") from None
        if int(index.piece.max(initial=0)) >= max(1, len(index.pieces)):
            raise UnreadableFile(f"{self.folder / 'originality.npz'}: names a piece that it does not have; {REMEDY}")
        return index

    @cached_property
    def held_out(self) -> list[list[Count]]:
        """For each held-out piece (valid and test) what of each track stands in the training music."""
        rows = self.settings.get("originality", {}).get("held_out", [])
        return [[Count(*map(int, count.split("/"))) for count in row.split()] for row in rows]

    def file(self, name: str) -> Path:
        """The path of one of the bundle's files, which has been looked at as `read` does."""
        self.read(name)
        return self.folder / name

    def read(self, name: str) -> bytes:
        """The bytes of one of the bundle's files, its hash verified and its form checked. Raises `UnreadableFile`."""
        path = self.folder / name
        expected = self.settings["files"].get(name)
        if expected is None or not os.path.lexists(path):
            raise UnreadableFile(f"{self.folder}: has no {name}; export the run again")
        most = MOST_BYTES.get(name, MOST_BYTES.get(path.suffix, MOST_BYTES[".json"]))
        data = read_bytes(path, most)
        if hashlib.sha256(data).hexdigest() != expected:
            raise UnreadableFile(f"{path}: is not the file that bundle.json names; {REMEDY}")
        try:
            self._check(name, path.suffix, data)
        except ValueError as error:
            raise UnreadableFile(f"{path}: {error}; {REMEDY}") from error
        return data

    def _check(self, name: str, suffix: str, data: bytes) -> None:
        """Refuse what is not as its suffix says. (The engine looks at step graphs itself.)"""
        if suffix == ".npz":
            check_index(data)
        if name in (HARMONIST, PLANNER, TASTE, FEEL, HARMONISER, REWRITER, ENCODER):  # shapes: as they are read
            check_weights(data, WEIGHT_TYPES if name == TASTE else EIGHT_BIT)
        elif suffix == ".safetensors":
            weights, model = check_weights(data), self.settings["model"]
            # of a recurrent layer eight square matrices, so that no model is built that its weights cannot fill
            least = 8 * model.get("layers", 0) * model.get("hidden_size", 0) ** 2
            if weights < least:
                raise ValueError(f"holds {weights:,} weights, the model of bundle.json needs {least:,} or more")


def open_bundle(name: str | Path) -> Bundle:
    """A bundle by the name of a shipped or local model, or by its folder; with an adapter behind a ``+``."""
    bundle = _found(name)
    if bundle is None and "+" in str(name):
        own, _, adapter = str(name).partition("+")
        bundle = _found(own)
        if bundle is not None:
            return bundle.with_adapter(adapter_file(adapter))
    if bundle is not None:
        return bundle
    names = [path.parent.name for path in bundle_files()]
    close = get_close_matches(str(name), names, 1)
    hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(names) or 'none'}"
    raise MelodyError(f"no model {str(name)!r}: neither a folder with a bundle.json nor a known name; {hint}")


def _found(name: str | Path) -> Bundle | None:
    for folder in (Path(name), SHIPPED / name, LOCAL / name):
        if os.path.lexists(folder / "bundle.json"):
            return _open(folder)
    return None


def all_bundles() -> tuple[list[Bundle], list[UnreadableFile]]:
    """Return the shipped models and those exported here, and the reasons why some of them cannot be read."""
    found, damaged = list[Bundle](), list[UnreadableFile]()
    for path in bundle_files():
        try:
            found.append(_open(path.parent))
        except UnreadableFile as error:
            damaged.append(error)
    return found, damaged


def bundle_files() -> list[Path]:
    """Return the bundle.json of each shipped model, and of each that was exported here."""
    return [path for root in (SHIPPED, LOCAL) for path in sorted(root.glob("*/bundle.json"))]


def _open(folder: Path) -> Bundle:
    path = folder / "bundle.json"
    data = read_bytes(path, MOST_BYTES[".json"])
    try:
        settings = parse_json(data)
        check_settings(settings, FORMAT, EventTokenizer().config)
    except ValueError as error:
        raise UnreadableFile(f"{path}: {error}; {REMEDY}") from error
    return Bundle(folder, settings)

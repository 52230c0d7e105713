"""Adapters: what a model has learned of someone's own music, in a file of some 50 kB beside the model itself.

    start   (2 L, D)      the carry at the beginning of a piece: h and c of each layer, in place of zeros (state tuning
                          as in MIDI-RWKV, arXiv:2506.13001)
    down    (D, R)        the head gets down @ up more, a matrix of low rank (LoRA, Hu et al. 2021, arXiv:2106.09685)
    up      (R, V)
    bias    (V)           and this

``folk+mine`` names the model folk with the adapter mine: a file, or one of that name in `ADAPTERS`.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melody.errors import UnreadableFile
from melody.music.tensors import tensors_of
from melody.storage.files import read_bytes
from melody.storage.untrusted import check_weights, parse_json, weight_metadata

ADAPTERS = Path("outputs/adapters")  # where `melody train --adapt state` puts them
SUFFIX = ".safetensors"
FORMAT = "1"
MOST_BYTES = 2**22
MOST_RANK = 64


@dataclass(frozen=True)
class Adapter:
    """An adapter as its file has it."""

    name: str
    told: Mapping[str, Any]  # base, step_graph (its hash), description, scores
    sha256: str
    weights: Mapping[str, NDArray[np.float32]]

    @property
    def start(self) -> NDArray[np.float32]:
        """The carry (2 L, D) at the beginning of a piece."""
        return self.weights["start"]

    def change(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return what is added to the head (V, D) and to its bias (V,)."""
        return (self.weights["down"] @ self.weights["up"]).T, self.weights["bias"]


def shapes_of(model: Mapping[str, Any], vocabulary: int, rank: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of an adapter's arrays for a residual LSTM of these settings."""
    width = model["hidden_size"]
    start = (2 * model["layers"], width)
    return {"start": start, "down": (width, rank), "up": (rank, vocabulary), "bias": (vocabulary,)}


def adapter_file(reference: str) -> Path:
    """Return the path of an adapter by its name, or by its file."""
    path = Path(reference)
    return path if path.suffix == SUFFIX else ADAPTERS / f"{path}{SUFFIX}"


def open_adapter(path: Path, model: Mapping[str, Any], vocabulary: int, step_graph: str, base: str) -> Adapter:
    """Return the adapter in a file, for a model of these settings. Raises `UnreadableFile` for any other."""
    from safetensors.numpy import load

    data = read_bytes(path, MOST_BYTES)
    try:
        check_weights(data)
        told = _told(weight_metadata(data))
        if told["step_graph"] != step_graph:
            raise ValueError(f"was made for another {told['base']} than this {base}; train it again")
        tensors = load(data)
        rank = len(tensors["up"]) if "up" in tensors and tensors["up"].ndim == 2 else 0
        if not 0 < rank <= MOST_RANK:
            raise ValueError(f"is no adapter: its rank should be 1 to {MOST_RANK}, there is {rank}")
        weights = tensors_of("adapter", tensors, shapes_of(model, vocabulary, rank))
    except ValueError as error:
        raise UnreadableFile(f"{path}: {error}") from error
    return Adapter(path.stem, told, hashlib.sha256(data).hexdigest(), weights)


def _told(metadata: Mapping[str, str]) -> Mapping[str, Any]:
    told = parse_json(metadata.get("melody", "").encode())
    texts = ("format", "base", "step_graph", "description")
    if not isinstance(told, dict) or not all(isinstance(told.get(name), str) for name in texts):
        raise ValueError("is no adapter: it does not say which model it is for")
    if told["format"] != FORMAT:
        raise ValueError(f"has the format {told['format'][:20]}; this melody knows {FORMAT}")
    return told

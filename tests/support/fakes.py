"""Stand-ins for a trained model, small enough to reason about: logits from a table of what was read last."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from melody.bundle import Bundle, TrackInfo
from melody.engine import Carry
from melody.generation import Composer
from melody.tokens import EventTokenizer

CHOIR = [("Soprano", 72.0), ("Alto", 66.0), ("Tenor", 60.0), ("Bass", 50.0)]


class TableEngine:
    """A first-order model: the logits of the next token depend on the last one and on how many were read."""

    def __init__(self, table: NDArray[np.float32], period: int = 1) -> None:
        self.table = table  # (period, V, V)
        self.period = period

    def start(self, batch: int) -> Carry:
        return (np.zeros((batch, 1), np.int64),)

    def step(self, ids: NDArray[np.integer], context: NDArray[np.integer], carry: Carry):
        count = carry[0]
        return self.table[count[:, 0] % self.period, ids], (count + 1,)


class UniformEngine:
    """Every token is equally likely: the grammar and the rules are all that shapes the music."""

    def __init__(self, size: int) -> None:
        self.size = size

    def start(self, batch: int) -> Carry:
        return (np.zeros((batch, 1), np.float32),)

    def step(self, ids: NDArray[np.integer], context: NDArray[np.integer], carry: Carry):
        return np.zeros((len(ids), self.size), np.float32), carry


def fake_bundle(folder: Path, drums: bool = False, polyphony: int = 8, velocities: list[int] | None = None) -> Bundle:
    """A bundle without weights whose training music had every token, or of velocities these alone."""
    tokenizer = EventTokenizer()
    vocabulary = tokenizer.vocabulary
    counts = np.ones(len(vocabulary), int)
    if velocities is not None:
        counts[list(vocabulary.ids["Velocity"])] = 0
        counts[[vocabulary.id_of[f"Velocity_{velocity}"] for velocity in velocities]] = 1
    text = json.dumps({"tokens": list(vocabulary.tokens), "counts": counts.tolist()})
    (folder / "vocabulary.json").write_text(text)
    settings = {
        "format": 1,
        "name": "fake",
        "model": {},
        "tokenizer": tokenizer.config,
        "vocabulary_hash": vocabulary.hash,
        "tracks": [
            asdict(TrackInfo(name, 52, drums, lowest=36, highest=84, mean=mean, polyphony=polyphony))
            for name, mean in CHOIR
        ],
        "tempo_qpm": 96,
        "density_limits": [1.25, 1.75],
        "files": {"vocabulary.json": hashlib.sha256(text.encode()).hexdigest()},
    }
    return Bundle(folder, settings)


class UniformComposer(Composer):
    """A composer without a model."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self._vocabulary = bundle.tokenizer.vocabulary
        self.engine = UniformEngine(len(self._vocabulary))

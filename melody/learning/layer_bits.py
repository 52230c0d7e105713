"""Bits of a bundle's layers in the native engine: 4 where held-out pieces then cost hardly more than in 8, else 8.

    python -m melody.learning.layer_bits BUNDLE ...      decides for bundles that are there

Of a step's time most is the reading of its weights, and nine tenths of these are the layers'. `melody export` decides.
The step graph keeps its 8 bits: ONNX Runtime and training use them.
"""

import json
import sys
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melody.bundle import Bundle, open_bundle
from melody.corpus import TokenStore, open_store
from melody.engine.native import NativeEngine
from melody.errors import MelodyError
from melody.evaluation.likelihood import likelihood_of
from melody.native.library import core
from melody.storage.files import write_bytes

MOST_LOSS = 0.002  # nats a note
MOST_TOKENS = 40_000  # of valid


def decide(bundle: Bundle, store: TokenStore) -> dict[str, Any]:
    """Return what bundle.json says of it: the bits of each layer, and how many nats a note they lose against 8.

    Nothing without the native core, and of models that it does not serve.
    """
    split, pieces = store.split("valid"), list[NDArray[np.uint16]]()
    for index in range(len(split)):
        if sum(map(len, pieces)) < MOST_TOKENS:
            pieces.append(split.piece(index)[0])
    if core() is None or not bundle.has_step_graph or not pieces:
        return {}
    graph, notes = bundle.read("step.onnx"), int(split.notes[: len(pieces)].sum())
    try:
        engine = NativeEngine(graph)
    except ValueError:
        return {}

    def cost(rounded: Collection[int]) -> float:
        """Nats a note with these layers in 4 bits."""
        bits = [4 if layer in rounded else 8 for layer in range(engine.layers)]
        native = NativeEngine(graph, layer_bits=bits)
        return likelihood_of(pieces, notes, bundle, native).nats_per_note

    whole, chosen = cost(()), list(range(engine.layers))
    if (lost := cost(chosen) - whole) > MOST_LOSS:
        alone = {layer: cost([layer]) for layer in chosen}
        while chosen and lost > MOST_LOSS:
            chosen.remove(max(chosen, key=alone.__getitem__))
            lost = cost(chosen) - whole
    return {
        "layer_bits": [4 if layer in chosen else 8 for layer in range(engine.layers)],
        "layer_bits_lose": round(lost, 5),
    }


def main(models: list[str]) -> None:
    """Decide for each of some bundles, and write it down."""
    for model in models:
        bundle = open_bundle(model)
        found = decide(bundle, open_store(bundle.settings["corpus"]))
        path = bundle.folder / "bundle.json"
        settings = json.loads(path.read_text(encoding="utf-8")) | found
        write_bytes(path, json.dumps(settings, indent=1).encode(), force=True)
        print(f"{bundle.name}: {found}", flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except MelodyError as error:
        sys.exit(str(error))

"""Weights of a bundle in as few bits as cost held-out pieces hardly more.

    python -m melody.learning.short_weights BUNDLE ...      shortens those of bundles that are there

- tables have 8 bits; the rows of what training never met are zeros, which say nothing and stand there once
- layers have 4 bits where held-out pieces then cost at most `MOST_LOSS` more: of a step's time most is the reading of
  its weights, and nine tenths of these are the layers'
- of tables and the other layers both have 6, or one of them, where that costs at most half as much
- large matrices of the planner and the harmonist have 6 bits, too

`melody export` does the same.
"""

import hashlib
import json
import shutil
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from omegaconf import OmegaConf
from safetensors.numpy import save

from melody.bundle import Bundle, open_bundle
from melody.bundle.bundle import HARMONIST, PLANNER
from melody.config import TrainConfig, check_config
from melody.corpus import TokenStore, open_store
from melody.engine.graphs.parts import GraphWeights
from melody.engine.graphs.rounded import with_short_layers, with_short_tables, with_six_bits
from melody.engine.native import NativeEngine
from melody.engine.native_weights import read_weights
from melody.engine.told import told_by
from melody.errors import MelodyError
from melody.evaluation.likelihood import likelihood_of
from melody.learning.sources import sources_of
from melody.music.tensors import SMALL, shortened
from melody.native.library import core
from melody.storage.files import fresh_folder
from melody.tokens.channels import layout_of
from melody.tokens.contract import Tokenizer

MOST_LOSS = 0.002  # nats a note
MOST_TOKENS = 500_000  # of valid: 40,000 err by as much as the loss that is allowed
GRAPH = "step.onnx"
LEAST_FETCHES = 1000  # of pieces of train: each time another transposition, told other things


class HeldOut:
    """Held-out pieces, which tell what a step graph of a bundle costs."""

    def __init__(self, bundle: Bundle, store: TokenStore) -> None:
        split = store.split("valid")
        self.bundle, self.pieces = bundle, list[NDArray[np.uint16]]()
        for index in range(len(split)):
            if sum(map(len, self.pieces)) < MOST_TOKENS:
                self.pieces.append(split.piece(index)[0])
        self.notes = int(split.notes[: len(self.pieces)].sum())
        self._told = told_by(bundle)

    def cost(self, graph: bytes) -> float:
        """Nats a note. Raises `ValueError` for a graph that the native core does not serve."""
        engine = NativeEngine(graph, told=self._told)
        return likelihood_of(self.pieces, self.notes, self.bundle, engine).nats_per_note


def shorten_layers(bundle: Bundle, store: TokenStore) -> dict[str, Any]:
    """Keep as many layers of a bundle's step graph in 4 bits as may be; return its settings with what it then is.

    These say the bits of each layer, and how many nats a note they lose against 8; and what of the rest is rounded to
    6, as it stands in bytes all the same. Nothing changes without the native core, and of a model it does not serve.
    """
    held_out = HeldOut(bundle, store)
    if core() is None or not bundle.has_step_graph or not held_out.pieces:
        return dict(bundle.settings)
    graph = bundle.read(GRAPH)
    try:
        whole, layers = held_out.cost(graph), len(read_weights(graph).layers)
    except ValueError:
        return dict(bundle.settings)

    def lost(chosen: Collection[int]) -> float:
        return held_out.cost(with_short_layers(graph, chosen)) - whole

    chosen = list(range(layers))
    if (loss := lost(chosen)) > MOST_LOSS:
        alone = {layer: lost([layer]) for layer in chosen}
        while chosen and loss > MOST_LOSS:
            chosen.remove(max(chosen, key=alone.__getitem__))
            loss = lost(chosen) if chosen else 0.0
    bits = [4 if layer in chosen else 8 for layer in range(layers)]
    settings = {**bundle.settings, "layer_bits": bits, "layer_bits_lose": round(loss, 5)}
    short = with_short_layers(graph, chosen)
    others = [layer for layer in range(layers) if layer not in chosen]
    for rounded, table in [(others, True), (others, False), ([], True)] if others else [([], True)]:
        six = with_six_bits(short, rounded, table)
        if (more := held_out.cost(six) - whole - loss) <= MOST_LOSS / 2:
            told = {"layers": rounded, "table": table, "lose": round(more, 5)}
            return _with_file(bundle.folder, {**settings, "six_bits": told}, GRAPH, six)
    return _with_file(bundle.folder, settings, GRAPH, short)


def _with_file(folder: Path, settings: Mapping[str, Any], name: str, data: bytes) -> dict[str, Any]:
    """Put a file into a folder; return the settings that know it."""
    (folder / name).write_bytes(data)
    return {**settings, "files": {**settings["files"], name: hashlib.sha256(data).hexdigest()}}


def rows_met(config: TrainConfig, base: Bundle | None = None) -> NDArray[np.bool_] | None:
    """Tell of each row (rows,) of the tables of the token and of each channel if training met it.

    What its `base` knows counts, unless that is an earlier state of the model: it learned from the same music. None
    where training read what it composed, or was told of pieces as a whole.
    """
    if config.objective.name != "cross_entropy":
        return None
    sources, generator = sources_of(config), np.random.default_rng(config.data.seed)
    sizes = [len(sources.tokenizer.vocabulary), *(channel.size for channel in sources.tokenizer.channels)]
    first, met = np.cumsum([0, *sizes[:-1]]), np.zeros(sum(sizes), bool)
    pieces = len(sources.learnt)
    for fetch in range(pieces * -(-LEAST_FETCHES // max(1, pieces))):
        ids, context, *_ = sources.learnt.fetch(fetch % pieces, generator)
        met[np.column_stack([ids, context]) + first] = True
    return met if base is None or base.name == config.name else met | _rows_known(base, sources.tokenizer)


def _rows_known(base: Bundle, tokenizer: Tokenizer) -> NDArray[np.bool_]:
    """Tell of each row of a tokenizer's tables if a model knows it, which may be told of other channels, or less."""
    own = {channel.name: channel.size for channel in base.tokenizer.channels}
    sizes = {"token": len(tokenizer.vocabulary), **own}
    if not base.has_step_graph:
        known = {name: np.ones(size, bool) for name, size in sizes.items()}
    else:
        tables = GraphWeights(base.read("step.onnx")).tables([*sizes.values()])
        known = {name: np.asarray(table.any(axis=1)) for name, table in zip(sizes, tables, strict=True)}
    channels = [known.get(channel.name, np.zeros(0, bool)) for channel in tokenizer.channels]
    more = [channel.size - len(rows) for channel, rows in zip(tokenizer.channels, channels, strict=True)]
    return np.concatenate([known["token"], *map(np.pad, channels, [(0, rows) for rows in more])])


def shorten(bundle: Bundle) -> dict[str, Any]:
    """Shorten the weights of a bundle that is there, in place; return what it costs.

    Raises `MelodyError` for one without a step graph, or whose corpus is not prepared.
    """
    if not bundle.has_step_graph:
        raise MelodyError(f"{bundle.name}: this kind of model has no step graph to shorten")
    store, before = open_store(bundle.settings["corpus"]), bundle.read(GRAPH)
    base = bundle.settings.get("base", {}).get("name", bundle.name)
    met = rows_met(_config_of(bundle), open_bundle(base) if base != bundle.name else None)
    graph, held_out = with_short_tables(before, met), HeldOut(bundle, store)
    with fresh_folder(bundle.folder) as fresh:
        shutil.copytree(bundle.folder, fresh, dirs_exist_ok=True)
        _write(fresh, _with_file(fresh, bundle.settings, GRAPH, graph))
        _write(fresh, settings := shorten_layers(open_bundle(fresh), store))
        for name, network in ((PLANNER, bundle.planner), (HARMONIST, bundle.harmonist)):
            if network is not None:
                settings = _with_file(fresh, settings, name, save(shortened(network.weights, SMALL)))
        _write(fresh, settings)
    lost = {"layer_bits": settings.get("layer_bits"), "layers lose": settings.get("layer_bits_lose")}
    lost["six bits"] = settings.get("six_bits")
    if core() is not None:
        lost["tables lose"] = round(held_out.cost(graph) - held_out.cost(before), 5)
    return ({} if met is None else {"rows met": f"{met.mean():.0%}"}) | lost


def _write(folder: Path, settings: Mapping[str, Any]) -> None:
    (folder / "bundle.json").write_text(json.dumps(settings, indent=1), encoding="utf-8")


def _config_of(bundle: Bundle) -> TrainConfig:
    """The configuration of its training, without its base; it says which channels the model is told."""
    own: dict[str, Any] = OmegaConf.to_container(OmegaConf.create(bundle.read("config.yaml").decode()))  # type: ignore[assignment]
    own["data"] |= {"channels": [*bundle.channels], "voices": layout_of(bundle.channels).voices}
    return check_config(own | {"base": None}, bundle.folder / "config.yaml")


def main(models: Sequence[str]) -> None:
    """Shorten the weights of some bundles, and say what it costs."""
    for model in models:
        bundle = open_bundle(model)
        print(f"{bundle.name}: {shorten(bundle)}", flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except MelodyError as error:
        sys.exit(str(error))

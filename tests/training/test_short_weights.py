"""Weights of a bundle are shortened as far as held-out pieces cost hardly more, and what training never met is zero."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

from melody.bundle import Bundle, open_bundle
from melody.engine.blocks import (
    dequantized,
    quantize_blocks,
    quantize_rows,
    rounded_blocks,
    six_bit_blocks,
    six_bit_rows,
)
from melody.engine.graphs.parts import GraphWeights
from melody.engine.graphs.rounded import with_short_layers, with_short_tables, with_six_bits
from melody.learning import short_weights
from melody.native.library import core

native_only = pytest.mark.skipif(core() is None, reason="no native core")
SHIPPED = ["chorale", "folk", "pop", "drums", "band", "piano", "lied", "quartet"]


class Pieces:
    """A store whose valid split is one short piece."""

    notes = np.array([100])

    def split(self, name: str) -> "Pieces":
        assert name == "valid"
        return self

    def __len__(self) -> int:
        return 1

    def piece(self, index: int) -> tuple[np.ndarray, None]:
        return np.array([1, 572, 604, 2]), None


@pytest.fixture
def folk(tmp_path: Path) -> Bundle:
    """A copy of folk, to be changed."""
    shutil.copytree(open_bundle("folk").folder, tmp_path / "folk")
    return open_bundle(str(tmp_path / "folk"))


def decided(monkeypatch: pytest.MonkeyPatch, folk: Bundle, lose: Callable[[list[int]], float]) -> dict[str, object]:
    """Decide on folk, where layers in 4 bits lose so many nats a note."""
    rounded: list[list[int]] = [[]]
    real = short_weights.with_short_layers

    class Cost:
        nats_per_note = 0.0

        def __init__(self) -> None:
            self.nats_per_note = 1.5 + (lose(rounded[-1]) if rounded[-1] else 0)

    def noted(graph: bytes, layers: list[int]) -> bytes:
        rounded.append([*layers])
        return real(graph, layers)

    monkeypatch.setattr(short_weights, "with_short_layers", noted)
    monkeypatch.setattr(short_weights, "likelihood_of", lambda *_: Cost())
    settings = short_weights.shorten_layers(folk, Pieces())  # type: ignore[arg-type]
    (folk.folder / "bundle.json").write_text(json.dumps(settings))
    assert open_bundle(str(folk.folder)).read("step.onnx")  # its hash is the new one
    return {name: settings[name] for name in ("layer_bits", "layer_bits_lose")}


@native_only
def test_all_layers_where_they_lose_next_to_nothing(monkeypatch: pytest.MonkeyPatch, folk: Bundle) -> None:
    found = decided(monkeypatch, folk, lambda layers: 0.0005 * len(layers))
    assert found == {"layer_bits": [4, 4, 4], "layer_bits_lose": 0.0015}


@native_only
def test_those_that_lose_most_stay_in_eight(monkeypatch: pytest.MonkeyPatch, folk: Bundle) -> None:
    each = (0.0005, 0.01, 0.0012)
    found = decided(monkeypatch, folk, lambda layers: sum(each[layer] for layer in layers))
    assert found == {"layer_bits": [4, 8, 4], "layer_bits_lose": 0.0017}


@native_only
def test_none_where_all_lose_too_much(monkeypatch: pytest.MonkeyPatch, folk: Bundle) -> None:
    before = folk.read("step.onnx")
    assert decided(monkeypatch, folk, len) == {"layer_bits": [8, 8, 8], "layer_bits_lose": 0.0}
    assert (folk.folder / "step.onnx").read_bytes() == with_six_bits(before, [0, 1, 2])


@pytest.mark.parametrize("model", SHIPPED)
def test_shipped_models_lose_next_to_nothing(model: str) -> None:
    bundle = open_bundle(model)
    assert 4 not in bundle.layer_bits or bundle.settings["layer_bits_lose"] <= short_weights.MOST_LOSS
    six, graph = bundle.settings["six_bits"], bundle.read("step.onnx")
    assert six["lose"] <= short_weights.MOST_LOSS / 2
    assert with_six_bits(graph, six["layers"], six["table"]) == graph


@pytest.mark.parametrize("model", SHIPPED)
def test_shipped_layers_are_as_short_as_bundle_json_says(model: str) -> None:
    bundle = open_bundle(model)
    graph, bits = bundle.read("step.onnx"), bundle.layer_bits
    short = [layer for layer, own in enumerate(bits) if own == 4]
    assert with_short_layers(graph, short) == graph
    assert all(with_short_layers(graph, [layer]) != graph for layer in range(len(bits)) if layer not in short)


def test_blocks_that_are_rounded_stay_so_and_lose_at_most_what_is_cut() -> None:
    weight = np.random.default_rng(0).normal(size=(8, 128)).astype(np.float32)
    values, scales = quantize_blocks(weight)
    short, steps = rounded_blocks(values, scales)
    assert short.shape == values.shape
    assert steps.shape == scales.shape
    assert {*np.unique(short)} <= {*range(121, 136)}
    again = rounded_blocks(short, steps)
    assert np.array_equal(again[0], short)
    assert np.array_equal(again[1], steps)
    largest = np.abs(weight.reshape(8, 2, 64)).max(axis=2)
    error = np.abs((short.astype(np.float32) - 128) * steps.reshape(8, 2, 1) - weight.reshape(8, 2, 64)).max(axis=2)
    assert (error <= 0.4 * largest).all()  # of the largest, at most 6 of 16 parts are cut
    assert (steps.reshape(8, 2) <= largest / 7 * 1.001).all()


def test_blocks_and_rows_of_six_bits_lose_half_a_step_and_stay_so() -> None:
    weight = np.random.default_rng(0).normal(size=(8, 128)).astype(np.float32)
    blocks = six_bit_blocks(*quantize_blocks(weight))
    rows = six_bit_rows(*quantize_rows(weight))
    assert {*np.unique(blocks[0])} <= {*range(97, 160)}
    assert {*np.unique(rows[0])} <= {*range(-31, 32)}
    for short, whole, largest in (
        (dequantized(*blocks, 128), weight, np.abs(weight).max()),
        (rows[0] * rows[1], weight, np.abs(weight).max(axis=1, keepdims=True)),
    ):
        assert (np.abs(short - whole) <= largest / 31 / 2 + largest / 127 / 2 + 1e-6).all()
    for again, first in ((six_bit_blocks(*blocks), blocks), (six_bit_rows(*rows), rows)):
        assert all(map(np.array_equal, again, first))


def test_a_table_keeps_its_rows_but_those_never_met() -> None:
    bundle = open_bundle("folk")
    sizes = [len(bundle.tokenizer.vocabulary), *(channel.size for channel in bundle.tokenizer.channels)]
    graph = bundle.read("step.onnx")
    before = np.concatenate(GraphWeights(graph).tables(sizes))
    met = np.arange(sum(sizes)) % 2 == 0
    after = np.concatenate(GraphWeights(with_short_tables(graph, met)).tables(sizes))
    assert not after[~met].any()
    assert np.abs(after - before)[met].max() <= np.abs(before).max() / 250
    assert with_short_tables(with_short_tables(graph, met)) == with_short_tables(graph, met)

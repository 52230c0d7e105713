"""Layers in 4 bits are taken as far as held-out pieces cost hardly more."""

from collections.abc import Callable

import numpy as np
import pytest

from melody.bundle import open_bundle
from melody.learning import layer_bits
from melody.native.library import core

pytestmark = pytest.mark.skipif(core() is None, reason="no native core")


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


def decided(monkeypatch: pytest.MonkeyPatch, lose: Callable[[list[int]], float]) -> dict[str, object]:
    """Decide on folk, where layers in 4 bits lose so many nats a note."""
    made: list[list[int]] = []
    real = layer_bits.NativeEngine

    class Cost:
        def __init__(self, nats: float) -> None:
            self.nats_per_note = nats

    def engine(graph: bytes, layer_bits: tuple[int, ...] = ()) -> object:
        made.append([layer for layer, bits in enumerate(layer_bits) if bits == 4])
        return real(graph)

    monkeypatch.setattr(layer_bits, "NativeEngine", engine)
    monkeypatch.setattr(layer_bits, "likelihood_of", lambda *_: Cost(1.5 + lose(made[-1])))
    return layer_bits.decide(open_bundle("folk"), Pieces())  # type: ignore[arg-type]


def test_all_layers_where_they_lose_next_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = decided(monkeypatch, lambda layers: 0.0005 * len(layers))
    assert found == {"layer_bits": [4, 4, 4], "layer_bits_lose": 0.0015}


def test_those_that_lose_most_stay_in_eight(monkeypatch: pytest.MonkeyPatch) -> None:
    each = (0.0005, 0.01, 0.0012)
    found = decided(monkeypatch, lambda layers: sum(each[layer] for layer in layers))
    assert found == {"layer_bits": [4, 8, 4], "layer_bits_lose": 0.0017}


def test_none_where_all_lose_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    assert decided(monkeypatch, len) == {"layer_bits": [8, 8, 8], "layer_bits_lose": 0.0}


@pytest.mark.parametrize("model", ["chorale", "folk", "pop", "drums", "band", "piano"])
def test_shipped_models_lose_next_to_nothing(model: str) -> None:
    bundle = open_bundle(model)
    assert 4 not in bundle.layer_bits or bundle.settings["layer_bits_lose"] <= layer_bits.MOST_LOSS

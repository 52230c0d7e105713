"""Weights of small networks as a file holds them: in few bits and back; what is none is refused."""

from typing import Any

import numpy as np
import pytest

from melody.music.tensors import FEW, SCALE, shortened, tensors_of

SHAPES = {"large": (40, 96), "small": (4, 5), "bias": (2000,)}


def some() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {name: generator.normal(0, 0.3, shape).astype(np.float32) for name, shape in SHAPES.items()}


def test_large_matrices_come_back_within_half_a_step_of_their_row() -> None:
    weights = some()
    tensors = shortened(weights)
    assert {name: tensor.dtype.name for name, tensor in tensors.items()} == {
        "large": "int8",
        "large.scale": "float32",
        "small": "float16",
        "bias": "float16",
    }
    back = tensors_of("network", tensors, SHAPES)
    assert back.keys() == weights.keys()
    step = np.abs(weights["large"]).max(axis=1, keepdims=True) / 127
    assert (np.abs(back["large"] - weights["large"]) <= 0.501 * step).all()
    assert all(np.array_equal(back[name], weights[name].astype(np.float16)) for name in ("small", "bias"))


def test_what_was_shortened_stays_as_it_is() -> None:
    once = tensors_of("network", shortened(some()), SHAPES)
    again = tensors_of("network", shortened(once), SHAPES)
    assert all(np.allclose(again[name], once[name], rtol=1e-6, atol=0) for name in SHAPES)


def test_a_row_of_zeros_is_one_of_zeros() -> None:
    weights = {"large": np.zeros((FEW, 2), np.float32)}
    assert not tensors_of("network", shortened(weights), {"large": (FEW, 2)})["large"].any()


def test_floats_of_an_earlier_file_are_read_as_ever() -> None:
    halves = {name: weight.astype(np.float16) for name, weight in some().items()}
    back = tensors_of("network", halves, SHAPES)
    assert all(back[name].dtype == np.float32 and np.array_equal(back[name], halves[name]) for name in SHAPES)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"large": np.zeros((40, 95), np.int8)}, r"its large should be of shape \[40, 96\], there is \[40, 95\]"),
        ({"large" + SCALE: np.ones((1, 96), np.float32)}, "the scales of its large should be those of 40 rows"),
        ({"bias" + SCALE: np.ones((1, 1), np.float32)}, "the scales of its bias should be those of 2000 rows"),
        ({"large" + SCALE: np.full((40, 1), 3e38, np.float32)}, "the scales of its large are too large"),
    ],
)
def test_tensors_of_another_network_are_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=f"is no network: {reason}"):
        tensors_of("network", shortened(some()) | changes, SHAPES)

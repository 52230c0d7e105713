"""The rewriter: a masked Transformer that tells what any hidden cells of a grid may be, in numpy.

The grid is one of single voices (`melody.tokens.cells`) or of the drums of a kit (`melody.tokens.hits`); which one, the
number of values of its cells says.

`melody.models.masked_transformer` says what it computes, and `melody.learning.rewriter_model` trains it. Here it runs
without torch: some 20 ms for twelve bars on one core. Its weights travel in 4 bits, with a scale for a group of
weights of a row: half a percent more nats than in 32.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melody.music.tensors import SCALE, tensors_of
from melody.tokens.cells import GROUND, LINES, Cells, GridKind, Ground
from melody.tokens.hits import HITS

Floats = NDArray[np.float32]
MOST_LAYERS, MOST_WIDTH, MOST_VOICES = 16, 1024, 16
STEM, BARS = 5, (-2, -1, 1, 2)
GROUPS = (64, 32)  # weights with a scale of their own; the first that divides a row
KINDS = {kind.values: kind for kind in (LINES, HITS)}
EPSILON = float(np.finfo(np.float32).eps)  # of the norm, as torch has it


@dataclass(frozen=True)
class Rewriter:
    """The weights of a masked Transformer, by the names that torch has for them."""

    weights: Mapping[str, Floats]

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]]) -> "Rewriter":
        """The rewriter of arrays, in few bits or in floats. Raises `ValueError` for those of another model."""
        weights = {
            name: _unpacked(name, array, arrays.get(name + SCALE))
            for name, array in arrays.items()
            if not name.endswith(SCALE)
        }
        rewriter = cls(weights)
        rewriter.check()
        return rewriter

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The weights as a file has them: matrices in 4 bits, or 8 where groups do not fit, all else in 16."""
        result: dict[str, NDArray[Any]] = {}
        for name, weight in self.weights.items():
            if weight.ndim < 2 or name.endswith(".bias"):
                result[name] = np.ascontiguousarray(weight, np.float16)
                continue
            result[name], result[name + SCALE] = _packed(weight)
        return result

    @property
    def voices(self) -> int:
        """Voices of its grids."""
        return (len(self.weights["cells"]) - len(self.weights["head.weight"])) // 2

    @property
    def kind(self) -> GridKind:
        """The kind of its grids."""
        return KINDS[len(self.weights["head.weight"]) // self.voices]

    @property
    def sees_bars(self) -> bool:
        """Return True where each sixteenth sees the same place one and two bars away."""
        stem, norm = self.weights["stem.weight"], self.weights["norm.weight"]
        return bool(stem.ndim == 2 and stem.shape[1] != STEM * len(norm))

    @property
    def layers(self) -> int:
        """Layers of attention."""
        return sum(name.endswith(".mix.weight") for name in self.weights)

    def check(self) -> None:
        """Raise `ValueError` where a weight is missing, too many, or of another shape than the others."""
        try:
            width, voices = self.weights["norm.weight"].shape[0], self.voices
            heads, span = self.weights["layers.0.bias"].shape
            values = len(self.weights["head.weight"]) // max(1, voices)
            self.weights["stem.weight"]
        except (KeyError, ValueError, IndexError, TypeError) as error:
            raise ValueError("is no rewriter: it lacks its norm, its cells or a layer") from error
        if not (0 < width <= MOST_WIDTH and 0 < voices <= MOST_VOICES and 0 < self.layers <= MOST_LAYERS):
            raise ValueError(f"is a rewriter of {voices} voices, {self.layers} layers and width {width}: too large")
        if values not in KINDS:
            raise ValueError(f"is a rewriter of cells of {values} values, which no grid of melody's has")
        if heads < 1 or width % heads or span % 2 == 0:
            raise ValueError(f"is a rewriter whose {heads} heads do not share its width {width}")
        expected = self._shapes(width, voices, heads, span)
        tensors_of("rewriter", self.weights, expected)
        if extra := sorted(self.weights.keys() - expected.keys()):
            raise ValueError(f"is no rewriter: it holds {extra[0][:60]!r} too")

    def _shapes(self, width: int, voices: int, heads: int, span: int) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, tuple[int, ...]] = {
            "cells": (voices * (self.kind.values + 2), width),
            "stem.weight": (width, (STEM + self.sees_bars * len(BARS)) * width),
            "stem.bias": (width,),
            "norm.weight": (width,),
            "head.weight": (voices * self.kind.values, width),
            "head.bias": (voices * self.kind.values,),
        }
        for column in range(len(GROUND)):
            found = self.weights.get(f"ground.{column}")
            shapes[f"ground.{column}"] = (max(1, len(found)) if found is not None else 1, width)
        for layer in range(self.layers):
            for name, rows, columns in (("mix", 3, 1), ("out", 1, 1), ("up", 4, 1), ("down", 1, 4)):
                shapes[f"layers.{layer}.{name}.weight"] = (rows * width, columns * width)
                shapes[f"layers.{layer}.{name}.bias"] = (rows * width,)
            shapes[f"layers.{layer}.before.weight"] = shapes[f"layers.{layer}.between.weight"] = (width,)
            shapes[f"layers.{layer}.bias"] = (heads, span)
        return shapes

    def logits(self, cells: Cells, ground: Ground) -> Floats:
        """Return the logits (T, voices, values) of every cell (T, voices), those that are hidden above all."""
        w, values = self.weights, self.kind.values
        x = w["cells"][cells + np.arange(self.voices) * (values + 2)].sum(axis=1)  # (T, D)
        for column in range(len(GROUND)):
            table = w[f"ground.{column}"]
            x = x + table[np.minimum(ground[:, column], len(table) - 1)]
        side = STEM // 2
        padded = np.pad(x, ((side, side), (0, 0)))
        parts = [padded[step : step + len(x)] for step in range(STEM)]
        for bars in BARS if self.sees_bars else ():
            place = np.arange(len(x)) + bars * ground[:, 1]
            inside = (place >= 0) & (place < len(x))
            parts.append(np.where(inside[:, None], x[np.clip(place, 0, len(x) - 1)], np.float32(0)))
        around = np.concatenate(parts, axis=1)
        x = x + np.maximum(self._linear("stem", around), 0)
        for layer in range(self.layers):
            x = self._layer(f"layers.{layer}", x)
        return self._linear("head", _norm(x, w["norm.weight"])).reshape(len(x), self.voices, values)

    def _layer(self, name: str, x: Floats) -> Floats:
        """One layer over x (T, D)."""
        count, width = x.shape
        bias = self._biases(name, count)  # (H, T, T)
        mixed = self._linear(f"{name}.mix", _norm(x, self.weights[f"{name}.before.weight"]))
        q, k, v = mixed.reshape(count, 3, len(bias), -1).transpose(1, 2, 0, 3)  # (H, T, D / H)
        scores = q @ k.transpose(0, 2, 1) * np.float32(q.shape[-1] ** -0.5) + bias
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        attended = (scores / scores.sum(axis=-1, keepdims=True)) @ v
        x = x + self._linear(f"{name}.out", attended.transpose(1, 0, 2).reshape(count, width))
        inner = np.maximum(self._linear(f"{name}.up", _norm(x, self.weights[f"{name}.between.weight"])), 0) ** 2
        return x + self._linear(f"{name}.down", inner)

    def _biases(self, name: str, count: int) -> Floats:
        """Biases that distances add to the scores of each head (H, T, T)."""
        if self._known.get(name, self.weights["head.bias"]).shape[-1] != count:
            table = self.weights[f"{name}.bias"]
            reach, steps = table.shape[1] // 2, np.arange(count)
            self._known[name] = table[:, np.clip(steps[None] - steps[:, None], -reach, reach) + reach]
        return self._known[name]

    @cached_property
    def _known(self) -> dict[str, Floats]:
        """Biases of the length read last, by layer."""
        return {}

    @cached_property
    def _transposed(self) -> dict[str, Floats]:
        return {
            name: np.ascontiguousarray(weight.T)
            for name, weight in self.weights.items()
            if weight.ndim == 2 and name.endswith(".weight")
        }

    def _linear(self, name: str, x: Floats) -> Floats:
        result: Floats = x @ self._transposed[f"{name}.weight"] + self.weights[f"{name}.bias"]
        return result


def _packed(weight: Floats) -> tuple[NDArray[np.int8], NDArray[Any]]:
    """A matrix (R, C) in 4 bits, two to a byte (R, C / 2), and the scales of its groups (R, C / group).

    In 8 bits (R, C), with scales (R, 1) in 32 bits, where groups do not divide its rows.
    """
    rows, columns = weight.shape
    group, most = next(((group, 7) for group in GROUPS if columns % group == 0), (columns, 127))
    parts = weight.reshape(rows, -1, group)
    scale = (np.maximum(np.abs(parts).max(axis=2), 1e-6) / most).astype(np.float16 if most == 7 else np.float32)
    values = np.rint(parts / scale[..., None].astype(np.float32)).clip(-most - 1, most)
    whole = values.astype(np.int8).reshape(rows, columns)
    if most == 127:
        return whole, scale
    return np.ascontiguousarray((whole[:, ::2] & 15) | (whole[:, 1::2] << 4)), scale


def _unpacked(name: str, array: NDArray[Any], scale: NDArray[Any] | None) -> Floats:
    """An array in 32 bits. Raises `ValueError` for scales that are not of its groups."""
    if scale is None:
        return np.asarray(array, np.float32)
    if array.ndim == 2 and scale.shape == (len(array), 1) and scale.dtype == np.float32:
        return np.asarray(array, np.float32) * scale.astype(np.float32)
    shapes = {(len(array), 2 * array.shape[1] / group): group for group in GROUPS} if array.ndim == 2 else {}
    if array.dtype != np.int8 or scale.shape not in shapes:
        raise ValueError(f"is no rewriter: the scales of {name[:60]!r} are not those of its rows or groups")
    both = np.stack([array << 4 >> 4, array >> 4], axis=2).reshape(len(array), -1, shapes[scale.shape])
    return np.asarray((both * scale[..., None].astype(np.float32)).reshape(len(array), -1), np.float32)


def _norm(x: Floats, weight: Floats) -> Floats:
    """Root mean square norm of x (T, D)."""
    return np.asarray(x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + EPSILON) * weight, np.float32)

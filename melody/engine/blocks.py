"""Weights in few bits: matrices in blocks of a row's 64 weights that share a scale, tables in rows that have one.

All are of 8 bits. Some matrices are rounded to 4, others and tables to 6, a byte each as well: so one product serves
all, files that are packed are small, and the native core keeps those of 4 in 4.
"""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Number = TypeVar("Number", bound=np.generic)
# With 128 or more a step is a twentieth faster, but on AVX-512 ONNX Runtime then sums the last row of an odd batch in
# another order, and a take would depend on its neighbours.
BLOCK = 64
# Scales of tables are whole multiples of its inverse: so are the rows, and their sum is the same in any order.
TABLE_UNIT = 2**20
SIX_BITS = 31  # steps on either side of zero


def quantize_blocks(weight: Floats) -> tuple[NDArray[np.uint8], Floats]:
    """8-bit values (N, K / block, block) around 128 and their scales (N * K / block,); K is padded with zeros."""
    rows, columns = weight.shape
    padded = np.pad(weight, ((0, 0), (0, -columns % BLOCK))).reshape(rows, -1, BLOCK)
    scale = np.abs(padded).max(axis=2, keepdims=True) / 127
    values = np.round(padded / np.where(scale == 0, 1, scale)) + 128
    return values.astype(np.uint8), scale.astype(np.float32).ravel()


def dequantized(values: NDArray[np.uint8], scales: Floats, columns: int) -> Floats:
    """Return the matrix (N, columns) whose blocks `quantize_blocks` gave."""
    rows, blocks, _ = values.shape
    weight = (values.astype(np.float32) - 128) * scales.reshape(rows, blocks, 1)
    return np.asarray(weight.reshape(rows, -1)[:, :columns], np.float32)


def rounded_blocks(values: NDArray[np.uint8], scales: Floats) -> tuple[NDArray[np.uint8], Floats]:
    """Round blocks to 4 bits, seven steps on either side of 128; return their values and scales in the same shapes.

    The largest values of a block may be cut, to 10 of 16 parts: by as much as makes the sum of squared errors least.
    The core does the same, bit by bit (`pack_nibbles` in native/core/model.c); what is so already stays.
    """
    size = np.abs(values.astype(np.int32) - 128)
    tops = np.maximum(1, size.max(axis=2, keepdims=True)) * np.arange(10, 17)  # sixteen times the value of seven steps
    errors = [((112 * size - _steps(size, top) * top) ** 2).sum(axis=2) for top in np.split(tops, 7, axis=2)]
    best = np.take_along_axis(tops, np.argmin(errors, axis=0)[..., None], axis=2)
    steps = _steps(size, best)
    short = np.where(values < 128, 128 - steps, 128 + steps).astype(np.uint8)
    return short, scales * (best.astype(np.float32) / np.float32(112)).reshape(scales.shape)


def six_bit_blocks(values: NDArray[np.uint8], scales: Floats) -> tuple[NDArray[np.uint8], Floats]:
    """Round blocks to `SIX_BITS` steps on either side of 128; those that have no more stay. Shapes are the same."""
    size = np.abs(values.astype(np.int32) - 128).max(axis=2, keepdims=True)
    step = np.maximum(1, size.astype(np.float32) / SIX_BITS)
    short = np.round((values.astype(np.float32) - 128) / step) + 128
    return short.astype(np.uint8), scales * step.reshape(scales.shape)


def six_bit_rows(values: NDArray[np.int8], scales: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Round rows (N, D) to `SIX_BITS` steps on either side of zero, and their scales (N, 1); others stay."""
    long = np.abs(values.astype(np.int32)).max(axis=1, keepdims=True) > SIX_BITS
    short, steps = quantize_rows(values * scales, SIX_BITS)
    return np.where(long, short, values), np.where(long, steps, scales)


def _steps(size: NDArray[np.int32], top: NDArray[np.int_]) -> NDArray[np.int32]:
    """Count the steps of each value, seven at most, of which one is top / (7 * 16)."""
    steps = size.astype(np.float32) * (np.float32(112) / top.astype(np.float32)) + np.float32(0.5)
    return np.minimum(steps.astype(np.int32), 7)


def quantize_rows(table: Floats, most: int = 127) -> tuple[NDArray[np.int8], Floats]:
    """Return a table (N, D) as whole numbers (N, D) from -most to most, and the scale of each row (N, 1)."""
    largest = np.abs(table).max(axis=1, keepdims=True).astype(np.float64)
    scale = np.ceil(largest * TABLE_UNIT / most) / TABLE_UNIT
    values = np.round(table / np.where(scale == 0, 1, scale))
    return values.astype(np.int8), scale.astype(np.float32)


def spoken_places(table: NDArray[Any]) -> NDArray[np.int32]:
    """Return the places (N,) of the rows of a table (N, D) where those that say nothing, zeros alone, are one."""
    speaks = table.any(axis=1)
    return np.where(speaks, np.cumsum(speaks), 0).astype(np.int32)


def spoken(rows: NDArray[Number], places: NDArray[np.int32]) -> NDArray[Number]:
    """Return an array (N, ...) as a table of these places: a row of zeros, and behind it those that say something."""
    return np.concatenate([np.zeros_like(rows[:1]), rows[places > 0]])

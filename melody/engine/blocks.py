"""Matrices in 8-bit blocks: 64 weights of a row share a scale."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
# With 128 or more a step is a twentieth faster, but on AVX-512 ONNX Runtime then sums the last row of an odd batch in
# another order, and a take would depend on its neighbours.
BLOCK = 64


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

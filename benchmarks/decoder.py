"""The rival in races of speed: melody's own Transformer, stepped with a cache that is allocated once.

In `melody.models` the keys and values of the past move along with the carry. Here a step writes its own into place and
copies nothing else, which is the fastest way that torch has: an honest rival. Keys are turned before they are kept.

`shape_of(parameters)` gives the width, layers and heads of a decoder whose blocks have so many parameters, in the
proportions of GPT-2 (64 wide for each layer, heads of 64).
"""

import torch
from torch import Tensor
from torch.nn import functional

from melody.models.transformer import Block, Transformer, rotary_angles, turned

WIDTH_PER_LAYER = 64  # GPT-2: 768 / 12
HEAD_WIDTH = 64


class CachedDecoder:
    """A Transformer without context channels that reads one token a step, up to its memory."""

    def __init__(self, model: Transformer) -> None:
        self.model = model.eval()
        width = model.hidden_size // model.heads
        shape = (len(model.blocks), 1, model.heads, model.memory, width)
        self.keys, self.values = torch.zeros(shape), torch.zeros(shape)  # (L, 1, H, M, D / H)
        self.angles = rotary_angles(0, model.memory, width, self.keys.device)
        self.length = 0  # of what has been read

    def step(self, token: Tensor) -> Tensor:
        """Read a token (1, 1); return the logits (1, 1, V) of the next."""
        if self.length == self.model.memory:
            raise ValueError(f"{self.length + 1} tokens: the cache has {self.length} places")
        here, end = self.angles[self.length : self.length + 1], self.length + 1
        x = self.model.embedding(token)  # (1, 1, D)
        for block, keys, values in zip(self.model.blocks, self.keys, self.values, strict=True):
            assert isinstance(block, Block)
            query, key, value = (part.view(1, 1, self.model.heads, -1).transpose(1, 2) for part in block.parts(x))
            keys[:, :, self.length : end], values[:, :, self.length : end] = turned(key, here), value
            found = functional.scaled_dot_product_attention(turned(query, here), keys[:, :, :end], values[:, :, :end])
            x = block.add(x, found.transpose(1, 2).flatten(2))
        self.length = end
        return functional.linear(self.model.norm(x), self.model.embedding.weight, self.model.head_bias)


def shape_of(parameters: int) -> tuple[int, int, int]:
    """Return (width, layers, heads) of blocks with about so many parameters: 12 D^2 each, in GPT-2's proportions."""
    layers = max(1, round((parameters / (12 * WIDTH_PER_LAYER**2)) ** (1 / 3)))
    width = (parameters / (12 * layers)) ** 0.5
    heads = max(1, round(width / HEAD_WIDTH))
    return heads * 4 * max(1, round(width / (heads * 4))), layers, heads

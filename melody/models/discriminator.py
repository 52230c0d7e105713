"""A discriminator: a small bidirectional LSTM that tells stretches of tokens that people wrote from drawn ones.

It reads a stretch whole and has no carry, so it is no model of `MODELS`.
"""

import torch
from torch import Tensor, nn


class Discriminator(nn.Module):
    """`discriminator(tokens (B, T), mask (B, T)) -> (B,)`: logits that a stretch was written by people.

    In place of tokens it reads shares of them (B, T, V), too, whose gradient is that of the embeddings.
    """

    def __init__(self, vocabulary_size: int, width: int = 64, dropout: float = 0.0) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, width)
        self.lstm = nn.LSTM(width, width, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * width, 1)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return a logit for each stretch, from the mean of its states where `mask` is true."""
        shared = tokens.dim() > mask.dim()
        embedded = tokens @ self.embedding.weight if shared else self.embedding(tokens)
        states, _ = self.lstm(self.dropout(embedded))  # (B, T, 2 W)
        weights = mask / mask.sum(dim=1, keepdim=True).clamp(min=1)
        mean: Tensor = torch.einsum("btw,bt->bw", states, weights.to(states.dtype))
        logits: Tensor = self.head(self.dropout(mean))[:, 0]
        return logits

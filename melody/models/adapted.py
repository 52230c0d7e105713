"""A residual LSTM that stays as it is, with an adapter: its first carry, and a change of low rank in its head."""

import torch
from torch import Tensor, nn

from melody.models.carry import Carry
from melody.models.residual_lstm import ResidualLSTM


class AdaptedLSTM(nn.Module):
    """`model(tokens (B, T), carry, context (B, T, C)) -> (logits (B, T, V), carry)`; only the adapter is learned."""

    def __init__(self, model: ResidualLSTM, rank: int) -> None:
        super().__init__()
        self.model = model.eval().requires_grad_(False)
        vocabulary, width = model.embedding.weight.shape
        self.names = list(model.start(1))  # names, in the order of the carry
        self.begun = nn.Parameter(torch.zeros(len(self.names), width))
        self.down = nn.Parameter(torch.randn(width, rank) * width**-0.5)
        self.up = nn.Parameter(torch.zeros(rank, vocabulary))
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def train(self, mode: bool = True) -> "AdaptedLSTM":
        """Leave the model as it is: what is learned is small, and dropout would only blur it."""
        return self

    def start(self, batch_size: int, condition: Carry | None = None) -> Carry:
        """Return the carry before the first token of a piece, as learned."""
        known = self.model.start(batch_size, condition)
        rows = dict(zip(self.names, self.begun, strict=True))
        return {name: rows[name].expand_as(part) for name, part in known.items()}

    def forward(self, tokens: Tensor, carry: dict[str, Tensor], context: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Logits (B, T, V), at each token for the one that follows it, and the carry after the last."""
        x, new = self.model.states(tokens, carry, context)
        return self.model.head(x, context) + (x @ self.down) @ self.up + self.bias, new

    def weights(self) -> dict[str, nn.Parameter]:
        """The adapter's weights by the names in its file."""
        return {"start": self.begun, "down": self.down, "up": self.up, "bias": self.bias}

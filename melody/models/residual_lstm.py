"""A deep LSTM with residual connections: the model melody is built on.

    x = token embedding + sum of one embedding a context channel              (B, T, D)
    for each layer: x = x + dropout(LSTM(x))                                  one nn.LSTM a layer: oneDNN, cuDNN
    optionally: x = x + attention over the last M states
    logits = x E^T + b, with E the token embedding                            (B, T, V)

Choices, with their sources: forget bias 1 (Gers et al. 2000; Jozefowicz et al. 2015); Xavier for input weights,
orthogonal recurrent weights; dropout is locked, one mask a sequence and window (Gal & Ghahramani 2016,
arXiv:1512.05287); weight dropout on the recurrent matrices (Merity et al. 2017, arXiv:1708.02182); tied embeddings
(Press & Wolf 2016, arXiv:1608.05859).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from melody.models.attention import MemoryAttention
from melody.models.carry import Carry


class ResidualLSTM(nn.Module):
    """See the module. `channel_sizes` are the numbers of values of the context channels, in their order."""

    causal = True

    def __init__(
        self,
        vocabulary_size: int,
        channel_sizes: Sequence[int] = (),
        hidden_size: int = 512,
        layers: int = 3,
        dropout: float = 0.2,
        input_dropout: float = 0.1,
        token_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        attention_heads: int = 0,
        attention_memory: int = 256,
    ) -> None:
        super().__init__()
        self.hidden_size, self.layers = hidden_size, layers
        self.dropout, self.input_dropout = dropout, input_dropout
        self.token_dropout, self.weight_dropout = token_dropout, weight_dropout
        self.embedding = nn.Embedding(vocabulary_size, hidden_size)
        self.channels = nn.ModuleList([nn.Embedding(size, hidden_size) for size in channel_sizes])
        self.lstms = nn.ModuleList([nn.LSTM(hidden_size, hidden_size) for _ in range(layers)])
        self.attention = MemoryAttention(hidden_size, attention_heads, attention_memory) if attention_heads else None
        self.head_bias = nn.Parameter(torch.zeros(vocabulary_size))
        self._initialise()

    def _initialise(self) -> None:
        nn.init.normal_(self.embedding.weight, std=self.hidden_size**-0.5)  # tied: logits start at about unit scale
        for channel in self.channels:
            nn.init.normal_(channel.weight, std=self.hidden_size**-0.5 / max(1, len(self.channels)) ** 0.5)
        for lstm in self.lstms:
            nn.init.xavier_uniform_(lstm.weight_ih_l0)
            for gate in lstm.weight_hh_l0.data.chunk(4):
                nn.init.orthogonal_(gate)
            nn.init.zeros_(lstm.bias_hh_l0)
            nn.init.zeros_(lstm.bias_ih_l0)
            lstm.bias_ih_l0.data[self.hidden_size : 2 * self.hidden_size] = 1.0  # forget gate; gates are i, f, g, o

    def initial_carry(self, batch_size: int, device: torch.device | str = "cpu") -> Carry:
        """What the model knows before the first token of a piece: zeros."""
        zeros = torch.zeros(batch_size, self.layers, self.hidden_size, device=device)
        carry: dict[str, Carry] = {"h": zeros, "c": zeros.clone()}  # (B, L, D) each
        if self.attention is not None:
            carry["memory"] = self.attention.initial_carry(batch_size, device)
        return carry

    def forward(self, tokens: Tensor, carry: Carry, context: Tensor) -> tuple[Tensor, Carry]:
        """tokens (B, T), context (B, T, C) -> logits (B, T, V), carry."""
        x = self._embed(tokens, context).transpose(0, 1)  # (T, B, D): time-major is faster
        x = self._locked_dropout(x, self.input_dropout)
        states: list[tuple[Tensor, Tensor]] = []
        for index, lstm in enumerate(self.lstms):
            h, c = carry["h"][:, index], carry["c"][:, index]  # (B, D)
            out, (h, c) = self._run(lstm, x, h, c)
            states.append((h, c))
            x = x + self._locked_dropout(out, self.dropout)
        after: dict[str, Carry] = {name: torch.stack(parts, 1) for name, parts in zip("hc", zip(*states), strict=True)}
        x = x.transpose(0, 1)  # (B, T, D)
        if self.attention is not None:
            attended, after["memory"] = self.attention(x, carry["memory"])
            x = x + attended
        return x @ self.embedding.weight.T + self.head_bias, after

    def _embed(self, tokens: Tensor, context: Tensor) -> Tensor:
        x = self.embedding(tokens)  # (B, T, D)
        if self.training and self.token_dropout:  # a word is unknown now and then, all its context stays
            x = x * (torch.rand(*tokens.shape, 1, device=x.device) >= self.token_dropout)
        for index, channel in enumerate(self.channels):
            x = x + channel(context[..., index])
        return x

    def _run(self, lstm: nn.Module, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """One layer over x (T, B, D) from the state h, c (B, D)."""
        start = (h[None].contiguous(), c[None].contiguous())
        if self.training and self.weight_dropout:
            weights = dict(lstm.named_parameters())
            weights["weight_hh_l0"] = nn.functional.dropout(weights["weight_hh_l0"], self.weight_dropout)
            out, (h, c) = torch.func.functional_call(lstm, weights, (x, start))
        else:
            out, (h, c) = lstm(x, start)
        return out, (h[0], c[0])

    def _locked_dropout(self, x: Tensor, rate: float) -> Tensor:
        """Dropout of x (T, B, D) with one mask for all times."""
        if not self.training or not rate:
            return x
        mask = torch.empty(1, *x.shape[1:], device=x.device).bernoulli_(1 - rate) / (1 - rate)
        return x * mask.to(x.dtype)

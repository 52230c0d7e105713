"""The residual LSTM: each layer adds what it has to say to a stream that runs from the embedding to the head.

- x = token embedding + one embedding for each context channel; x = x + dropout(LSTM(x)) for each layer
- head tied to the token embedding (Press & Wolf 2016, arXiv:1608.05859), with a bias of its own
- locked dropout: one mask for each sequence and window (Gal & Ghahramani 2015, arXiv:1512.05287); embedding dropout
  takes away whole tokens, weight dropout recurrent connections (Merity et al. 2017, arXiv:1708.02182), channel
  dropout a whole channel of a sequence and window
- optional attention over a bounded memory of past states after the last layer
- optional scores for intervals in the head, beside those for tokens
- batch first outside; time-major inside, as `nn.LSTM` and cuDNN like it
- Xavier input weights, orthogonal recurrent ones, forget bias 1 (Jozefowicz et al. 2015)
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from melody.models.attention import MemoryAttention
from melody.models.carry import Carry, unconditioned
from melody.models.embedding import summed
from melody.models.intervals import IntervalHead, IntervalPlaces


class ResidualLSTM(nn.Module):
    """`model(tokens (B, T), carry, context (B, T, C)) -> (logits (B, T, V), carry)`.

    The carry is a dict: ``h_0``, ``c_0``, ``h_1`` ... (B, D) in fp32, and with attention ``keys``, ``values``
    (B, memory, D), ``filled`` (B, memory) and ``pending`` (B, 1, D).
    """

    def __init__(
        self,
        vocabulary_size: int,
        channel_sizes: Sequence[int],
        hidden_size: int = 512,
        layers: int = 3,
        dropout: float = 0.2,
        input_dropout: float = 0.0,
        embedding_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        channel_dropout: float = 0.0,
        attention: Mapping[str, int] | None = None,
        intervals: IntervalPlaces | None = None,
    ) -> None:
        """`attention` is None or ``{"heads": 8, "memory": 512}``; `intervals` is how pitches relate to channels."""
        super().__init__()
        self.hidden_size = hidden_size
        self.dropout, self.input_dropout = dropout, input_dropout
        self.embedding_dropout, self.weight_dropout = embedding_dropout, weight_dropout
        self.channel_dropout = channel_dropout
        self.embedding = nn.Embedding(vocabulary_size, hidden_size)
        self.channels = nn.ModuleList(nn.Embedding(size, hidden_size) for size in channel_sizes)
        self.lstms = nn.ModuleList(nn.LSTM(hidden_size, hidden_size) for _ in range(layers))
        self.attention = MemoryAttention(hidden_size, **attention) if attention else None
        self.head_bias = nn.Parameter(torch.zeros(vocabulary_size))
        self.intervals = IntervalHead(hidden_size, intervals) if intervals else None
        self._initialise()

    def _initialise(self) -> None:
        # A head row of norm 1 gives logits of the size of the stream. The channels share a variance of 1 between them.
        nn.init.normal_(self.embedding.weight, std=self.hidden_size**-0.5)
        for channel in self.channels:
            (weight,) = channel.parameters()
            nn.init.normal_(weight, std=0.5 * len(self.channels) ** -0.5)
        for lstm in self.lstms:
            weight_ih, weight_hh, bias_ih, bias_hh = lstm.parameters()  # gates i, f, g, o one below the other
            for gate_ih, gate_hh in zip(weight_ih.chunk(4), weight_hh.chunk(4), strict=True):
                nn.init.xavier_uniform_(gate_ih)
                nn.init.orthogonal_(gate_hh)
            nn.init.zeros_(bias_ih)
            nn.init.zeros_(bias_hh)
            nn.init.ones_(bias_ih.chunk(4)[1])  # only the sum of both biases counts

    def start(self, batch_size: int, condition: Carry | None = None) -> dict[str, Tensor]:
        """Return the carry before the first token of a piece: zeros. Raises `ValueError` for a condition."""
        unconditioned("residual_lstm", condition)
        device = self.head_bias.device
        names = [f"{state}_{layer}" for layer in range(len(self.lstms)) for state in "hc"]
        carry = {name: torch.zeros(batch_size, self.hidden_size, device=device) for name in names}
        return carry if self.attention is None else carry | self.attention.start(batch_size)

    def forward(
        self, tokens: Tensor, carry: dict[str, Tensor], context: Tensor, beside: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Logits (B, T, V), at each token for the one that follows it, and the carry after the last.

        What another network has to say (B, T, D) may stand `beside` the embeddings.
        """
        x, new = self.states(tokens, carry, context, beside)
        return self.head(x, context), new

    def states(
        self, tokens: Tensor, carry: dict[str, Tensor], context: Tensor, beside: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return what the head sees (B, T, D), and the carry after the last token."""
        x = self._embed(tokens.T, context.transpose(0, 1))  # (T, B, D)
        x = self._locked(x if beside is None else x + beside.transpose(0, 1), self.input_dropout)
        new: dict[str, Tensor] = {}
        for layer, lstm in enumerate(self.lstms):
            y, new[f"h_{layer}"], new[f"c_{layer}"] = self._run(lstm, x, carry[f"h_{layer}"], carry[f"c_{layer}"])
            x = x + self._locked(y, self.dropout)
        x = x.transpose(0, 1)  # (B, T, D)
        if self.attention is not None:
            recalled, memory = self.attention(x, carry)
            x = x + self._locked(recalled, self.dropout, time=1)
            new |= memory
        return x, new

    def head(self, x: Tensor, context: Tensor) -> Tensor:
        """Return the logits (B, T, V) of states (B, T, D)."""
        logits = functional.linear(x, self.embedding.weight, self.head_bias)
        return logits if self.intervals is None else self.intervals(logits, x, context)

    def _embed(self, tokens: Tensor, context: Tensor) -> Tensor:
        """The sum (T, B, D) of the embeddings of tokens (T, B) and channels (T, B, C)."""
        weight = self.embedding.weight
        if self.training and self.embedding_dropout:
            kept = functional.dropout(torch.ones_like(weight[:, :1]), self.embedding_dropout)  # (V, 1)
            weight = weight * kept
        shares = None
        if self.training and self.channel_dropout:  # for each sequence and channel
            shares = functional.dropout(torch.ones_like(context[:1], dtype=weight.dtype), self.channel_dropout)
        return summed(tokens, context, [weight, *self.channels.parameters()], shares)

    def _run(self, lstm: nn.Module, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One layer over x (T, B, D) from the states h and c (B, D)."""
        if self.training and self.weight_dropout:
            weight_ih, weight_hh, *biases = lstm.parameters()
            weights = [weight_ih, functional.dropout(weight_hh, self.weight_dropout), *biases]
            y, h, c = torch.lstm(x, (h[None], c[None]), weights, True, 1, 0.0, True, False, False)
        else:
            y, (h, c) = lstm(x, (h[None], c[None]))
        return y, h[0].float(), c[0].float()  # the carry stays in fp32 under autocast

    def _locked(self, x: Tensor, rate: float, time: int = 0) -> Tensor:
        """Dropout with one mask for all times (dimension `time` of x)."""
        if not (self.training and rate):
            return x
        return x * functional.dropout(torch.ones_like(x.narrow(time, 0, 1)), rate)

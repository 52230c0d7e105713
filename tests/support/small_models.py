"""Small models of every kind with weights that hide nothing, and something for them to read."""

import numpy as np
import torch
from torch import Tensor, nn

from melody.models import MODELS, build
from melody.tokens import Channel
from melody.tokens.clock import ClockView
from melody.tokens.given import GivenView
from melody.tokens.intervals import interval_view

VOCABULARY, CHANNELS = 13, (5, 3)
SMALL = {"hidden_size": 16, "layers": 2}
CLOCK = ClockView(  # by the second channel: each value of it is a beat, two of the first are a phrase
    columns=np.array([0, 1, 0]),
    bars=np.eye(VOCABULARY, dtype=np.float32)[1],
    beats=np.arange(15, dtype=np.float32).reshape(3, 5) // 2,
    phrases=np.arange(5, dtype=np.float32) // 2,
)
CLOCKWORK = {**SMALL, "beat": 4, "bar": 3, "phrase": 2, "clock": CLOCK}
GIVEN = GivenView(  # two numbers a step; the first channel is the place in the bar, the second the meter
    names=("given_0", "chord"),
    sizes=(7, 3),
    columns=np.array([0, 1]),
    bar=1,
    lengths=np.array([0, 4, 6]),
    step=2,
)
ENCODING = {**SMALL, "encoder_size": 4, "steps": 9, "given": GIVEN}
INTERVALS = interval_view([range(2, 6), range(8, 12)], 0, [Channel("voice", 5, moves="pitch")], ["voice"], widest=2)
VARIANTS = {
    **{name: (name, SMALL) for name in MODELS if name not in ("clockwork_lstm", "encoder_decoder")},
    "encoder_decoder": ("encoder_decoder", ENCODING),
    "encoder-decoder with intervals": ("encoder_decoder", {**ENCODING, "intervals": INTERVALS}),
    "clockwork_lstm": ("clockwork_lstm", CLOCKWORK),
    "clockwork with intervals": ("clockwork_lstm", {**CLOCKWORK, "intervals": INTERVALS}),
    "attention": ("residual_lstm", {**SMALL, "attention": {"heads": 2, "memory": 7}}),
    "attention over one state": ("residual_lstm", {**SMALL, "attention": {"heads": 4, "memory": 1}}),
    "all dropouts": (
        "residual_lstm",
        {
            **SMALL,
            **dict.fromkeys(["dropout", *(f"{k}_dropout" for k in ("input", "embedding", "weight", "channel"))], 0.3),
        },
    ),
    "intervals": ("residual_lstm", {**SMALL, "intervals": INTERVALS}),
    "transformer with a short memory": ("transformer", {**SMALL, "heads": 2, "memory": 6}),
    "transformer with intervals": ("transformer", {**SMALL, "heads": 2, "memory": 30, "intervals": INTERVALS}),
}


def model_of(variant: str) -> nn.Module:
    torch.manual_seed(1)
    name, options = VARIANTS[variant]
    model = build(name, VOCABULARY, CHANNELS, **options)
    with torch.no_grad():  # nothing that a fresh model leaves at zero may hide a mistake
        for weight in model.parameters():
            weight += 0.1 * torch.randn_like(weight)
    return model.eval()


def music(batch: int = 3, time: int = 20, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, VOCABULARY, (batch, time), generator=generator)
    context = torch.stack([torch.randint(0, size, (batch, time), generator=generator) for size in CHANNELS], 2)
    return tokens, context


def logits_of(model: nn.Module, tokens: Tensor, context: Tensor) -> Tensor:
    with torch.no_grad():
        return model(tokens, model.start(len(tokens)), context)[0]

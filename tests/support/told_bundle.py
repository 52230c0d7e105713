"""A bundle of an encoder-decoder with random weights, and something that its pieces are told."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save
from torch import nn

from melody.bundle.bundle import ENCODER
from melody.engine.graphs import STEP_GRAPHS
from melody.models import build
from melody.tokens import EventTokenizer
from melody.tokens.channels import names_of
from melody.tokens.conditions import Conditions
from melody.tokens.given import given_rows
from melody.tokens.views import views_of
from support.tiny_bundle import tiny_files, write_bundle

NAME, TOKENIZER = "encoder_decoder", EventTokenizer(names_of(("read", "foreseen", "repetition")))
OPTIONS = {"hidden_size": 64, "layers": 2, "encoder_size": 12, "encoder_layers": 2, "steps": 40}
VIEWS = views_of(TOKENIZER, {"name": NAME, **OPTIONS})


def told_model(seed: int = 1, **options: Any) -> nn.Module:
    """An encoder-decoder of random weights; longer notes are likelier, so that bars end soon."""
    torch.manual_seed(seed)
    sizes = [channel.size for channel in TOKENIZER.channels]
    model = build(NAME, len(TOKENIZER.vocabulary), sizes, **{**OPTIONS, **options}, **VIEWS)
    durations = TOKENIZER.vocabulary.ids["Duration"]
    with torch.no_grad():
        model.begin.weight *= 20  # fresh ones say little
        model.decoder.head_bias[durations.start + len(durations) // 3 : durations.stop] += 2
    return model.eval()


def arrays_of(model: nn.Module) -> dict[str, np.ndarray]:
    return {name: weight.detach().numpy() for name, weight in model.state_dict().items()}


def told_files(model: nn.Module, eight_bit: bool = True, **options: Any) -> dict[str, bytes]:
    """The files of a bundle of it."""
    weights, kind = arrays_of(model), STEP_GRAPHS[NAME]
    graph = kind.build(weights, {**OPTIONS, **options}, VIEWS, eight_bit)
    files = {name: data for name, data in tiny_files().items() if name != "weights.safetensors"}
    return files | {"step.onnx": graph, ENCODER: save(kind.encoder(weights).arrays())}


def write_told_bundle(folder: Path, model: nn.Module | None = None, **options: Any) -> Path:
    model = told_model(**options) if model is None else model
    changes = {"model": {"name": NAME, **OPTIONS, **options}, "channels": list(TOKENIZER.names)}
    return write_bundle(folder, told_files(model, **options), changes)


def conditions(pitch: int = 5, ticks: int = 400) -> Conditions:
    """Chords and a tune that a piece is told."""
    table = Conditions(ticks, TOKENIZER.voices)
    for tick in range(0, ticks, 12):
        table.tell("chord", 1 + (tick // 48 + pitch) % 7, tick, tick + 12)
        table.tell("given_0", 60 + (tick // 12 * pitch) % 12, tick, tick + 12)
    return table


def grids(*pitches: int, steps: int = OPTIONS["steps"]) -> np.ndarray:
    """What pieces (B, steps, F) are told; 0: nothing."""
    tables = [conditions(pitch).values if pitch else None for pitch in pitches]
    return np.stack([given_rows(table, TOKENIZER.voices, VIEWS["given"].names, steps) for table in tables])

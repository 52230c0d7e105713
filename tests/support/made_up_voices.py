"""Made-up pieces of the benchmark JSB-16, models of them, and a run."""

from pathlib import Path

import numpy as np
import torch

from melody.corpus.store import StoredPiece, write_store
from melody.jsb16.tokenizer import READ, Grid, VoicesTokenizer
from melody.learning import train_from_config
from melody.models import build
from melody.tokens import EventTokenizer

VOICES = VoicesTokenizer()
RECIPE = Path(__file__).parents[2] / "corpora" / "jsb16"
CONFIG = Path(__file__).parents[2] / "configs" / "jsb16.yaml"


def grid(seed: int, quarters: int = 6) -> Grid:
    """Four voices whose pitches change now and then."""
    generator = np.random.default_rng(seed)
    steps = 4 * quarters
    changes = generator.random((steps, 4)) < 0.3
    changes[0] = True
    walk = np.array([67, 62, 57, 48]) + generator.integers(-5, 6, (steps, 4))
    latest = np.maximum.accumulate(np.where(changes, np.arange(steps)[:, None], 0))
    return np.take_along_axis(walk, latest, axis=0).astype(np.int64)


def model_of(tokenizer: VoicesTokenizer | EventTokenizer, seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    sizes = [channel.size for channel in tokenizer.channels]
    return build("residual_lstm", len(tokenizer.vocabulary), sizes, hidden_size=16, layers=2).eval()


def train_briefly(folder: Path) -> Path:
    """A run of a few steps on made-up pieces, in a folder beside its store."""
    splits = {}
    for split, seeds in (("train", range(6)), ("valid", range(6, 9))):
        grids = {f"{split}/{seed}": grid(seed, quarters=4) for seed in seeds}
        spelled = {name: VOICES.spell(one) for name, one in grids.items()}
        splits[split] = [
            StoredPiece(name, ids.astype(np.uint16), VOICES.context(ids)[:, : len(READ)], 4 * len(grids[name]), (-2, 2))
            for name, ids in spelled.items()
        ]
    write_store(folder / "store", "made-up", VOICES, splits, {})
    overrides = [f"corpus={folder / 'store'}", "model.hidden_size=16", "data.batch_size=2", "data.window=32"]
    overrides += ["max_passes=2", "evaluation.every=1", "tensorboard=false", "threads=1", "optimizer.warmup_steps=0"]
    assert train_from_config(CONFIG, overrides, folder / "run") == 0
    return folder / "run"

"""Objectives as a configuration names them, made with what lies outside the training room, such as finished runs."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from melody.config import TrainConfig
from melody.errors import MelodyError
from melody.learning.trained import net_of
from melody.tokens.contract import Tokenizer

if TYPE_CHECKING:
    from melody.training.objectives import CrossEntropy, Distilled, Objective


def objective_of(config: TrainConfig, tokens: Tokenizer) -> "Objective":
    """Return the objective of a configuration, for a corpus in these tokens. Raises `MelodyError`."""
    made: Objective = MAKERS[config.objective.name](config, tokens)
    return made


def _cross_entropy(config: TrainConfig, tokens: Tokenizer) -> "CrossEntropy":
    from melody.training.objectives import CrossEntropy

    return CrossEntropy(config.optimizer.label_smoothing)


def _distilled(config: TrainConfig, tokens: Tokenizer) -> "Distilled":
    """Raise `MelodyError` for a teacher that is no run, or has learned other tokens."""
    from melody.training.objectives import Distilled

    section: Any = config.objective
    nets, hashes = [], []
    for folder in section.teachers:
        net, tokenizer = net_of(Path(folder))
        hashes.append(sha256((Path(folder) / "best.safetensors").read_bytes()).hexdigest())
        if tokenizer.name != tokens.name:
            raise MelodyError(
                f"{folder}: has learned {tokenizer.name}, the corpus is told as {tokens.name}; it cannot teach it"
            )
        if tokenizer.channels != tokens.channels:
            raise MelodyError(f"{folder}: is told other channels than {config.name}; give both the same data.channels")
        nets.append(net)
    return Distilled(nets, section.weight, section.temperature, hashes, config.optimizer.label_smoothing)


MAKERS: dict[str, Callable[..., Any]] = {"cross_entropy": _cross_entropy, "distilled": _distilled}

"""Training as a configuration says: it becomes a run."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from melody.bundle import open_bundle
from melody.config import TrainConfig, at_temperature, load_config
from melody.errors import MelodyError
from melody.learning.base import base_of
from melody.learning.drawn import with_drawn
from melody.learning.objectives import objective_of
from melody.learning.sample import RunSampler
from melody.learning.sources import sources_of
from melody.learning.tokenizers import check_style
from melody.tokens.channels import layout_of, names_of
from melody.tokens.views import views_of

if TYPE_CHECKING:
    from melody.training import Base, TrainResult

RUNS = Path("outputs/runs")


def train_from_config(path: Path, overrides: Sequence[str] = (), run: Path | None = None) -> int:
    """Train as a configuration file says, in `run` (default ``outputs/runs/NAME``); return the exit code.

    A run that was stopped goes on. Raises `ConfigError` for a configuration that does not check.
    """
    check_torch()
    return train_run(load_config(path, overrides), run).exit_code


def told_as_base(config: TrainConfig) -> TrainConfig:
    """Return the configuration whose model is told what its base was told, and more where that is asked."""
    if not config.base:
        return config
    known = open_bundle(config.base).channels
    voices = max(config.data.voices, layout_of(known).voices)
    asked = names_of(config.data.channels, config.data.voices)
    channels = known if set(asked) <= set(known) else names_of([*known, *asked], voices)
    data = config.data.model_copy(update={"channels": channels, "voices": voices})
    return config.model_copy(update={"data": data})


def train_run(config: TrainConfig, run: Path | None = None, base: "Base | None" = None) -> "TrainResult":
    """Train as a configuration says, in `run` (default ``outputs/runs/NAME``).

    It starts from the weights of `base`, or, without it, from those of the model that the configuration names, if any.
    Raises `MelodyError` without torch, or where no piece of the corpus is held out.
    """
    train = _trainer()
    config = told_as_base(config)
    sources = sources_of(config)
    store, kind, tokenizer, _, held_out = sources
    if config.base and base is None:
        base = base_of(config.base, tokenizer)
    check_style(config.default_style, store)
    result = train(
        config,
        with_drawn(sources, config),
        held_out,
        len(tokenizer.vocabulary),
        [channel.size for channel in tokenizer.channels],
        run or RUNS / config.name,
        views=views_of(tokenizer, config.model.model_dump()),
        base=base,
        objective=objective_of(config, tokenizer),
        sampler=RunSampler(config, store, tokenizer.channels) if kind.composes else None,
    )
    if kind.units and result.is_first and result.best_nats_per_note is not None:
        valid_split = store.split("valid")
        units = sum(kind.units(tokenizer, valid_split.piece(index)[0]) for index in range(len(valid_split)))
        found = result.best_nats_per_note * int(valid_split.notes.sum()) / units
        at = at_temperature(config.evaluation.temperature)
        print(f"{config.name}: best valid {found:.4f} nats per voice-step{at}, without the mask of what may follow")
    return result


def check_torch() -> None:
    """Raise `MelodyError` where what training needs is not installed, before any work is done."""
    _trainer()


def _trainer() -> "Callable[..., TrainResult]":
    """`melody.training.train`. Raises `MelodyError` without torch."""
    try:
        from melody.training import train
    except ImportError as error:
        raise MelodyError(f"training needs {error.name}: pip install 'melody[train]'") from error
    return train

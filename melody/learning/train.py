"""From a configuration to a run."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from melody.bundle import open_bundle
from melody.config import TrainConfig, at_temperature, load_config
from melody.corpus import AugmentedSource, open_store, shift_tables
from melody.corpus.draw_conditions import Wishes, density_limits
from melody.errors import MelodyError
from melody.jsb16.tokenizer import VoicesTokenizer
from melody.jsb16.told import Tunes
from melody.learning.sample import Sampling
from melody.learning.stores import check_style, tokenizer_of
from melody.learning.trained import net_of
from melody.tokens import EventTokenizer

if TYPE_CHECKING:
    from melody.training import Base, TrainResult
    from melody.training.objectives.distilled import Teachers

RUNS = Path("outputs/runs")
WEIGHTS = "weights.safetensors"


def train_from_config(path: Path, overrides: Sequence[str] = (), run: Path | None = None) -> int:
    """Train as a configuration file says, in `run` (default ``outputs/runs/NAME``); return the exit code.

    A run that was stopped goes on. Raises `ConfigError` for a configuration that does not check.
    """
    return train_run(load_config(path, overrides), run).exit_code


def train_run(config: TrainConfig, run: Path | None = None) -> "TrainResult":
    """Train as a configuration says, in `run` (default ``outputs/runs/NAME``).

    Raises `MelodyError` without torch, or where no piece of the corpus is held out.
    """
    train = _trainer()
    store = open_store(config.corpus)
    tokenizer = tokenizer_of(store)
    check_style(config.default_style, store)
    train_split, valid_split = store.split("train"), store.split("valid")
    if not len(valid_split):
        raise MelodyError(f"{store.folder}: no piece is held out to validate with; training wants three or more pieces")
    wishes = Wishes(density_limits(train_split)) if isinstance(tokenizer, EventTokenizer) else None
    tables = shift_tables(tokenizer, train_split)
    moves = {"Velocity": config.data.velocity_steps, "Tempo": config.data.tempo_steps}
    levels = [(tokenizer.vocabulary.ids[kind], most) for kind, most in moves.items()] if wishes else []
    tunes = known_tunes = None
    if isinstance(tokenizer, VoicesTokenizer):
        tunes = Tunes(tokenizer, train_split)
        known_tunes = tunes.of_held_out(valid_split)
    learnt = AugmentedSource(
        train_split, tables, config.data.transpose, config.data.plan_dropout, wishes, levels, tunes
    )
    held_out = AugmentedSource(valid_split, shift_tables(tokenizer, valid_split), transpose=False, tunes=known_tunes)
    sizes = [channel.size for channel in tokenizer.channels]
    base = base_of(config.base, store.vocabulary_hash) if config.base else None
    if base:  # a model knows the channels of its time
        sizes = sizes[: sum(name.startswith("channels.") for name in base.weights)]
    result = train(
        config,
        learnt,
        held_out,
        len(tokenizer.vocabulary),
        sizes,
        run or RUNS / config.name,
        intervals=tokenizer.intervals(config.model.intervals),
        base=base,
        teachers=teachers_of(config, tokenizer.name),
        sampler=Sampling(config, store, wishes.density_limits) if wishes else None,
    )
    if isinstance(tokenizer, VoicesTokenizer) and result.is_first and result.best_nats_per_note is not None:
        steps = [tokenizer.voice_steps(valid_split.piece(index)[0]) for index in range(len(valid_split))]
        found = result.best_nats_per_note * int(valid_split.notes.sum()) / sum(steps)
        at = at_temperature(config.evaluation.temperature)
        print(f"{config.name}: best valid {found:.4f} nats per voice-step{at}, without the mask of what may follow")
    return result


def base_of(name: str, vocabulary_hash: str) -> "Base":
    """The weights of a bundle, to train further. Raises `MelodyError` where it has none or knows other tokens."""
    from safetensors.numpy import load

    from melody.training import Base

    bundle = open_bundle(name)
    if bundle.tokenizer.vocabulary.hash != vocabulary_hash:
        raise MelodyError(f"{name}: has learned other tokens than those of the corpus; prepare it without --miditok")
    return Base(bundle.name, bundle.settings["files"].get(WEIGHTS, ""), load(bundle.read(WEIGHTS)))


def teachers_of(config: TrainConfig, tokens: str) -> "Teachers | None":
    """The runs that a configuration learns from. Raises `MelodyError` for what is none, or has learned other tokens."""
    if config.distillation is None:
        return None
    from melody.training.objectives.distilled import Teachers

    nets, hashes = [], []
    for folder in config.distillation.teachers:
        net, tokenizer = net_of(Path(folder))
        hashes.append(sha256((Path(folder) / "best.safetensors").read_bytes()).hexdigest())
        if tokenizer.name != tokens:
            raise MelodyError(
                f"{folder}: has learned {tokenizer.name}, the corpus is told as {tokens}; it cannot teach it"
            )
        nets.append(net)
    return Teachers(nets, config.distillation.weight, config.distillation.temperature, hashes)


def _trainer() -> "Callable[..., TrainResult]":
    """`melody.training.train`. Raises `MelodyError` without torch."""
    try:
        from melody.training import train
    except ImportError as error:
        raise MelodyError(f"training needs {error.name}: pip install 'melody[train]'") from error
    return train

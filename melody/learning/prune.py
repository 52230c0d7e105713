"""Pruning: a model with fewer hidden units, and a short training in which the others take over.

The stream from embedding to head and the hidden units of all layers share their numbering: layer by layer, h is added
to x. A unit goes as a whole, from stream, layers, tables and head at once, so what is left is a smaller model of the
same kind. Every engine steps it, and the work of a step falls with the square of its width.

    by          units that stay                                                         their weights
    movement    those without whose weights w the loss would change most: (w dL/dw)^2   as they are
                summed over them and over windows of the corpus (Molchanov et al. 2019,
                arXiv:1906.10771; Sanh et al. 2020, arXiv:2005.07683)
    magnitude   those of the largest weights                                            as they are
    random      any                                                                     as they are
    lottery     as by movement                                                          as before training
                                                                                        (Frankle & Carbin 2019)
    xavier      none: a new model of the size                                           new ones

The last three are controls.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from omegaconf import OmegaConf

from melody.bundle import LOCAL, Bundle, open_bundle
from melody.config import TrainConfig, changed, check_config
from melody.errors import UsageError
from melody.learning.base import base_of
from melody.learning.export import export_run, refuse_bundle
from melody.learning.sources import sources_of
from melody.learning.train import RUNS, check_torch, told_as_base, train_run
from melody.tokens.views import views_of

WAYS = ("movement", "magnitude", "random", "lottery", "xavier")
STEP = 8  # units: the width stays a multiple of it
WINDOWS = 16  # of the corpus, over which movement is summed
PASSES = 2
Weights = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Pruned:
    """Result of pruning."""

    folder: Path  # of the bundle
    base: str
    width: int
    was: int
    base_nats: float  # a note, of valid, of the model itself
    cut_nats: float  # right after the cut
    scores: Mapping[str, float]  # of the bundle, after training


def prune(
    model: str,
    share: float,
    by: str = "movement",
    *,
    passes: int = PASSES,
    name: str | None = None,
    overrides: tuple[str, ...] = (),
    force: bool = False,
) -> Pruned:
    """Take a share of a model's hidden units away and train what is left on its prepared corpus, into a new bundle.

    Raises `UsageError` for a share or kind of model that makes no sense, `MelodyError` where the corpus is missing.
    """
    check_torch()
    if by not in WAYS:
        raise UsageError(f"`by` {by!r}: choose {', '.join(WAYS)}")
    bundle = open_bundle(model)
    width = width_for(bundle, share)
    name = name or f"{bundle.name}-{width}" + ("" if by == "movement" else f"-{by}")
    refuse_bundle(LOCAL / name, force)
    config = config_of(bundle, model, name, width, passes, overrides)
    base = base_of(model, bundle.tokenizer)
    full = base.weights
    if by == "xavier":
        weights = fresh(bundle, width, config.data.seed)
    else:
        kept = largest(scores_of(bundle, config, full, by), width)
        if by == "lottery":
            full = fresh(bundle, width_of(bundle), config.data.seed)
        weights = cut(full, kept)
    result = train_run(config, RUNS / name, type(base)(base.name, base.sha256, weights))
    made = open_bundle(export_run(RUNS / name, LOCAL / name, samples=0, force=True))
    assert result.base_nats_per_note is not None
    return Pruned(
        folder=made.folder,
        base=bundle.name,
        width=width,
        was=width_of(bundle),
        base_nats=made.settings["base"]["valid_nats_per_note"],
        cut_nats=result.base_nats_per_note,
        scores=made.settings["scores"],
    )


def width_for(bundle: Bundle, share: float) -> int:
    """Return how many units are left. Raises `UsageError`."""
    options = bundle.settings["model"]
    if options["name"] != "residual_lstm" or options.get("attention"):
        raise UsageError(
            f"{bundle.name}: is a {options['name']}; units can be taken from a residual LSTM without attention"
        )
    if not 0 < share < 1:
        raise UsageError(f"`share` must lie in (0, 1), got {share:g}; 0.5 takes half of the units away")
    return max(STEP, round(width_of(bundle) * (1 - share) / STEP) * STEP)


def cut(weights: Weights, kept: NDArray[np.integer]) -> dict[str, NDArray[np.float32]]:
    """Return the weights of a residual LSTM that has only these units."""
    width = weights["embedding.weight"].shape[1]
    gates = np.concatenate([gate * width + kept for gate in range(4)])
    result = {}
    for name, weight in weights.items():
        rows = gates if name.startswith("lstms.") else slice(None)
        columns = (slice(None), kept) if weight.ndim == 2 else (slice(None),)
        result[name] = np.ascontiguousarray(weight[rows][columns])
    return result


def magnitudes(weights: Weights) -> NDArray[np.float64]:
    """The sum (D,) of the squares of all weights of each unit, of each array in proportion to its mean square."""
    scores = np.zeros(weights["embedding.weight"].shape[1])
    for part in _by_unit(weights):
        scores += part / max(float(part.mean()), 1e-30)
    return scores


def _by_unit(weights: Weights) -> Iterator[NDArray[np.float64]]:
    """Squares of weights summed for each unit (D,), array by array."""
    width = weights["embedding.weight"].shape[1]
    for name, weight in weights.items():
        squares = weight.astype(np.float64) ** 2
        if weight.ndim == 2:
            yield squares.sum(axis=0)
        if name.startswith("lstms."):
            yield squares.reshape(4, width, -1).sum(axis=(0, 2))


def scores_of(bundle: Bundle, config: TrainConfig, weights: Weights, by: str) -> NDArray[np.float64]:
    """The worth (D,) of each unit by a way of choosing; by movement, for a lottery ticket."""
    if by == "random":
        return np.random.default_rng(config.data.seed).random(width_of(bundle))
    return magnitudes(weights) if by == "magnitude" else _movements(bundle, config, weights)


def _movements(bundle: Bundle, config: TrainConfig, weights: Weights) -> NDArray[np.float64]:
    """Changes of the loss (D,) without the weights of each unit, squared, over windows of the corpus.

    Each weight counts by itself: the square of their sum, in which gains and losses cancel, keeps worse units.
    """
    import torch

    from melody.models import carry as carries
    from melody.training.lanes import Lanes
    from melody.training.objectives import CrossEntropy

    net = net_of(bundle, width_of(bundle)).eval()
    net.load_state_dict({name: torch.from_numpy(np.array(weight)) for name, weight in weights.items()})
    source, objective = sources_of(told_as_base(config)).learnt, CrossEntropy()
    initial = carry = net.start(config.data.batch_size)
    scores = np.zeros(width_of(bundle))
    windows = Lanes(source, config.data.batch_size, config.data.window, config.data.seed).windows(0)
    for window, _ in zip(windows, range(WINDOWS), strict=False):
        started = window.begin(carry, initial, lambda size, condition: net.start(size, condition))
        loss, _, count, carry = objective.loss(net, window, started)
        net.zero_grad()
        torch.autograd.backward(loss / count.clamp(min=1))
        carry = carries.detach(carry)
        moved = {name: (p.detach() * p.grad).numpy() for name, p in net.named_parameters() if p.grad is not None}
        scores += sum(_by_unit(moved))
    return scores


def largest(scores: NDArray[np.floating], width: int) -> NDArray[np.intp]:
    """The units (width,) of the largest scores (D,), in their order."""
    return np.sort(np.argsort(-scores)[:width])


def fresh(bundle: Bundle, width: int, seed: int) -> dict[str, NDArray[np.float32]]:
    """The weights with which training of this model begins, at a width."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return {name: weight.numpy() for name, weight in net_of(bundle, width).state_dict().items()}


def net_of(bundle: Bundle, width: int, changes: Mapping[str, Any] = MappingProxyType({})) -> Any:
    """A bundle's model at a width, in torch, with fresh weights and changes to its options."""
    from melody.models import build

    options: dict[str, Any] = {**bundle.settings["model"], **changes}
    views = views_of(bundle.tokenizer, options)
    sizes = [channel.size for channel in bundle.tokenizer.channels]
    options |= {"hidden_size": width, **views}
    name = options.pop("name")
    return build(name, vocabulary_size=len(bundle.tokenizer.vocabulary), channel_sizes=sizes, **options)


def width_of(bundle: Bundle) -> int:
    """Units of each layer of a bundle's model."""
    return int(bundle.settings["model"]["hidden_size"])


def config_of(
    bundle: Bundle, model: str, name: str, width: int, passes: int, overrides: tuple[str, ...]
) -> TrainConfig:
    """The configuration of the model's own training, shorter and gentler; a smaller model needs less dropout."""
    own: dict[str, Any] = OmegaConf.to_container(OmegaConf.create(bundle.read("config.yaml").decode()))  # type: ignore[assignment]
    share = width / width_of(bundle)
    dropout = {key: value * share for key, value in own["model"].items() if key.endswith("dropout")}
    own |= {
        "name": name,
        "base": model,
        "description": f"{bundle.settings['description'].rstrip('.')}; {width} of {width_of(bundle)} units.",
        "model": {**own["model"], **dropout, "hidden_size": width},
        "max_passes": passes,
        "ema_decay": min(own["ema_decay"], 0.995),
        "objective": {"name": "cross_entropy"},
    }
    own["optimizer"] |= {"warmup_steps": 50, "passes": None}
    own["evaluation"] |= {"every": 1, "patience": None}
    return check_config(changed(own, overrides, name), name)

"""Objectives as a configuration names them, made with what lies outside the training room, such as finished runs."""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from melody.bundle import Bundle, open_bundle
from melody.config import TrainConfig
from melody.corpus import open_store
from melody.errors import ConfigError, MelodyError
from melody.evaluation.rewards import REWARDS
from melody.generation.rules.styles import STYLE_RULES
from melody.learning.trained import teacher_of
from melody.tokens.contract import Tokenizer
from melody.tokens.views import views_of

if TYPE_CHECKING:
    from torch import nn

    from melody.training.objectives import Adversarial, CrossEntropy, Distilled, Objective, Policy


def objective_of(config: TrainConfig, tokens: Tokenizer) -> "Objective":
    """Return the objective of a configuration, for a corpus in these tokens. Raises `MelodyError`."""
    made: Objective = MAKERS[config.objective.name](config, tokens)
    return made


def _cross_entropy(config: TrainConfig, tokens: Tokenizer) -> "CrossEntropy":
    from melody.training.objectives import CrossEntropy

    return CrossEntropy(config.optimizer.label_smoothing)


def _distilled(config: TrainConfig, tokens: Tokenizer) -> "Distilled":
    """Raise `MelodyError` for a teacher that is neither a run nor a model, or has learned other tokens."""
    from melody.training.objectives import Distilled

    section: Any = config.objective
    nets, hashes = [], []
    for folder in section.teachers:
        net, tokenizer, known_by = teacher_of(folder)
        hashes.append(known_by)
        if tokenizer.name != tokens.name:
            raise MelodyError(
                f"{folder}: has learned {tokenizer.name}, the corpus is told as {tokens.name}; it cannot teach it"
            )
        if tokenizer.channels != tokens.channels:
            raise MelodyError(f"{folder}: is told other channels than {config.name}; give both the same data.channels")
        nets.append(net)
    return Distilled(nets, section.weight, section.temperature, hashes, config.optimizer.label_smoothing)


def _policy(config: TrainConfig, tokens: Tokenizer) -> "Policy":
    """Raise `MelodyError` without a base, for a reward that is unknown, or several processes."""
    from melody.learning.rewarded import Drawing
    from melody.training.devices import reads_in_bf16
    from melody.training.objectives import Limit, Policy

    section: Any = config.objective
    (bundle, base), store = _base_of(config, tokens), open_store(config.corpus)
    if unknown := sorted(section.rewards.keys() - REWARDS.keys()):
        raise ConfigError(f"objective.rewards: {unknown[0]!r} is unknown; there are: {', '.join(REWARDS)}")
    if unknown := sorted(set(section.rules) - STYLE_RULES.keys()):
        raise ConfigError(f"objective.rules: {unknown[0]!r} is unknown; there are: {', '.join(STYLE_RULES)}")
    drawing = Drawing(bundle, store, config, section)
    limits = section.limits
    return Policy(
        base,
        drawing.draw,
        drawing.judge,
        window=config.data.window,
        weight=section.weight,
        kl_target=section.kl_target,
        coefficient=section.kl_coefficient,
        limits=[
            *[Limit("distinct", least=limits.distinct)] * (limits.distinct is not None),
            *[
                Limit(name, most=most)
                for name in ("nats_per_note", "in_training", "critic")
                if (most := getattr(limits, name)) is not None
            ],
        ],
        judged=drawing.judged,
        smoothing=config.optimizer.label_smoothing,
        half=reads_in_bf16(config),
        settings=section.model_dump(mode="json", exclude={"limits", "judged"}),
    )


def _adversarial(config: TrainConfig, tokens: Tokenizer) -> "Adversarial":
    """Raise `MelodyError` as `_policy` does."""
    import torch

    from melody.models.discriminator import Discriminator
    from melody.training.objectives import Adversarial, Wasserstein

    section: Any = config.objective
    policy = _policy(config, tokens)
    with torch.random.fork_rng(devices=[]):  # the model's own weights are drawn as without it
        torch.manual_seed(config.data.seed)
        discriminator = Discriminator(len(tokens.vocabulary), section.width)
    options = {"weight": section.adversary, "learning_rate": section.adversary_rate, "silent": section.silent}
    if section.gumbel is not None:
        return Wasserstein(policy, discriminator, temperature=section.gumbel, **options)
    return Adversarial(policy, discriminator, **options)


def _base_of(config: TrainConfig, tokens: Tokenizer) -> "tuple[Bundle, nn.Module]":
    """The bundle that a rewarded model starts from, and draws with, and its model, told what that one is told."""
    from melody.learning.base import base_of
    from melody.models import build
    from melody.training.warm_start import take_over

    if config.base is None:
        raise ConfigError(f"{config.name}: rewards are learned from a base; write base: and a model's name or folder")
    if config.devices > 1 or "TORCHELASTIC_RUN_ID" in os.environ:
        raise ConfigError("objective policy: draws in one process; leave out `devices`")
    bundle, told = open_bundle(config.base), tuple(channel.name for channel in tokens.channels)
    if lacking := [name for name in bundle.channels if name not in told]:
        raise ConfigError(f"{config.name}: is not told {lacking[0]}, as {bundle.name} is; leave out data.channels")
    net = build(
        config.model.name,
        len(tokens.vocabulary),
        [channel.size for channel in tokens.channels],
        **views_of(tokens, config.model.model_dump()),
        **config.model.options(),
    )
    take_over(net, base_of(config.base, tokens))
    return replace(bundle, settings={**bundle.settings, "channels": list(told)}), net


MAKERS: dict[str, Callable[..., Any]] = {
    "cross_entropy": _cross_entropy,
    "distilled": _distilled,
    "policy": _policy,
    "adversarial": _adversarial,
}

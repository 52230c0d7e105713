"""Yours in a minute: an adapter for a model, learned from five to fifty pieces on one core.

The model stays as it is. What is learned are the carry at the beginning of a piece, a matrix of low rank in the head
and its bias (`melody.bundle.adapter`). The evaluation on held-out pieces that was best is kept, so the adapter is never
worse there than the model alone.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melody.bundle import Bundle, open_bundle
from melody.bundle.adapter import FORMAT, adapter_file
from melody.config import TrainConfig, check_config
from melody.corpus import TokenStore
from melody.engine import open_engine
from melody.errors import UsageError
from melody.evaluation.likelihood import likelihood_of
from melody.learning.configuration import plain_name
from melody.learning.finetune import config_of, prepare_store
from melody.learning.sources import Sources, sources_of
from melody.learning.train import check_torch, told_as_base
from melody.storage.files import refuse_overwrite, write_bytes

RANK = 16
LEAST_PIECES = 5
LEARNING_RATES = {"start": 3e-2, "down": 1e-2, "up": 1e-2, "bias": 3e-2}
STEPS_BETWEEN_EVALUATIONS = 10
PATIENCE = 8  # evaluations
Weights = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class AdaptedModel:
    """Result of adapting a model. Nats are those a note of pieces that were held out."""

    model: str  # folk+mine
    file: Path | None  # None where nothing was better than the base
    pieces: dict[str, int]  # by split
    valid_nats: tuple[float, float]  # before, after: by them the best was chosen, in torch
    test_nats: tuple[float, float]  # before, after: of the adapter as it is used
    seconds: float  # of training
    steps: int


def adapt(
    music: Path, base: str, *, minutes: float = 1.0, rank: int = RANK, name: str | None = None, force: bool = False
) -> AdaptedModel:
    """Learn an adapter from a folder or archive of music, and write it to ``outputs/adapters``.

    Raises `MelodyError` where there is too little to learn from, and `UsageError` for a model that takes no adapter.
    """
    check_torch()
    bundle = open_bundle(base)
    if bundle.settings["model"]["name"] != "residual_lstm" or not bundle.has_step_graph or bundle.adapter is not None:
        raise UsageError(f"{bundle.name}: `adapt` state is for a residual LSTM with a step graph; try folk or drums")
    own = music.resolve().name if music.is_dir() else music.name.split(".", 1)[0]
    name = check_config({"name": name or plain_name(own), "corpus": ""}, own).name  # before it names a file
    file = adapter_file(name)
    refuse_overwrite(file, force)
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        store = prepare_store(music, bundle, Path(folder) / "store", least=LEAST_PIECES)
        config = told_as_base(config_of(bundle, base, name, store, plain_name(own), minutes, ()))
        sources = sources_of(config)
        learning = _Learning(bundle, config, sources, rank)
        learning.run(minutes * 60)
        weights, nats = learning.best, learning.nats
        pieces = {split: counts["pieces"] for split, counts in store.info["splits"].items()}
        told = {
            "format": FORMAT,
            "base": bundle.name,
            "step_graph": bundle.step_graph,
            "description": f"{pieces['train']} pieces of {plain_name(own)}",
            "pieces": pieces,
        }
        if weights is not None:
            write_bytes(file, _file_of(weights, told), force=force)
        adapted = bundle if weights is None else bundle.with_adapter(file)
        test = tuple(_nats(one, store) for one in (bundle, adapted))
    return AdaptedModel(
        model=adapted.name,
        file=file if weights is not None else None,
        pieces=pieces,
        valid_nats=(nats[0], min(nats)),
        test_nats=(test[0], test[1]),
        seconds=learning.seconds,
        steps=learning.steps,
    )


class _Learning:
    """The weights of an adapter on their way."""

    def __init__(self, bundle: Bundle, config: TrainConfig, sources: Sources, rank: int) -> None:
        import torch

        from melody.engine.torch import model_of
        from melody.models.adapted import AdaptedLSTM
        from melody.models.residual_lstm import ResidualLSTM

        torch.manual_seed(config.data.seed)
        self.config, self.sources = config, sources
        network = model_of(bundle)
        assert isinstance(network, ResidualLSTM)
        self.net = AdaptedLSTM(network, rank)
        groups = [{"params": [self.net.weights()[name]], "lr": rate} for name, rate in LEARNING_RATES.items()]
        self.optimizer = torch.optim.Adam(groups, betas=(0.9, 0.98))
        self.best: Weights | None = None
        self.nats: list[float] = []  # a note, of the held-out pieces, before and at each evaluation
        self.seconds, self.steps = 0.0, 0

    def run(self, seconds: float) -> None:
        """Train until the time is over or nothing gets better."""
        started, waiting, pass_ = time.monotonic(), 0, 0
        self._evaluate()
        while waiting < PATIENCE and self.seconds < seconds:
            for window in self._lanes(pass_):
                self._step(window)
                self.seconds = time.monotonic() - started
                if self.steps % STEPS_BETWEEN_EVALUATIONS == 0:
                    waiting = 0 if self._evaluate() else waiting + 1
                if waiting >= PATIENCE or self.seconds >= seconds:
                    break
            pass_ += 1

    def _lanes(self, pass_: int) -> Any:
        from melody.training.lanes import Lanes

        data = self.config.data
        self._carry = self.net.start(data.batch_size)
        return Lanes(self.sources.learnt, data.batch_size, data.window, data.seed).windows(pass_)

    def _step(self, window: Any) -> None:
        import torch
        from torch.nn.utils import clip_grad_norm_

        from melody.models import carry as carries
        from melody.training.objectives.cross_entropy import cross_entropy

        begun = window.begin(carries.detach(self._carry), self.net.start(len(window.reset)), self.net.start)
        logits, self._carry = self.net(window.tokens, begun, window.context)
        nats, count = cross_entropy(logits, window.targets, window.mask)
        self.optimizer.zero_grad()
        torch.autograd.backward(nats / count.clamp(min=1))
        clip_grad_norm_(self.net.weights().values(), 1.0)
        self.optimizer.step()
        self.steps += 1

    def _evaluate(self) -> bool:
        """Measure; return True, and keep the weights, where they are the best so far."""
        from melody.training.evaluate import evaluate

        cost = evaluate(self.net, self.sources.held_out)
        assert cost is not None
        better = bool(self.nats) and cost.nats_per_note < min(self.nats)
        self.nats.append(cost.nats_per_note)
        if better:
            self.best = {name: weight.detach().numpy().copy() for name, weight in self.net.weights().items()}
        return better


def _file_of(weights: Weights, told: Mapping[str, Any]) -> bytes:
    """The file of an adapter, in 16 bits."""
    from safetensors.numpy import save

    halves = {name: np.ascontiguousarray(weight, np.float16) for name, weight in weights.items()}
    return bytes(save(halves, metadata={"melody": json.dumps(told)}))


def _nats(bundle: Bundle, store: TokenStore) -> float:
    split = store.split("test")
    pieces = [split.piece(index)[0] for index in range(len(split))]
    return likelihood_of(pieces, int(split.notes.sum()), bundle, open_engine(bundle)).nats_per_note

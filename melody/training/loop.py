"""Training: truncated back-propagation through time over lanes, on Lightning Fabric.

- AdamW, gradient clipping, warm-up and cosine, bf16 autocast where the processor knows it
- the averaged weights (EMA) are evaluated after every few passes; the best are kept in ``best.safetensors``
- ``last.safetensors`` every few minutes, at each evaluation and on SIGINT or SIGTERM; a run resumes there, bit for bit
- stops by patience, passes or minutes, or after three steps in a row without a finite loss

A run's folder holds ``last`` and ``best``, the ``previous`` of each, ``steps.csv``, ``evaluations.csv``,
``tensorboard`` and a ``lock``.
"""

import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from melody.config import TrainConfig
from melody.errors import MelodyError
from melody.models import build
from melody.training import report
from melody.training.checkpoint import save_checkpoint
from melody.training.devices import make_fabric
from melody.training.evaluate import Evaluation, evaluate
from melody.training.lanes import Lanes, PieceSource
from melody.training.log import RunLog
from melody.training.resume import resume_last, save_last
from melody.training.run_folder import Signals, caught_signals, locked
from melody.training.state import RunState
from melody.training.step import StepResult, take_step

BAD_STEPS = 3  # in a row, before a run gives up
SMOOTHING = 0.05  # of the tokens per second that are shown


@dataclass(frozen=True)
class TrainResult:
    """How a session of a run ended."""

    stopped: str  # "max_passes", "max_minutes", "patience", "SIGINT" or "SIGTERM"
    exit_code: int  # 0, or 128 + the signal's number
    steps: int
    passes: int
    best_nats_per_note: float | None
    best_pass: int
    seconds: float  # over all sessions of the run


def train(
    config: TrainConfig,
    train_source: PieceSource,
    valid_source: PieceSource,
    vocabulary_size: int,
    channel_sizes: Sequence[int],
    run_folder: Path,
) -> TrainResult:
    """Train a model in a run's folder, or go on with the run that is there.

    `valid_source` must not augment. Raises `MelodyError` where another process holds the folder, its run is of another
    model or data, the disk is full or the loss has no finite value three times in a row.
    """
    fabric = make_fabric(config)
    fabric.launch()
    with caught_signals() as signals:
        session = (
            fabric,
            signals,
            config,
            train_source,
            valid_source,
            vocabulary_size,
            list(channel_sizes),
            run_folder,
        )
        if not fabric.is_global_zero:  # one lock serves all ranks
            return Session(*session).run()
        with locked(run_folder):
            return Session(*session).run()


class Session:
    """One session of a run: from a fresh or restored state to a reason to stop."""

    def __init__(
        self,
        fabric: Fabric,
        signals: Signals,
        config: TrainConfig,
        train_source: PieceSource,
        valid_source: PieceSource,
        vocabulary_size: int,
        channel_sizes: list[int],
        folder: Path,
    ) -> None:
        self.fabric, self.signals, self.config, self.folder = fabric, signals, config, folder
        self.valid_source = valid_source
        rank, ranks, data = fabric.global_rank, fabric.world_size, config.data
        self.lanes = Lanes(train_source, data.batch_size, data.window, data.seed, rank, ranks)
        self.windows_in_pass = self.lanes.windows_in_pass()
        self.total_steps = self.windows_in_pass * (config.optimizer.passes or config.max_passes)
        torch.manual_seed(data.seed)
        with fabric.init_module():
            model = build(config.model.name, vocabulary_size, channel_sizes, **config.model.options())
        self.state = RunState.fresh(model, config.optimizer, data.batch_size // ranks)
        torch.manual_seed(data.seed + 1 + rank)  # ranks draw different dropout
        self.info: dict[str, Any] = {
            "format": 1,
            "run": {  # what cannot change on the way
                "vocabulary_size": vocabulary_size,
                "channel_sizes": channel_sizes,
                "model": config.model.model_dump(mode="json"),
                "data": data.model_dump(mode="json"),
            },
            "config": config.model_dump(mode="json"),
        }
        resume_last(fabric, self.state, folder, self.info["run"])
        if config.compile:
            model.compile()
        self.network, self.optimizer = fabric.setup(model, self.state.optimizer)
        self.log = RunLog(folder, self.state.progress.step, tensorboard=config.tensorboard, active=rank == 0)
        self._saved = time.monotonic()
        self._tokens_per_second = 0.0
        self._train_nats: list[float] = []  # per token, since the last evaluation

    def run(self) -> TrainResult:
        """Train until there is a reason to stop, and save."""
        progress = self.state.progress
        self._announce()
        try:
            stopped = self._until_done()
            self._save()
        finally:
            self.log.close()
        return TrainResult(
            stopped,
            128 + signal.Signals[stopped] if stopped.startswith("SIG") else 0,
            progress.step,
            progress.pass_,
            progress.best_nats_per_note,
            progress.best_pass,
            progress.seconds,
        )

    def _announce(self) -> None:
        progress = self.state.progress
        weights = sum(weight.numel() for weight in self.state.model.parameters())
        begins = f"resumes at step {progress.step:,}, pass {progress.pass_}" if progress.step else "starts"
        self.log.say(
            f"{self.config.name} {begins}: {weights / 1e6:.2f} M weights, {self.windows_in_pass} steps a pass, "
            f"up to {self.config.max_passes} passes, {self.fabric.strategy.precision.precision}"
        )

    def _until_done(self) -> str:
        """Passes and evaluations until there is a reason to stop, which it returns."""
        progress = self.state.progress
        while True:
            if progress.pass_ // self.config.evaluation.every > progress.evaluations:
                self._evaluate(due=True)
            reason = self._reason_to_stop()
            if reason == "max_minutes" and progress.window:
                self._evaluate(due=False)
            if reason:
                return self._signal() or reason
            self._pass()

    def _reason_to_stop(self) -> str:
        progress, config = self.state.progress, self.config
        if name := self._signal():
            return name
        if config.evaluation.patience is not None and progress.waiting >= config.evaluation.patience:
            return "patience"
        if progress.pass_ >= config.max_passes:
            return "max_passes"
        return "max_minutes" if self._out_of_time() else ""

    def _signal(self) -> str:
        """The name of the signal that some rank has received, or nothing."""
        number = int(self._most(self.signals.received))
        return signal.Signals(number).name if number else ""

    def _out_of_time(self) -> bool:
        limit = self.config.max_minutes
        return limit is not None and self._most(self.state.progress.seconds) >= 60 * limit

    def _most(self, value: float) -> float:
        """The greatest value among the ranks, so that all decide alike."""
        if self.fabric.world_size == 1:
            return value
        every = self.fabric.all_gather(torch.tensor(float(value), device=self.fabric.device))
        assert isinstance(every, Tensor)
        return float(every.max())

    def _pass(self) -> None:
        """The rest of a pass, or as much of it as signals and time allow."""
        progress = self.state.progress
        self.network.train()
        started = time.monotonic()
        for window in self.lanes.windows(progress.pass_, progress.window):
            here = window.to(self.fabric.device)
            result = take_step(
                self.fabric, self.network, self.optimizer, self.state, here, self.config, self.total_steps
            )
            now = time.monotonic()
            seconds, started = now - started, now
            progress.seconds += seconds
            self._report_step(result, seconds)
            if self._signal() or self._out_of_time():
                break
            if self._most(now - self._saved) > 60 * self.config.checkpoint_minutes:
                self._save()
        if progress.window == self.windows_in_pass:
            progress.pass_, progress.window = progress.pass_ + 1, 0

    def _report_step(self, result: StepResult, seconds: float) -> None:
        progress = self.state.progress
        if not result.finite:
            self.log.say(f"step {progress.step}: no finite loss; skipped")
            if progress.skipped_in_a_row >= BAD_STEPS:
                raise MelodyError(
                    f"{self.folder}: {BAD_STEPS} steps in a row without a finite loss; lower optimizer.learning_rate "
                    "or set precision=32-true; the run goes on from its last checkpoint"
                )
        self._train_nats.append(result.nats_per_token)
        rate = result.tokens / seconds
        self._tokens_per_second += (rate - self._tokens_per_second) * (SMOOTHING if self._tokens_per_second else 1.0)
        share, left = report.share_and_seconds_left(progress, self.config, self.windows_in_pass)
        line = report.step_line(progress, result, self._tokens_per_second, left)
        self.log.step(report.step_row(progress, result, seconds), line, share)

    def _evaluate(self, due: bool) -> None:
        """Nats per note of the averaged weights; the best are saved. A signal cuts it short: then it stays due."""
        progress, config, started = self.state.progress, self.config.evaluation, time.monotonic()
        with self.fabric.autocast():
            evaluation = evaluate(
                self.state.averaged,
                self.valid_source,
                batch_size=config.batch_size,
                window=config.window,
                rank=self.fabric.global_rank,
                ranks=self.fabric.world_size,
                stop=lambda: bool(self._signal()),
            )
        progress.seconds += time.monotonic() - started
        if evaluation is None:
            return
        evaluation = self._over_ranks(evaluation)
        best = progress.best_nats_per_note
        better = best is None or evaluation.nats_per_note < best
        progress.evaluations += due
        progress.waiting = 0 if better else progress.waiting + due
        if better:
            progress.best_nats_per_note, progress.best_pass = evaluation.nats_per_note, progress.pass_
            self._save_best(evaluation)
        train_nats = sum(self._train_nats) / max(1, len(self._train_nats))
        self._train_nats.clear()
        line = report.evaluation_line(progress, evaluation, better, train_nats)
        self.log.evaluation(report.evaluation_row(progress, evaluation, better), line)
        self._save()

    def _over_ranks(self, evaluation: Evaluation) -> Evaluation:
        if self.fabric.world_size == 1:
            return evaluation
        counts = torch.tensor([evaluation.nats, evaluation.tokens], device=self.fabric.device)
        total = self.fabric.all_reduce(counts, reduce_op="sum")
        assert isinstance(total, Tensor)
        return Evaluation(float(total[0]), int(total[1]), evaluation.notes)

    def _save(self) -> None:
        save_last(self.fabric, self.state, self.folder, self.info)
        self.log.flush()
        self._saved = time.monotonic()

    def _save_best(self, evaluation: Evaluation) -> None:
        if self.fabric.is_global_zero:
            valid = {"nats_per_note": evaluation.nats_per_note, "nats_per_token": evaluation.nats_per_token}
            info: dict[str, Any] = {"valid": valid, "pass": self.state.progress.pass_, "step": self.state.progress.step}
            save_checkpoint(self.folder, "best", self.state.averaged.state_dict(), {**self.info, **info})

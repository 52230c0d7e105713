"""Training: truncated back-propagation through time over lanes, on Lightning Fabric.

- AdamW, gradient clipping, warm-up and cosine, bf16 autocast where the processor knows it
- the averaged weights (EMA) are evaluated after every few passes; the best are kept in ``best.safetensors``
- ``last.safetensors`` every few minutes, at each evaluation and on SIGINT or SIGTERM; a run resumes there, bit for bit
- stops by patience, passes or minutes, or after three steps in a row without a finite loss

A run may start from the weights of a base. Then these are evaluated first, so that the best is never worse than they.

A run's folder holds ``last`` and ``best``, the ``previous`` of each, ``steps.csv``, ``evaluations.csv``, ``curve.png``,
``tensorboard`` and a ``lock``.
"""

import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from melody.config import TrainConfig
from melody.errors import MelodyError
from melody.models import build
from melody.storage.locks import locked
from melody.training import report
from melody.training.checkpoint import clear_unfinished, save_checkpoint
from melody.training.cost import estimate
from melody.training.curve import draw_curve
from melody.training.devices import make_fabric
from melody.training.evaluate import HeldOutCost, evaluate
from melody.training.job import Job, Sampler, TrainResult
from melody.training.lanes import Lanes, PieceSource
from melody.training.log import RunLog
from melody.training.objectives import CrossEntropy, Judging, Objective, Verdict
from melody.training.resume import resume_last, save_last
from melody.training.signals import Signals, caught_signals
from melody.training.state import RunState
from melody.training.step import StepResult, take_step
from melody.training.warm_start import Base, take_over

BAD_STEPS = 3  # in a row, before a run gives up
SMOOTHING = 0.05  # of the tokens per second that are shown
SAMPLE_SHARE = 0.03  # of a session's time, after its first sample


def train(
    config: TrainConfig,
    train_source: PieceSource,
    valid_source: PieceSource,
    vocabulary_size: int,
    channel_sizes: Sequence[int],
    run_folder: Path,
    *,
    views: Mapping[str, Any] | None = None,
    base: Base | None = None,
    objective: Objective | None = None,
    sampler: Sampler | None = None,
) -> TrainResult:
    """Train a model in a run's folder, or go on with the run that is there.

    It starts from random weights or from those of a `base`. `valid_source` must not augment. `views` are what
    the model knows of the tokens, as keyword arguments (`melody.tokens.views`). `objective` is what it
    minimises, by default cross entropy. TensorBoard gets what `sampler` composes every few evaluations. Raises
    `MelodyError` where another process holds the folder, its run is of another model or data, the disk is full or the
    loss has no finite value three times in a row.
    """
    job = Job(
        config,
        train_source,
        valid_source,
        vocabulary_size,
        list(channel_sizes),
        dict(views or {}),
        run_folder,
        base,
        objective or CrossEntropy(config.optimizer.label_smoothing),
        sampler,
    )
    fabric = make_fabric(config)
    # One lock serves all ranks, and before it is held no others are started.
    with locked(run_folder, "trains here") if fabric.is_global_zero else nullcontext():
        if fabric.is_global_zero:
            clear_unfinished(run_folder)
        fabric.launch()
        with caught_signals() as signals:
            return Session(fabric, signals, job).run()


class Session:
    """One session of a run: from a fresh or restored state to a reason to stop."""

    def __init__(self, fabric: Fabric, signals: Signals, job: Job) -> None:
        self.fabric, self.signals, self.job, self.config, self.folder = fabric, signals, job, job.config, job.folder
        config = job.config
        rank, ranks, data = fabric.global_rank, fabric.world_size, config.data
        self.lanes = Lanes(job.train_source, data.batch_size, data.window, data.seed, rank, ranks)
        self.windows_in_pass = self.lanes.windows_in_pass()
        self.total_steps = self.windows_in_pass * (config.optimizer.passes or config.max_passes)
        torch.manual_seed(data.seed)
        with fabric.init_module():
            model = build(
                config.model.name,
                job.vocabulary_size,
                job.channel_sizes,
                **job.views,
                **config.model.options(),
            )
        if job.base:
            take_over(model, job.base)
        new = job.base.new if job.base else ()
        self.state = RunState.fresh(model, config.optimizer, data.batch_size // ranks, job.objective, new)
        torch.manual_seed(data.seed + 1 + rank)  # ranks draw different dropout
        self.info: dict[str, Any] = {
            "format": 1,
            "run": job.identity,
            "config": config.model_dump(mode="json"),
        }
        resume_last(fabric, self.state, self.folder, self.info["run"])
        if config.compile:
            model.compile()
        self.network, self.optimizer = fabric.setup(model, self.state.optimizer)
        self.network.mark_forward_method("start")  # what it is conditioned on is learned too
        self.judging = job.objective if isinstance(job.objective, Judging) else None
        columns = self.judging.columns if self.judging else ((), ())
        self.log = RunLog(
            self.folder, self.state.progress, tensorboard=config.tensorboard, active=rank == 0, columns=columns
        )
        self._saved = time.monotonic()
        self._seconds_before, self._sample_seconds = self.state.progress.seconds, 0.0
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
        told_to_stop = stopped.startswith("SIG")
        if self.fabric.is_global_zero and not told_to_stop:
            draw_curve(self.folder)
        return TrainResult(
            stopped,
            128 + signal.Signals[stopped] if told_to_stop else 0,
            progress.step,
            progress.pass_,
            progress.best_nats_per_note,
            progress.best_pass,
            progress.base_nats_per_note,
            progress.seconds,
            self.fabric.is_global_zero,
        )

    def _announce(self) -> None:
        progress = self.state.progress
        weights = sum(weight.numel() for weight in self.state.model.parameters())
        start = f"starts from {self.job.base.name}" if self.job.base else "starts"
        begins = f"resumes at step {progress.step:,}, pass {progress.pass_}" if progress.step else start
        self.log.say(
            f"{self.config.name} {begins}: {weights / 1e6:.2f} M weights, {self.windows_in_pass} steps a pass, "
            f"up to {self.config.max_passes} passes, {self.fabric.strategy.precision.precision}"
        )
        if not (progress.step or self.config.compile) and self.fabric.world_size == 1:  # a first compiled step is long
            tokens = int(self.job.valid_source.lengths.sum())
            cost = estimate(self.fabric, self.state, self.config, self.lanes, tokens)
            self.log.say(cost.line(self.config, measures_base=self.job.base is not None))

    def _until_done(self) -> str:
        """Passes and evaluations until there is a reason to stop, which it returns."""
        progress = self.state.progress
        if self.job.base and progress.base_nats_per_note is None:
            self._evaluate(due=False)
        while True:
            if self._is_due():
                self._evaluate(due=True)
            reason = self._reason_to_stop()
            if reason in ("max_minutes", "max_passes") and progress.evaluated_step != progress.step:
                self._evaluate(due=False)
            if reason:
                return self._signal() or reason
            self._pass()

    def _is_due(self) -> bool:
        """Return true where an evaluation is due."""
        progress, config = self.state.progress, self.config.evaluation
        done = progress.pass_ // config.every if config.steps is None else progress.step // config.steps
        return done > progress.evaluations

    def _reason_to_stop(self) -> str:
        progress, config = self.state.progress, self.config
        if name := self._signal():
            return name
        if config.evaluation.patience is not None and progress.waiting >= config.evaluation.patience:
            return "patience"
        if progress.ended:
            return "limits"
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
            if self._signal() or self._out_of_time() or self._is_due():
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
        row = report.step_row(progress, result, seconds)
        self.log.step(row if self.judging is None else {**row, **self.judging.figures()}, line, share)

    def _evaluate(self, due: bool) -> None:
        """Nats per note of the averaged weights; the best are saved. A signal cuts it short: then it stays due."""
        progress, config, started = self.state.progress, self.config.evaluation, time.monotonic()
        with self.fabric.autocast():
            evaluation = evaluate(
                self.state.averaged,
                self.job.valid_source,
                batch_size=config.batch_size,
                window=config.window,
                temperature=config.temperature,
                rank=self.fabric.global_rank,
                ranks=self.fabric.world_size,
                stop=lambda: bool(self._signal()),
            )
        verdict = None
        if evaluation is not None:
            evaluation = self._over_ranks(evaluation)
            verdict = self._verdict(evaluation.nats_per_note)
        if progress.step:  # a base is measured before training, which its minutes do not count
            progress.seconds += time.monotonic() - started
        if evaluation is None or verdict is None:
            return
        progress.evaluated_step = progress.step
        if not progress.step:
            progress.base_nats_per_note = evaluation.nats_per_note
        best = progress.best_nats_per_note if progress.best_cost is None else progress.best_cost
        better = best is None or verdict.cost < best
        progress.evaluations += due
        progress.waiting = 0 if better else progress.waiting + due
        if better:
            progress.best_nats_per_note, progress.best_pass = evaluation.nats_per_note, progress.pass_
            progress.best_cost = verdict.cost
            self._save_best(evaluation)
        train_nats = sum(self._train_nats) / max(1, len(self._train_nats))
        self._train_nats.clear()
        line = report.evaluation_line(progress, evaluation, better, train_nats) + report.verdict_line(verdict)
        row = report.evaluation_row(progress, evaluation, better)
        self.log.evaluation({**row, **verdict.figures}, line)
        progress.ended = verdict.ends
        self._save()
        if due:
            self._show_sample()

    def _verdict(self, nats_per_note: float) -> Verdict:
        """The judgement of the averaged weights: by nats, if the objective has none of its own."""
        if self.judging is None:
            return Verdict({}, nats_per_note)
        return self.judging.judge(self.state.averaged, nats_per_note)

    def _show_sample(self) -> None:
        """Let TensorBoard have a composition, every few evaluations, but for a small share of the time.

        What goes wrong with it stops no training.
        """
        progress, every, started = self.state.progress, self.config.sample_every, time.monotonic()
        wanted = self.config.tensorboard and every is not None and progress.evaluations % every == 0
        if not (wanted and self.job.sampler and self.fabric.is_global_zero):
            return
        if self._sample_seconds > SAMPLE_SHARE * (progress.seconds - self._seconds_before):
            return
        weights = {name: weight.float().cpu().numpy() for name, weight in self.state.averaged.state_dict().items()}
        try:
            sample = self.job.sampler(weights, lambda: bool(self.signals.received))
            if sample is not None:
                self.log.sample(sample, progress.step)
        except Exception as error:
            self.log.say(f"no sample: {error}")
        took = time.monotonic() - started
        progress.seconds, self._sample_seconds = progress.seconds + took, self._sample_seconds + took

    def _over_ranks(self, evaluation: HeldOutCost) -> HeldOutCost:
        if self.fabric.world_size == 1:
            return evaluation
        counts = torch.tensor([evaluation.nats, evaluation.tokens], device=self.fabric.device)
        total = self.fabric.all_reduce(counts, reduce_op="sum")
        assert isinstance(total, Tensor)
        return replace(evaluation, nats=float(total[0]), tokens=int(total[1]))

    def _save(self) -> None:
        self.log.flush()  # first: a checkpoint never knows of steps that the tables do not
        save_last(self.fabric, self.state, self.folder, self.info)
        self._saved = time.monotonic()

    def _save_best(self, evaluation: HeldOutCost) -> None:
        if self.fabric.is_global_zero:
            valid = {"nats_per_note": evaluation.nats_per_note, "nats_per_token": evaluation.nats_per_token}
            progress = self.state.progress
            info: dict[str, Any] = {"valid": valid, "pass": progress.pass_, "step": progress.step}
            if self.job.base:
                info["base_nats_per_note"] = progress.base_nats_per_note
            save_checkpoint(self.folder, "best", self.state.averaged.state_dict(), {**self.info, **info})

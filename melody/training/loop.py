"""Training: truncated back-propagation through time over lanes, on Lightning Fabric.

- AdamW, gradient clipping, warm-up and cosine, bf16 autocast where the processor knows it
- the averaged weights (EMA) are evaluated after every few passes; the best are kept in ``best.safetensors``
- ``last.safetensors`` every few minutes, at each evaluation and on SIGINT or SIGTERM; a run resumes there, bit for bit
- stops by patience, passes or minutes, or after three steps in a row without a finite loss

A run's folder: ``last``, ``best`` and their ``previous``, ``steps.csv``, ``evaluations.csv``, ``tensorboard/``, ``lock``.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from lightning_fabric import Fabric
from torch import Tensor

from melody.config import TrainConfig
from melody.errors import ConfigError, MelodyError
from melody.models import build
from melody.models import carry as carries
from melody.training.checkpoint import load_newest, save_checkpoint
from melody.training.evaluate import Evaluation, evaluate
from melody.training.lanes import Lanes, PieceSource
from melody.training.log import RunLog
from melody.training.run_folder import Signals, caught_signals, locked
from melody.training.state import RunState, part_of, random_states, restore_random_states, rows_of
from melody.training.step import StepResult, take_step

BAD_STEPS = 3


@dataclass(frozen=True)
class TrainResult:
    """How a training session ended."""

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
    model or data, the disk is full or the loss stays without a finite value.
    """
    fabric = make_fabric(config)
    fabric.launch()
    with caught_signals() as signals:
        arguments = (fabric, signals, config, train_source, valid_source, vocabulary_size, channel_sizes, run_folder)
        if not fabric.is_global_zero:
            return _Run(*arguments).train()
        with locked(run_folder):
            return _Run(*arguments).train()


def make_fabric(config: TrainConfig) -> Fabric:
    """Fabric on the GPUs that there are, or on this processor; in fp32 where bf16 does not work."""
    accelerator = "cuda" if torch.cuda.is_available() else "cpu"
    if accelerator == "cpu":
        cores = torch.get_num_threads() if config.devices == 1 else max(1, torch.get_num_threads() // config.devices)
        torch.set_num_threads(config.threads or cores)
    precision = _precision(config, accelerator)
    strategy = "auto" if config.devices == 1 else "ddp"
    return Fabric(accelerator=accelerator, devices=config.devices, strategy=strategy, precision=precision)


def _precision(config: TrainConfig, accelerator: str) -> Literal["bf16-mixed", "32-true"]:
    if config.precision == "32-true":
        return "32-true"
    if accelerator == "cuda" or bf16_works():
        return "bf16-mixed"
    if config.precision == "bf16-mixed":
        raise ConfigError("precision bf16-mixed does not work on this processor; use precision=auto or 32-true")
    return "32-true"


def bf16_works() -> bool:
    """Whether this processor trains an LSTM in bf16: oneDNN refuses it without AVX-512."""
    lstm = torch.nn.LSTM(16, 16)
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            lstm(torch.zeros(2, 1, 16))[0].float().sum().backward()
    except RuntimeError:
        return False
    return True


class _Run:
    """A session of a run: what its parts share."""

    def __init__(
        self,
        fabric: Fabric,
        signals: Signals,
        config: TrainConfig,
        train_source: PieceSource,
        valid_source: PieceSource,
        vocabulary_size: int,
        channel_sizes: Sequence[int],
        folder: Path,
    ) -> None:
        self.fabric, self.signals, self.config, self.folder = fabric, signals, config, folder
        self.valid_source = valid_source
        self.fixed = {  # what a run cannot change on its way
            "vocabulary_size": vocabulary_size,
            "channel_sizes": list(channel_sizes),
            "model": config.model.model_dump(mode="json"),
            "data": config.data.model_dump(mode="json"),
        }
        self.lanes = _lanes(fabric, config, train_source)
        self.windows_in_pass = self.lanes.windows_in_pass()
        self.total_steps = self.windows_in_pass * (config.optimizer.passes or config.max_passes)
        torch.manual_seed(config.data.seed)
        with fabric.init_module():
            model = build(config.model.name, vocabulary_size, channel_sizes, **config.model.options())
        self.state = RunState.fresh(model, config.optimizer, config.data.batch_size // fabric.world_size)
        torch.manual_seed(config.data.seed + 1 + fabric.global_rank)  # dropout differs between ranks
        self._resume()
        forward = torch.compile(model) if config.compile else model
        self.network, self.optimizer = fabric.setup(forward, self.state.optimizer)
        self.log = RunLog(
            folder, self.state.progress.step, tensorboard=config.tensorboard, active=fabric.is_global_zero
        )
        self._saved = time.monotonic()
        self._tokens_per_second = 0.0

    # --- the session -----------------------------------------------------------------------------------------------

    def train(self) -> TrainResult:
        try:
            self._announce()
            stopped = self._until_done()
            self._save()
        finally:
            self.log.close()
        return self._result(stopped)

    def _until_done(self) -> str:
        """Passes and evaluations until a reason to stop, which it returns."""
        progress = self.state.progress
        while True:
            if progress.pass_ // self.config.evaluation.every > progress.evaluations:
                self._evaluate()
            reason = self._reason_to_stop()
            if reason == "max_minutes" and progress.window:
                self._evaluate(due=False)
            if reason:
                return reason
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

    def _out_of_time(self) -> bool:
        limit = self.config.max_minutes
        return limit is not None and self._any_rank(self.state.progress.seconds >= 60 * limit)

    def _signal(self) -> str:
        if not self._any_rank(bool(self.signals.received)):
            return ""
        return "SIGINT" if self.signals.received == 2 else "SIGTERM"

    def _any_rank(self, flag: bool) -> bool:
        if self.fabric.world_size == 1:
            return flag
        total = self.fabric.all_reduce(torch.tensor(float(flag), device=self.fabric.device), reduce_op="sum")
        return float(total) > 0  # type: ignore[arg-type]

    def _pass(self) -> None:
        """The rest of a pass, or as much of it as signals and time allow."""
        progress = self.state.progress
        self.network.train()
        started = time.monotonic()
        for window in self.lanes.windows(progress.pass_, progress.window):
            result = take_step(
                self.fabric,
                self.network,
                self.optimizer,
                self.state,
                window.to(self.fabric.device),
                self.config,
                self.total_steps,
            )
            now = time.monotonic()
            progress.seconds += now - started
            self._report_step(result, now - started)
            if self._signal() or self._out_of_time():
                break
            if now - self._saved > 60 * self.config.checkpoint_minutes:
                self._save()
            started = time.monotonic()
        if progress.window == self.windows_in_pass:
            progress.pass_, progress.window = progress.pass_ + 1, 0

    # --- evaluation ------------------------------------------------------------------------------------------------

    def _evaluate(self, due: bool = True) -> None:
        """Nats per note of the averaged weights; the best are saved. A signal cuts it short and leaves it due."""
        progress, config, started = self.state.progress, self.config.evaluation, time.monotonic()
        with self.fabric.autocast():
            evaluation = evaluate(
                self.state.averaged if self.config.ema_decay else self.state.model,
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
        progress.evaluations += due
        better = progress.best_nats_per_note is None or evaluation.nats_per_note < progress.best_nats_per_note
        progress.waiting = 0 if better else progress.waiting + due
        if better:
            progress.best_nats_per_note, progress.best_pass = evaluation.nats_per_note, progress.pass_
            self._save_best(evaluation)
        self._report_evaluation(evaluation, better)
        self._save()

    def _over_ranks(self, evaluation: Evaluation) -> Evaluation:
        if self.fabric.world_size == 1:
            return evaluation
        counts = torch.tensor([evaluation.nats, evaluation.tokens], dtype=torch.float64)
        nats, tokens = self.fabric.all_reduce(counts.to(self.fabric.device), reduce_op="sum").tolist()  # type: ignore[union-attr]
        return Evaluation(nats, int(tokens), evaluation.notes)

    # --- checkpoints -----------------------------------------------------------------------------------------------

    def _save(self) -> None:
        """Write ``last``; all ranks bring their lanes."""
        tensors = {f"carry.{name}": self._gather(part) for name, part in carries.flatten(self.state.carry).items()}
        for name, part in random_states(self.fabric.device).items():
            tensors[f"random.{name}"] = self._gather(part[None].to(self.fabric.device))
        if self.fabric.is_global_zero:
            info = {**self._info(), "progress": self.state.info()}
            save_checkpoint(self.folder, "last", {**self.state.tensors(), **tensors}, info)
        self.log.flush()
        self._saved = time.monotonic()

    def _gather(self, tensor: Tensor) -> Tensor:
        if self.fabric.world_size == 1:
            return tensor
        gathered = self.fabric.all_gather(tensor)  # (ranks, rows, ...)
        assert isinstance(gathered, Tensor)
        return gathered.flatten(0, 1)

    def _save_best(self, evaluation: Evaluation) -> None:
        if not self.fabric.is_global_zero:
            return
        model = self.state.averaged if self.config.ema_decay else self.state.model
        scores = {"nats_per_note": evaluation.nats_per_note, "nats_per_token": evaluation.nats_per_token}
        info = {**self._info(), "valid": scores, "pass": self.state.progress.pass_, "step": self.state.progress.step}
        save_checkpoint(self.folder, "best", model.state_dict(), info)

    def _info(self) -> dict[str, Any]:
        return {"format": 1, "run": self.fixed, "config": self.config.model_dump(mode="json")}

    def _resume(self) -> None:
        found = load_newest(self.folder, "last")
        if found is None:
            return
        tensors, info = found
        self._check_same_run(info["run"])
        self.state.restore(tensors, info["progress"])
        rank, device = self.fabric.global_rank, self.fabric.device
        whole = carries.unflatten(part_of(tensors, "carry"))
        self.state.carry = rows_of(whole, self.state.initial, rank)
        states = part_of(tensors, "random")
        if rank < len(states["cpu"]):
            restore_random_states({name: part[rank] for name, part in states.items()}, device)

    def _check_same_run(self, then: dict[str, Any]) -> None:
        for key, now in self.fixed.items():
            if then[key] != now:
                changed = [k for k in now if now[k] != then[key].get(k)] if isinstance(now, dict) else []
                what = f"{key}.{changed[0]}" if changed else key
                was, comes = (then[key].get(changed[0]), now[changed[0]]) if changed else (then[key], now)
                raise ConfigError(
                    f"{self.folder}: its run has {what} = {was}, the configuration {comes}; choose another --run"
                )

    # --- words -----------------------------------------------------------------------------------------------------

    def _announce(self) -> None:
        progress = self.state.progress
        weights = sum(weight.numel() for weight in self.state.model.parameters())
        start = f"resumes at step {progress.step:,}, pass {progress.pass_}" if progress.step else "starts"
        self.log.say(
            f"{self.config.name}: {start}; {weights / 1e6:.2f} M weights, {self.windows_in_pass} steps a pass, "
            f"precision {self.fabric._precision.precision}, up to {self.config.max_passes} passes"
        )

    def _report_step(self, result: StepResult, seconds: float) -> None:
        progress = self.state.progress
        if not result.finite:
            self.log.say(f"step {progress.step}: no finite loss; skipped")
            if progress.skipped_in_a_row >= BAD_STEPS:
                raise MelodyError(
                    f"{self.folder}: {BAD_STEPS} steps in a row without a finite loss; "
                    "lower optimizer.learning_rate or set precision=32-true, and start again from the last checkpoint"
                )
        rate = result.tokens / seconds
        self._tokens_per_second += (rate - self._tokens_per_second) * (0.05 if self._tokens_per_second else 1.0)
        row = {
            "step": progress.step,
            "pass": progress.pass_,
            "nats_per_token": result.nats_per_token,
            "learning_rate": result.learning_rate,
            "gradient_norm": result.gradient_norm,
            "tokens_per_second": round(rate),
        }
        share, left = self._share_done()
        best = f"{progress.best_nats_per_note:.4f}" if progress.best_nats_per_note is not None else "-"
        self.log.step(
            row,
            f"pass {progress.pass_} step {progress.step}  loss {result.nats_per_token:.4f}  "
            f"best nats/note {best}  {self._tokens_per_second:,.0f} tokens/s  {_clock(left)} left",
            share,
        )

    def _share_done(self) -> tuple[float, float]:
        """How much of the run is done, and the seconds that are left."""
        progress, config = self.state.progress, self.config
        share = (progress.pass_ + progress.window / self.windows_in_pass) / config.max_passes
        left = progress.seconds * (1 - share) / share
        if config.max_minutes is not None:
            by_time = progress.seconds / (60 * config.max_minutes)
            share, left = max(share, by_time), min(left, 60 * config.max_minutes - progress.seconds)
        return min(share, 1.0), max(left, 0.0)

    def _report_evaluation(self, evaluation: Evaluation, better: bool) -> None:
        progress = self.state.progress
        row = {
            "step": progress.step,
            "pass": progress.pass_,
            "nats_per_note": evaluation.nats_per_note,
            "nats_per_token": evaluation.nats_per_token,
            "best": int(better),
            "seconds": round(progress.seconds, 1),
        }
        note = "best" if better else f"best {progress.best_nats_per_note:.4f} at pass {progress.best_pass}"
        self.log.evaluation(
            row,
            f"pass {progress.pass_}: valid {evaluation.nats_per_note:.4f} nats per note, "
            f"{evaluation.nats_per_token:.4f} per token ({note}); {_clock(progress.seconds)}",
        )

    def _result(self, stopped: str) -> TrainResult:
        progress = self.state.progress
        return TrainResult(
            stopped,
            {"SIGINT": 130, "SIGTERM": 143}.get(stopped, 0),
            progress.step,
            progress.pass_,
            progress.best_nats_per_note,
            progress.best_pass,
            progress.seconds,
        )


def _lanes(fabric: Fabric, config: TrainConfig, source: PieceSource) -> Lanes:
    data = config.data
    return Lanes(source, data.batch_size, data.window, data.seed, fabric.global_rank, fabric.world_size)


def _clock(seconds: float) -> str:
    minutes = math.ceil(seconds / 60)
    return f"{minutes // 60}:{minutes % 60:02d} h" if minutes >= 60 else f"{minutes} min"

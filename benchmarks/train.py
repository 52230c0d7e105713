"""Training speed: melody's trainer against a plain `nn.LSTM` loop of the same shape, and against the machine.

    python benchmarks/train.py [--corpus chorale] [--rounds N] [--steps-only] [--quick] [--json]

What is compared takes turns on one thread, in fp32 and in bf16 where the processor has it. The trainer is melody's own:
lanes, transposed pieces with wishes and context channels, dropout, clipping, AdamW, averaged weights. The plain loop
has an embedding, `nn.LSTM`, a head of its own and AdamW, and random tokens that are already there. Times are processor
seconds, so that a busy machine costs little; the runs with one process and with two are whole `melody train`, in
seconds of the clock.

The machine's peak is the product of two large square matrices. A token costs six operations for each weight of the
LSTM and of the head: two forward, four backward.
"""

import argparse
import csv
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, product
from pathlib import Path
from time import process_time
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
from race import Contestant, Result, Times, one_thread, race, ratio, report  # noqa: E402

one_thread()  # before torch is imported

import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from melody.config import TrainConfig, check_config  # noqa: E402
from melody.corpus import AugmentedSource, TokenStore, open_store, shift_tables  # noqa: E402
from melody.corpus.draw_conditions import ConditionTeller, density_limits  # noqa: E402
from melody.corpus.store import StoredPiece, write_store  # noqa: E402
from melody.models import build  # noqa: E402
from melody.tokens import EventTokenizer  # noqa: E402
from melody.training.devices import bf16_works, make_fabric  # noqa: E402
from melody.training.lanes import Lanes, Window  # noqa: E402
from melody.training.state import RunState  # noqa: E402
from melody.training.step import take_step  # noqa: E402

ROOT = Path(__file__).parents[1]
TOKENIZER = EventTokenizer()
PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed"}
GOALS = {"plain": 0.85, "waiting": 0.05, "processes": 1.5}
FIRST_STEPS = 3  # of a run, which warm up


@dataclass(frozen=True)
class Sizes:
    """Amount of measuring."""

    width: int = 256
    layers: int = 3
    lanes: int = 32
    window: int = 128  # tokens
    steps: int = 4  # in a turn
    rounds: int = 7
    sweep: tuple[tuple[int, ...], tuple[int, ...]] = ((16, 32, 64), (64, 128, 256))  # lanes, windows
    sweep_rounds: int = 3
    matrix: int = 2048
    pieces: int = 96  # of the whole runs
    runs: int = 2  # that count, with one process and with two; 0: neither these nor the sweep


QUICK = Sizes(64, 2, 8, 32, 2, 1, ((4, 8), (16,)), 1, 256, 12, 1)


# ---- who races ------------------------------------------------------------------------------------------------------


def configuration(sizes: Sizes, precision: str, lanes: int, window: int, **more: Any) -> TrainConfig:
    """A run of the trainer, with the dropout of the shipped chorale model."""
    values = {
        "name": "speed",
        "corpus": "none",
        "model": {"hidden_size": sizes.width, "layers": sizes.layers, "dropout": 0.3, "input_dropout": 0.1},
        "data": {"batch_size": lanes, "window": window, "plan_dropout": 0.15},
        "precision": PRECISIONS[precision],
        "threads": 1,
    }
    return check_config(values | more)


@dataclass
class Trainer:
    """Steps of the trainer on a store's music; a turn gives the seconds of a token of music."""

    store: TokenStore
    config: TrainConfig
    steps: int
    waits: list[float] = field(default_factory=list)  # share of each turn that goes by before a window is there
    filled: list[float] = field(default_factory=list)  # share of each turn's windows that holds music

    def __post_init__(self) -> None:
        torch.manual_seed(0)
        self.fabric = make_fabric(self.config)
        sizes = [channel.size for channel in TOKENIZER.channels]
        model = build("residual_lstm", len(TOKENIZER.vocabulary), sizes, **self.config.model.options())
        self.state = RunState.fresh(model, self.config.optimizer, self.config.data.batch_size)
        self.network, self.optimizer = self.fabric.setup(model, self.state.optimizer)
        self.network.train()
        self.windows = self._windows()

    def _windows(self) -> Iterator[Window]:
        split, data = self.store.split("train"), self.config.data
        teller = ConditionTeller(split, TOKENIZER, density_limits(split))
        source = AugmentedSource(split, shift_tables(TOKENIZER, split), data.transpose, data.plan_dropout, teller)
        for pass_ in count():
            yield from Lanes(source, data.batch_size, data.window).windows(pass_)

    def __call__(self) -> float:
        began, waited, tokens = process_time(), 0.0, 0
        for _ in range(self.steps):
            asked = process_time()
            window = next(self.windows)
            waited += process_time() - asked
            step = take_step(self.fabric, self.network, self.optimizer, self.state, window, self.config, 100_000)
            tokens += step.tokens
        seconds = process_time() - began
        self.waits.append(waited / seconds)
        self.filled.append(tokens / (self.steps * window.tokens.numel()))
        return seconds / tokens


class Plain(nn.Module):
    """An embedding, `nn.LSTM` and a head, as a tutorial has them."""

    def __init__(self, vocabulary_size: int, width: int, layers: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, width)
        self.lstm = nn.LSTM(width, width, layers)
        self.head = nn.Linear(width, vocabulary_size)

    def forward(self, tokens: Tensor, states: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Tokens (T, B) to logits (T, B, V)."""
        y, states = self.lstm(self.embedding(tokens), states)
        return self.head(y), states


def plain_steps(sizes: Sizes, precision: str) -> Contestant:
    """The plain loop; its states go on from window to window."""
    torch.manual_seed(0)
    size = len(TOKENIZER.vocabulary)
    model = Plain(size, sizes.width, sizes.layers)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    tokens = torch.randint(0, size, (sizes.window + 1, sizes.lanes))

    def turn() -> float:
        states, began = None, process_time()
        for _ in range(sizes.steps):
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                logits, states = model(tokens[:-1], states)
            states = tuple(state.detach() for state in states)
            functional.cross_entropy(logits.float().flatten(0, 1), tokens[1:].flatten()).backward()
            optimizer.step()
            optimizer.zero_grad()
        return (process_time() - began) / (sizes.steps * sizes.window * sizes.lanes)

    return turn


def product_of_matrices(size: int, precision: str) -> Contestant:
    """Seconds of one operation, a product and a sum being two."""
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    left, right = torch.randn(2, size, size).to(kind)

    def turn() -> float:
        began = process_time()
        left @ right
        return (process_time() - began) / (2 * size**3)

    return turn


def operations_a_token(model: nn.Module) -> int:
    """Operations of training: six for each weight of the recurrent layers and of the head."""
    recurrent = sum(weight.numel() for lstm in model.lstms for weight in lstm.parameters() if weight.dim() == 2)
    return 6 * (recurrent + model.embedding.weight.numel())


# ---- whole runs -----------------------------------------------------------------------------------------------------


def some_of(store: TokenStore, count_: int, folder: Path) -> TokenStore:
    """A store of a few pieces to train on, and one to validate with."""

    def taken(split: str, most: int) -> list[StoredPiece]:
        part = store.split(split)
        return [
            StoredPiece(name, *part.piece(i), int(part.notes[i]), tuple(part.shifts[i].tolist()))
            for i, name in enumerate(part.names[:most])
        ]

    splits = {"train": taken("train", count_), "valid": taken("valid", 1), "test": []}
    return write_store(folder, "some", TOKENIZER, splits, {"dropped": []})


def whole_run(store: TokenStore, sizes: Sizes, devices: int, folder: Path) -> Contestant:
    """`melody train` for two passes with some processes: its median seconds for a token, of the clock."""
    settings = {
        "name": "speed",
        "corpus": store.folder,
        "devices": devices,
        "threads": 1,
        "max_passes": 2,
        "tensorboard": "false",
        "model.hidden_size": sizes.width,
        "model.layers": sizes.layers,
        "data.batch_size": sizes.lanes,
        "data.window": sizes.window,
        "evaluation.every": 9,
    }
    (folder / "speed.yaml").write_text("name: speed\ncorpus: none\n", encoding="utf-8")
    runs = count()

    def turn() -> float:
        run = folder / f"run-{devices}-{next(runs)}"
        changes = [f"{key}={value}" for key, value in settings.items()]
        command = [sys.executable, "-m", "melody", "train", str(folder / "speed.yaml"), *changes, "--run", str(run)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
        with (run / "steps.csv").open(newline="", encoding="utf-8") as file:
            speeds = [float(row["tokens_per_second"]) for row in csv.DictReader(file)]
        return 1 / float(np.median(speeds[FIRST_STEPS:] or speeds))

    return turn


# ---- the report -----------------------------------------------------------------------------------------------------


def run(store: TokenStore, sizes: Sizes, folder: Path) -> tuple[list[str], list[Result]]:
    """Facts and results."""
    precisions = [name for name in PRECISIONS if name == "fp32" or bf16_works()]
    trainers = {p: Trainer(store, configuration(sizes, p, sizes.lanes, sizes.window), sizes.steps) for p in precisions}
    racing: dict[str, Contestant] = {}
    for p in precisions:
        racing |= {f"trainer {p}": trainers[p], f"plain {p}": plain_steps(sizes, p)}
        racing |= {f"matrices {p}": product_of_matrices(sizes.matrix, p)}
    times = race(racing, sizes.rounds)
    results, facts = [], []
    for p in precisions:
        ours = times[f"trainer {p}"]
        results.append(ratio(f"trainer over plain nn.LSTM, {p}", times[f"plain {p}"], ours, GOALS["plain"]))
        waits = np.array(trainers[p].waits[1:])
        results.append(
            Result(f"waiting for data, {p}", float(waits.mean()), float(waits.min()), GOALS["waiting"], True)
        )
        facts.append(_speeds(p, times, operations_a_token(trainers[p].state.model), trainers[p]))
    if not sizes.runs:
        return facts, results
    facts += _swept(store, sizes, precisions)
    runs = race(
        {str(n): whole_run(some_of(store, sizes.pieces, folder / f"store-{n}"), sizes, n, folder) for n in (1, 2)},
        sizes.runs,
    )
    results.append(ratio("two processes over one", runs["1"], runs["2"], GOALS["processes"]))
    facts.append("melody train: " + ", ".join(f"{n} processes {_rate(runs[n]):,.0f} tokens/s" for n in runs))
    return facts, results


def _rate(seconds: np.ndarray) -> float:
    return float(1 / np.median(seconds))


def _speeds(precision: str, times: Times, operations: int, trainer: Trainer) -> str:
    """The speeds of one precision, beside the machine's."""
    ours, plain, matrices = (times[f"{name} {precision}"] for name in ("trainer", "plain", "matrices"))
    filled = float(np.mean(trainer.filled))
    share, theirs = (float(np.median(operations * matrices / part)) for part in (ours, plain))
    text = (
        f"{precision}: trainer {_rate(ours):,.0f}, plain {_rate(plain):,.0f} tokens/s; music fills {filled:.0%} of the "
        f"windows; peak {_rate(matrices) / 1e9:,.0f} GFLOP/s: trainer {share:.0%}, plain loop {theirs:.0%}"
    )
    return text.replace("%", " %")


def _swept(store: TokenStore, sizes: Sizes, precisions: Sequence[str]) -> list[str]:
    """Tokens a second for each number of lanes and length of window."""
    shapes = list(product(precisions, *sizes.sweep))
    swept: Mapping[str, Contestant] = {
        f"{p}, {lanes} lanes x {window}": Trainer(store, configuration(sizes, p, lanes, window), 1)
        for p, lanes, window in shapes
    }
    return [f"{name}: {_rate(seconds):,.0f} tokens/s" for name, seconds in race(swept, sizes.sweep_rounds).items()]


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", default="chorale", help="a name in corpora/, or the folder of a store of events")
    parser.add_argument(
        "--rounds", type=int, help=f"turns of what races (default {Sizes.rounds}); the rest takes one each"
    )
    parser.add_argument("--steps-only", action="store_true", help="race the trainer and the plain loop, nothing else")
    parser.add_argument("--quick", action="store_true", help="a tiny model, few steps: to see that it works")
    parser.add_argument("--json", action="store_true", help="a report for programs")
    options = parser.parse_args(arguments)
    sizes = QUICK if options.quick else Sizes()
    if options.rounds:
        sizes = replace(sizes, rounds=options.rounds, sweep_rounds=1, runs=1)
    if options.steps_only:
        sizes = replace(sizes, runs=0)
    with tempfile.TemporaryDirectory() as folder:
        facts, results = run(open_store(options.corpus), sizes, Path(folder))
    title = f"Training {sizes.layers}x{sizes.width}, {sizes.lanes} lanes, windows of {sizes.window}"
    print(report(title, facts, results, as_json=options.json))


if __name__ == "__main__":
    main()

"""The native core against Python with ONNX Runtime, on every shipped model: ratios in one run, one thread each.

    python benchmarks/engines.py [MODEL ...] [--rounds N] [--quick] [--answers] [--json]

- a whole composition of 16 bars from nothing, from the call to the take, a token; and 64 takes of them drawn at once
- an answer to a call of four bars: from the call to the first whole bar of the answer (`--answers`: see `answers.py`)
- the channels of whole pieces, as `melody prepare` and training make them
- the kernels that this processor can run, a token each
- how many takes are the same under both engines: their logits differ in the last digits, and a take that once draws
  another token goes its own way

Times are processor seconds: one thread computes all of it and waits for nothing, so that other programs do not count.
"""

import argparse
import sys
from pathlib import Path
from statistics import median
from time import process_time
from typing import NamedTuple

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]
from race import Contestant, Result, one_thread, race, ratio, report  # noqa: E402

one_thread()

import numpy as np  # noqa: E402
from answers import KINDS, answers, at_once, calls_by, first_bar_of  # noqa: E402

from melody.bundle import open_bundle  # noqa: E402
from melody.engine.native import NativeEngine  # noqa: E402
from melody.generation import Composer  # noqa: E402
from melody.generation.decoders import sampling  # noqa: E402
from melody.generation.seeds import Seed  # noqa: E402
from melody.generation.settings import settings_of  # noqa: E402
from melody.native.library import core  # noqa: E402
from melody.tokens import Reader  # noqa: E402
from melody.tokens.channels import layout_of  # noqa: E402
from melody.tokens.native_reader import reader_for  # noqa: E402

MODELS = ("chorale", "folk", "pop", "piano", "drums", "band")
COMPOSE, CHANNELS = 5, 30  # goals: times as fast


class Sizes(NamedTuple):
    """Length of each measurement."""

    rounds: int = 15
    bars: int = 16
    takes: int = 64
    same: int = 24  # takes that are compared


QUICK = Sizes(rounds=3, bars=4, takes=8, same=4)


def composing(composer: Composer, bars: int, takes: int) -> Contestant:
    """Seconds a token of so many takes; each turn has a seed of its own, the same for both engines."""
    seeds = iter(range(1, 10_000))

    def turn() -> float:
        seed = next(seeds)
        start = process_time()
        composed = composer.compose(bars=bars, takes=takes, seed=seed)
        seconds = process_time() - start
        return seconds / sum(take.notes for take in composed)

    return turn


def same_takes(native: Composer, onnx: Composer, bars: int, takes: int) -> int:
    """How many takes are the same, token by token."""
    seeds, drawn = [Seed(7, number) for number in range(1, takes + 1)], []
    for composer in (native, onnx):
        prepared = composer._prepare(None, settings_of({"bars": bars}, None))
        drawn.append(sampling.Sampled().decode(prepared, composer.engine, seeds))
    return sum(one.ids == other.ids for one, other in zip(*drawn, strict=True))


def kernels(model: str, count: int = 400) -> list[str]:
    """Microseconds of a step by each kernel, with the way from Python and back."""
    bundle, library, lines = open_bundle(model), core(), []
    graph = bundle.read("step.onnx")
    assert library is not None
    for place in range(library.kernels_count()):
        engine = NativeEngine(graph, kernels=place, layer_bits=bundle.layer_bits)
        token, context, carry = np.array([5]), np.zeros((1, engine.shapes.channels), np.int16), engine.start(1)
        times = []
        for _ in range(count if place < library.kernels_count() - 1 else count // 10):
            start = process_time()
            _, carry = engine.step(token, context, carry)
            times.append(process_time() - start)
        lines.append(f"{engine.kernels} {median(times) * 1e6:.0f}")
    return lines


def reading(composer: Composer, ids: list[int]) -> dict[str, Contestant]:
    """Contestants that make the channels of a piece, in C and in Python; none where C does not know them."""
    tokenizer = composer.bundle.tokenizer
    layout, plan = layout_of(tokenizer.names), tokenizer.plan_of(np.array(ids))

    if reader_for(layout, plan) is None:
        return {}
    tokens = np.array(ids, np.int32)  # as a store holds them

    def in_c() -> float:
        start = process_time()
        reader = reader_for(layout, plan)
        assert reader is not None
        reader.contexts(tokens)
        return process_time() - start

    def in_python() -> float:
        start, reader = process_time(), Reader(tokenizer.vocabulary, plan, layout)
        rows = np.empty((len(ids), len(layout.names)), np.int16)
        for row, token in zip(rows, ids, strict=True):
            reader.read(token)
            row[:] = reader.context
        return process_time() - start

    return {"c": in_c, "python": in_python}


def measured(model: str, sizes: Sizes) -> tuple[list[str], list[Result]]:
    """Facts and results of a model."""
    native, onnx = Composer(model, "native"), Composer(model, "onnx")
    take, calls = onnx.compose(bars=16, seed=3)[0], calls_by(native)
    ids = native.bundle.tokenizer.encode(take.score).tolist()
    readers = reading(native, ids)
    many = max(3, sizes.rounds // 5)
    one = race({"native": composing(native, sizes.bars, 1), "onnx": composing(onnx, sizes.bars, 1)}, sizes.rounds)
    all_ = race({"native": composing(native, 4, sizes.takes), "onnx": composing(onnx, 4, sizes.takes)}, many)
    bar = race({"native": at_once(native, calls), "onnx": at_once(onnx, calls)}, sizes.rounds)
    same = same_takes(native, onnx, sizes.bars, sizes.same)
    results = [
        ratio(f"{model}: compose {sizes.bars} bars", one["onnx"], one["native"], COMPOSE),
        ratio(f"{model}: {sizes.takes} takes at once", all_["onnx"], all_["native"], COMPOSE),
        first_bar_of(model, KINDS[0], bar["native"]),
    ]
    if readers:
        read = race(readers, sizes.rounds)
        results.append(ratio(f"{model}: channels of a piece", read["python"], read["c"], CHANNELS))
    facts = [
        f"{model}: a note takes {np.median(one['native']) * 1e6:.0f} us, among {sizes.takes} takes "
        f"{np.median(all_['native']) * 1e6:.0f} us; first bar {np.median(bar['native']) * 1e3:.0f} ms, "
        f"with ONNX Runtime {np.median(bar['onnx']) * 1e3:.0f} ms; {same} of {sizes.same} takes are the same",
        f"  a step, us: {', '.join(kernels(model))}",
    ]
    return facts, results


def main(arguments: list[str] | None = None) -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("models", nargs="*", default=MODELS, help="shipped models, or folders of bundles")
    parser.add_argument("--rounds", type=int, default=Sizes().rounds, help="turns of what races (default %(default)s)")
    parser.add_argument("--quick", action="store_true", help="a few rounds, for a first look")
    parser.add_argument("--answers", action="store_true", help="the first bars of answers alone")
    parser.add_argument("--json", action="store_true", help="a report for programs")
    options = parser.parse_args(arguments)
    facts, results = [], []
    for model in options.models:
        sizes = QUICK if options.quick else Sizes(rounds=options.rounds)
        own = answers(model, sizes.rounds) if options.answers else measured(model, sizes)
        facts += own[0]
        results += own[1]
    print(report("Native core: times as fast as Python with ONNX Runtime", facts, results, as_json=options.json))


if __name__ == "__main__":
    main()

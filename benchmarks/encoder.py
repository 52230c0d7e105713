"""Cost of an encoder: a step of an encoder-decoder against the same decoder's step, by each engine.

Both have the same random weights of 3x256 in 8 bits; the encoder has 2 x 64 units, two layers and 384 steps (48 bars of
4/4). One thread, batch 1. From Python a step is `engine.step`; in C it is reading a piece, with the
channels of each token and the logits behind the last. Encoding is done once a piece.

    python benchmarks/encoder.py [--quick] [--json]
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from time import process_time
from typing import Any

from race import Contestant, Result, Times, one_thread, race, report

one_thread()

import numpy as np  # noqa: E402
import torch  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from melody.engine import Engine  # noqa: E402
from melody.engine.graphs import STEP_GRAPHS  # noqa: E402
from melody.engine.native import NativeEngine  # noqa: E402
from melody.engine.onnx import OnnxEngine  # noqa: E402
from melody.engine.passages import MOST_KEPT  # noqa: E402
from melody.engine.told import EngineEncoder  # noqa: E402
from melody.engine.torch import TorchEngine  # noqa: E402
from melody.generation import Composer  # noqa: E402
from melody.models import build  # noqa: E402
from melody.native.library import core  # noqa: E402
from melody.tokens import EventTokenizer, Plan  # noqa: E402
from melody.tokens.channels import layout_of  # noqa: E402
from melody.tokens.views import views_of  # noqa: E402

DECODER = {"hidden_size": 256, "layers": 3}
KINDS: dict[str, dict[str, Any]] = {
    "residual_lstm": DECODER,
    "encoder_decoder": DECODER | {"encoder_size": 64, "encoder_layers": 2, "steps": 384},
}
GOAL = 1.05  # a step costs as before


@dataclass(frozen=True)
class Sizes:
    """Rounds, and tokens a turn."""

    rounds: int = 25
    tokens: int = 400


QUICK = Sizes(rounds=3, tokens=100)


def models() -> dict[str, torch.nn.Module]:
    """Both models with random weights, and the decoder's the same."""
    torch.manual_seed(0)
    tokenizer = EventTokenizer()
    sizes = [channel.size for channel in tokenizer.channels]
    found = {
        name: build(
            name, len(tokenizer.vocabulary), sizes, **views_of(tokenizer, {"name": name, **options}), **options
        ).eval()
        for name, options in KINDS.items()
    }
    decoder = found["encoder_decoder"].decoder
    assert isinstance(decoder, torch.nn.Module)
    found["residual_lstm"].load_state_dict(decoder.state_dict())
    return found


def engines(model: torch.nn.Module, name: str) -> dict[str, Engine]:
    """The engines of a model by what they are called here."""
    views = views_of(EventTokenizer(), {"name": name, **KINDS[name]})
    weights = {part: weight.numpy() for part, weight in model.state_dict().items()}
    kind = STEP_GRAPHS[name]
    graph = kind.build(weights, KINDS[name], views)
    told = EngineEncoder(kind.encoder(weights), views["given"], KINDS[name]["steps"]) if kind.encoder else None
    found: dict[str, Engine] = {"ONNX Runtime": OnnxEngine(graph, told=told), "torch": TorchEngine(model)}
    return found if core() is None else {"native": NativeEngine(graph, told=told)} | found


def stepping(engine: Engine, ids: NDArray[np.integer], contexts: NDArray[np.integer]) -> Contestant:
    """Steps from Python."""

    def turn() -> float:
        carry = engine.start(1)
        start = process_time()
        for token, context in zip(ids[:, None], contexts[:, None], strict=True):
            _, carry = engine.step(token, context, carry)
        return (process_time() - start) / len(ids)

    return turn


def reading(engine: NativeEngine, ids: Sequence[int]) -> Contestant:
    """Steps in C; each time the piece is told to be of another length, so that nothing of it is known already."""
    layout, turns = layout_of(EventTokenizer().names), count()

    def turn() -> float:
        reader, carry = engine.reader(layout, Plan(bars=20 + next(turns) % (2 * MOST_KEPT))), engine.start(1)
        assert reader is not None
        start = process_time()
        engine.read(reader, ids, carry)
        return (process_time() - start) / len(ids)

    return turn


def encoding(engine: Any) -> Contestant:
    """Encoding of a piece, told something else each time."""
    sizes, generator = views_of(EventTokenizer(), {"name": "encoder_decoder"})["given"].sizes, np.random.default_rng(1)

    def turn() -> float:
        told = generator.integers(0, sizes, (1, engine.steps, len(sizes)))
        start = process_time()
        engine.start_told(told)
        return process_time() - start

    return turn


def run(sizes: Sizes) -> tuple[list[str], list[Result]]:
    """The facts and the ratios of a race."""
    torch.set_num_threads(1)
    tokenizer = EventTokenizer()
    score = Composer("chorale").compose(bars=16, seed=1)[0].score
    ids = tokenizer.encode(score)[: sizes.tokens]
    contexts = tokenizer.context(ids)
    contestants: dict[str, Contestant] = {}
    for name, model in models().items():
        for kind, engine in engines(model, name).items():
            contestants[f"{name} {kind}"] = stepping(engine, ids, contexts)
            if isinstance(engine, NativeEngine):
                contestants[f"{name} in C"] = reading(engine, ids.tolist())
            if name == "encoder_decoder" and kind != "ONNX Runtime":
                contestants[f"encoding {kind}"] = encoding(engine)
    times = race(contestants, sizes.rounds)
    kinds = [name.removeprefix("residual_lstm ") for name in times if name.startswith("residual_lstm ")]
    results = [told_over_plain(times, kind) for kind in kinds]
    return [fact for kind in ("native", "torch") if (fact := of_encoding(times, kind))], results


def told_over_plain(times: Times, kind: str) -> Result:
    """Return how many times as long a step takes with an encoder."""
    told, plain = (times[f"{name} {kind}"] for name in ("encoder_decoder", "residual_lstm"))
    ratio = float(np.median(told / plain)), float(told.min() / plain.min())
    return Result(f"a step with an encoder over one without, {kind}", *ratio, GOAL, at_most=True, slack=0.02)


def of_encoding(times: Times, kind: str) -> str:
    """Say how many steps encoding costs."""
    if f"encoding {kind}" not in times:
        return ""
    steps = float(np.median(times[f"encoding {kind}"] / times[f"residual_lstm {kind}"]))
    return f"encoding a piece takes as long as {steps:.0f} steps, {kind}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a few rounds, for a first look")
    parser.add_argument("--json", action="store_true", help="a report for programs")
    options = parser.parse_args(arguments)
    print(report("Encoder-decoder", *run(QUICK if options.quick else Sizes()), as_json=options.json))


if __name__ == "__main__":
    main()

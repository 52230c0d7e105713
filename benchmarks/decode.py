"""Speed of decoding: ratios against what else one could do on the same machine, one thread on each side.

    python benchmarks/decode.py [--quick] [--json]

- the engine's step, and the whole decode loop (`composer.compose`, `composer.stream`), against the same model stepped
  by `nn.LSTM` token by token; the native core steps from Python and, reading a piece, in C
- the engine's step against a GPT-2-style decoder of as many parameters, with a cache of keys and values, at three
  lengths of context (`benchmarks/decoder.py`)
- the share of the machine's limit: the time to read as many bytes as a token has weights, over the step's time
- what the 10,000th and the 990,000th token cost over the 100th, in time and in memory

For the shipped model, and for one of 3x512 with random weights. `nn.LSTM` is stepped with and without oneDNN (it is
faster without); of a decoder's two times the better one counts. Needs the extra ``train``.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING, Any

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]
from race import Contestant, Result, Times, one_thread, race, ratio, report  # noqa: E402

one_thread()

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

import melody  # noqa: E402
from melody.engine import Carry, Engine, Logits  # noqa: E402
from melody.generation import Composer, Sampling  # noqa: E402
from melody.generation.decoders.sampling import stream  # noqa: E402
from melody.generation.prefix import read_prefix  # noqa: E402
from melody.generation.primer.primer_view import empty_start  # noqa: E402
from melody.generation.rules.bars import exact_bars, no_long_silence  # noqa: E402
from melody.generation.rules.stated import only_seen  # noqa: E402
from melody.generation.rules.styles import Voices, style_rules  # noqa: E402
from melody.tokens import Plan  # noqa: E402

if TYPE_CHECKING:
    from rivals import Subject

FAST, ENGINE, CONTEXTS = 50, 2, {512: 30, 2_048: 50, 8_192: 150}  # goals: times as fast
LIMIT, FLAT = 0.6, 1.0
MANY_BARS = 1_000_000  # so far that the end is never near
MOST_BARS = 1_000  # that one may ask for


@dataclass(frozen=True)
class Sizes:
    """Length of each measurement."""

    rounds: int = 15
    step_tokens: int = 200  # a turn of the engine
    rival_tokens: int = 12  # a turn of torch
    bars: int = 16  # of a whole composition
    early: int = 100
    later: tuple[int, ...] = (10_000, 990_000)  # a take has a million at most
    notes: int = 20  # a turn of `composer.stream`
    early_note: int = 100
    late_note: int = 5_000
    contexts: tuple[int, ...] = tuple(CONTEXTS)


QUICK = Sizes(rounds=5, step_tokens=50, rival_tokens=4, bars=4, later=(1_000, 5_000), late_note=2_000)


# ---- the engine and the decode loop ----------------------------------------------------------------------------------


class Counter:
    """An engine that notes when each of its steps began."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.begun: list[float] = []  # seconds

    def start(self, batch: int) -> Carry:
        return self.engine.start(batch)

    def step(self, ids: NDArray[np.integer], context: NDArray[np.integer], carry: Carry) -> tuple[Logits, Carry]:
        self.begun.append(process_time())
        return self.engine.step(ids, context, carry)


def endless(composer: Composer, seed: int) -> Iterator[Any]:
    """Tokens without end, under the grammar and those rules that every piece from nothing obeys."""
    bundle, vocabulary = composer.bundle, composer.bundle.tokenizer.vocabulary
    ids = [*empty_start(bundle), vocabulary.ids["Bar"][0]]
    prefix = read_prefix(composer.engine, bundle.tokenizer.reader(Plan(bars=MANY_BARS)), ids)
    rules = [
        exact_bars(vocabulary, MANY_BARS),
        no_long_silence(vocabulary),
        only_seen(bundle.seen),
        *style_rules(bundle.style_rules, vocabulary, Voices(range(len(bundle.tracks)))),
    ]
    return stream(composer.engine, [prefix], rules, Sampling(top_p=0.95), [np.random.default_rng(seed)])


def pull(tokens: Iterator[Any], count: int) -> float:
    """Let a stream go on by so many tokens; seconds a token."""
    start = process_time()
    pulled = sum(1 for _ in islice(tokens, count))
    if pulled < count:
        raise SystemExit(f"the piece ended {count - pulled} early: it is too short to be measured so late")
    return (process_time() - start) / count


def whole(composer: Composer, compose: Callable[[], object]) -> Contestant:
    """A whole composition: seconds a token, from the call to the last note.

    Its tokens are counted beforehand, by the loop in Python, which draws the same ones.
    """
    engine = composer.engine
    composer.engine = counter = Counter(engine)
    compose()
    composer.engine = engine

    def turn() -> float:
        start = process_time()
        compose()
        return (process_time() - start) / len(counter.begun)

    return turn


def loops(composer: Composer, sizes: Sizes) -> dict[str, Contestant]:
    """Contestants that a musician waits for, with all rules and the sampling: a whole piece, and one note by note."""
    return {
        "compose": whole(composer, lambda: composer.compose(bars=sizes.bars, seed=1)),
        "stream": whole(composer, lambda: list(composer.stream(bars=sizes.bars, seed=1))),
    }


def late_over_early(composer: Composer, sizes: Sizes) -> list[Result]:
    """Time and memory of a late token over an early one. Runs before torch is loaded, which would hide what grows."""
    places, memory = (sizes.early, *sizes.later), []
    texts = [endless(composer, seed) for seed in range(len(places))]
    pull(texts[0], sizes.early)
    for text, place in zip(texts[1:], sizes.later, strict=True):
        pull(text, sizes.early)
        before = resident()
        pull(text, place - sizes.early)
        memory.append(resident() / before)
    turns = {str(place): partial(pull, text, sizes.step_tokens) for text, place in zip(texts, places, strict=True)}
    times, results = race(turns, sizes.rounds), []
    for place, grown in zip(sizes.later, memory, strict=True):
        time = ratio("", times[str(place)], times[str(sizes.early)], FLAT)
        name = f"the {place:,}th token over the {sizes.early:,}th"
        results += [
            Result(f"{name}: time", time.median, time.of_minimums, FLAT, at_most=True, slack=0.05),
            Result(f"{name}: memory", grown, grown, FLAT, at_most=True, slack=0.05),
        ]
    return [*results, _stream_late_over_early(composer, sizes)]


def _stream_late_over_early(composer: Composer, sizes: Sizes) -> Result:
    """The same of the notes of `composer.stream`, in one long piece."""
    old, young = (composer.stream(bars=MOST_BARS, seed=seed) for seed in (0, 1))
    pull(old, sizes.late_note)
    pull(young, sizes.early_note)
    turns = {"late": lambda: pull(old, sizes.notes), "early": lambda: pull(young, sizes.notes)}
    times = race(turns, sizes.rounds)
    time = ratio("", times["late"], times["early"], FLAT)
    name = f"composer.stream, the {sizes.late_note:,}th note over the {sizes.early_note:,}th: time"
    return Result(name, time.median, time.of_minimums, FLAT, at_most=True, slack=0.1)


def resident() -> int:
    """Memory of this process now, in any unit; where the system does not tell, its peak, which serves to see growth."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


# ---- putting together ------------------------------------------------------------------------------------------------


def results_of(name: str, times: Times, loop_names: list[str]) -> list[Result]:
    """Each ratio of a race beside its goal."""
    step, lstm = times["step"], times["nn.LSTM False"]
    within = "step in C" if "step in C" in times else "step"
    own = times[within]
    found = [
        ratio(f"{name}: step against nn.LSTM, oneDNN off", lstm, step, FAST),
        ratio(f"{name}: step against nn.LSTM, oneDNN on", times["nn.LSTM True"], step, FAST),
    ]
    others = [loop for loop in ("step in C", *loop_names) if loop in times]
    found += [ratio(f"{name}: {loop} against nn.LSTM, oneDNN off", lstm, times[loop], FAST) for loop in others]
    if (onnx := times.get("step, ONNX Runtime")) is not None:
        found.append(ratio(f"{name}: step against ONNX Runtime's", onnx, step, ENGINE))
    for context, goal in CONTEXTS.items():
        if f"decoder {context} True" in times:
            best = min((times[f"decoder {context} {onednn}"] for onednn in (False, True)), key=np.median)
            found.append(ratio(f"{name}: {within} against a decoder at {context:,}", best, own, goal))
    reads = [times[read] for read in times if read.startswith("read ")]
    found.append(ratio(f"{name}: share of the machine's limit", min(reads, key=np.median), own, LIMIT))
    return found


def facts_of(subject: "Subject", times: Times) -> list[str]:
    """Tokens a second, for orientation."""
    reads = min(float(np.median(seconds)) for name, seconds in times.items() if name.startswith("read "))
    size = subject.weights_bytes
    lines = [f"{subject.name}: {size / 1e6:.2f} MB of weights a token, read at {size / reads / 1e9:.0f} GB/s"]
    for name, seconds in times.items():
        if not name.startswith("read "):
            shown = name.replace("False", "oneDNN off").replace("True", "oneDNN on")
            speed, best = 1 / np.median(seconds), 1 / seconds.min()
            lines.append(f"  {shown:26} {speed:9,.0f} tokens/s, at best {best:9,.0f}")
    return lines


def run(model: str, sizes: Sizes) -> tuple[list[str], list[Result]]:
    """Facts and results."""
    composer = melody.load(model)
    flat = late_over_early(composer, sizes)
    import torch  # only now: see `late_over_early`
    from rivals import contestants, shipped, untrained

    torch.set_num_threads(1)
    turns = sizes.contexts, sizes.step_tokens, sizes.rival_tokens
    mine = shipped(composer)
    times = race(contestants(mine, *turns) | (looped := loops(composer, sizes)), sizes.rounds)
    facts, results = facts_of(mine, times), results_of(mine.name, times, list(looped))
    large = untrained(mine, width=512)
    times = race(contestants(large, *turns), sizes.rounds)
    return facts + facts_of(large, times), results + results_of(large.name, times, []) + flat


def main(arguments: list[str] | None = None) -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", default="chorale", help="a shipped model's name, or a bundle's folder")
    parser.add_argument("--quick", action="store_true", help="a few rounds, for a first look")
    parser.add_argument("--json", action="store_true", help="a report for programs")
    options = parser.parse_args(arguments)
    title = "Decoding: times as fast as the rival, one thread each, batch 1"
    print(report(title, *run(options.model, QUICK if options.quick else Sizes()), as_json=options.json))


if __name__ == "__main__":
    main()

"""Nats per note of equals: our LSTM, a Transformer and a count model; and our tokens beside MidiTok's.

    python benchmarks/quality.py [--corpus chorale|folk] [--what models|tokenizers|all|tuning] [--seconds 240]
                                 [--seeds 3] [--only NAME] [--quick] [--json]

All see the same pieces, each pass in new transpositions, and are trained by melody's own loop for the same processor
seconds on one thread, with weights within 10 % of each other (`budget.py` says how). Nats per note are those of all
tokens of the held-out pieces, the end included and the beginning given, over the notes of the quantised scores. There
is no mask of the grammar, and no model is told the plan (length, key) that melody's own evaluation gives: all it is
told follows from the tokens so far.

- models: the LSTM and the Transformer, each with all context channels, without what is recalled, and with tokens alone;
  the LSTM with intervals too, as the shipped models are; and back-off n-grams;
- tokenizers: the LSTM on tokens alone, in melody's events and in MidiTok's REMI and TSD, each also merged by byte pairs
  (BPE) that it learned from transposed training pieces. Where tracks share a program, MidiTok would make them one: so
  they get programs of their own before. What still does not come back is counted as lost;
- tuning: the learning rates and dropouts that were tried, one seed, on the valid split alone.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
from race import machine, one_thread  # noqa: E402

one_thread()  # before torch is imported

import numpy as np  # noqa: E402
import torch  # noqa: E402
from budget import Pieces, Task, nats_per_note, spend  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from melody.corpus import AugmentedSource, TokenStore, open_store, shift_tables  # noqa: E402
from melody.evaluation.ngram import learn  # noqa: E402
from melody.music.score import Score, transpose  # noqa: E402
from melody.tokens import EventTokenizer  # noqa: E402
from melody.tokens.channels import names_of  # noqa: E402
from melody.tokens.miditok import MidiTokTokenizer  # noqa: E402
from melody.tokens.views import views_of  # noqa: E402
from melody.training.lanes import Piece, PieceSource  # noqa: E402

HELD_OUT = ("valid", "test")
MERGES = 1024  # that BPE learns
MERGE_SOURCES = 3  # transpositions of each training piece from which it does


class Shape(NamedTuple):
    """Sizes of a model."""

    hidden_size: int
    layers: int


@dataclass(frozen=True)
class Rival:
    """A kind of model: its section of the configuration, how it reads, and what is tried for it."""

    model: Mapping[str, Any]
    shape: Shape
    data: Mapping[str, int]  # lanes and windows; 4,096 tokens a step for either
    learning_rate: float
    tried: Mapping[str, Sequence[float]] = field(default_factory=dict)
    intervals: int | None = None

    def values(self) -> dict[str, Any]:
        """Return what the configuration says of it."""
        model = {**self.model, **self.shape._asdict(), "intervals": self.intervals}
        optimizer = {"learning_rate": self.learning_rate, "weight_decay": 0.02, "floor": 0.0}
        return {"model": model, "data": dict(self.data), "optimizer": optimizer, "ema_decay": 0.99}

    def changed(self, learning_rate: float, dropout: float) -> "Rival":
        """Return it with other values of what is tuned."""
        return replace(self, learning_rate=learning_rate, model={**self.model, "dropout": dropout})

    def small(self) -> "Rival":
        """Return it with few weights, a memory of a window, and an eighth of the lanes."""
        memory = {"memory": self.data["window"]} if "memory" in self.model else {}
        data = {**self.data, "batch_size": self.data["batch_size"] // 8}
        return replace(self, model={**self.model, **memory}, shape=Shape(48, 2), data=data)


# What --what tuning tries is a grid of the same size for both.
RIVALS = {
    "LSTM": Rival(
        {"name": "residual_lstm", "dropout": 0.1, "weight_dropout": 0.1},
        Shape(256, 3),
        {"batch_size": 32, "window": 128},
        6e-3,
        {"learning_rate": (3e-3, 6e-3, 9e-3), "dropout": (0.1, 0.25)},
    ),
    "Transformer": Rival(
        {"name": "transformer", "heads": 4, "memory": 1024, "dropout": 0.1},
        Shape(256, 2),
        {"batch_size": 16, "window": 256},
        1e-3,
        {"learning_rate": (5e-4, 1e-3, 2e-3), "dropout": (0.1, 0.25)},
    ),
}


@dataclass(frozen=True)
class Sizes:
    """Amount of training."""

    seconds: float = 240.0
    seeds: int = 3
    rivals: Mapping[str, Rival] = field(default_factory=lambda: RIVALS)
    merges: int = MERGES
    only: tuple[str, ...] = ()  # beginnings of models' names; none: all

    def wants(self, name: str) -> bool:
        """Return true if a model is asked for."""
        return name.startswith(self.only or "")

    def small(self) -> "Sizes":
        """Enough to see that it works."""
        rivals = {name: rival.small() for name, rival in self.rivals.items()}
        return replace(self, seconds=min(self.seconds, 3.0), seeds=1, rivals=rivals, merges=64)


# ---- a corpus in tokens ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tokens:
    """A corpus in the tokens of one tokenizer."""

    name: str
    vocabulary_size: int
    channel_sizes: list[int]
    training: PieceSource  # transposes
    plain: Mapping[str, Pieces]  # of each split, as written
    lost: float = 0.0  # share of held-out pieces that do not come back

    tokenizer: EventTokenizer | None = None

    def task(self, rival: Rival) -> Task:
        """Return what a model has to learn."""
        views = views_of(self.tokenizer, rival.values()["model"]) if self.tokenizer else {}
        sizes = (self.vocabulary_size, self.channel_sizes)
        return Task(rival.values(), *sizes, self.training, self.plain["valid"], views)

    def tokens_per_note(self) -> float:
        pieces = self.plain["test"]
        return float((pieces.lengths - 1).sum() / pieces.notes.sum())


@dataclass(frozen=True)
class Said:
    """Scores in the tokens of MidiTok, said anew in each transposition, as merged tokens cannot be looked up."""

    scores: Sequence[Score]
    notes: NDArray[np.int32]
    shifts: NDArray[np.int8]  # (P, 2)
    tokenizer: MidiTokTokenizer
    known: dict[tuple[int, int], NDArray[np.int32]] = field(default_factory=dict)

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each piece (P,) where it is longest."""
        spans = [range(least, greatest + 1) for least, greatest in self.shifts.tolist()]
        return np.array([max(len(self.shifted(p, shift)[0]) for shift in span) for p, span in enumerate(spans)])

    def fetch(self, piece: int, generator: np.random.Generator) -> Piece:
        least, greatest = self.shifts[piece].tolist()
        return self.shifted(piece, int(generator.integers(least, greatest + 1)))

    def shifted(self, piece: int, shift: int) -> Piece:
        if (piece, shift) not in self.known:
            self.known[piece, shift] = self.tokenizer.encode(transpose(self.scores[piece], shift))
        ids = self.known[piece, shift]
        return ids, self.tokenizer.context(ids)

    def plain(self) -> Pieces:
        return Pieces([self.shifted(piece, 0) for piece in range(len(self.scores))], self.notes)


# What beside the tokens is told: groups of melody's channels.
ALONE, WITH_CHANNELS, WITH_RECALL = (), ("read",), ("read", "foreseen", "repetition")
NAMES = {ALONE: "events", WITH_CHANNELS: "events and channels", WITH_RECALL: "events, channels and recall"}
WIDEST = 36  # semitones of the shipped models' intervals


def events(store: TokenStore, told: Sequence[str]) -> Tokens:
    """A store in melody's events, with these groups of channels; nothing is told that does not follow from reading."""
    tokenizer = EventTokenizer(names_of(told))

    def source(split: str, moves: bool) -> AugmentedSource:
        pieces = store.split(split)
        return AugmentedSource(pieces, shift_tables(tokenizer, pieces), moves, plan_dropout=1.0)  # no plan

    plain = {}
    for split in ("train", *HELD_OUT):
        still, chance = source(split, moves=False), np.random.default_rng(0)
        plain[split] = Pieces([still.fetch(piece, chance) for piece in range(len(still.notes))], still.notes)
    sizes = [channel.size for channel in tokenizer.channels]
    return Tokens(
        NAMES[tuple(told)], len(tokenizer.vocabulary), sizes, source("train", moves=True), plain, tokenizer=tokenizer
    )


def miditok(store: TokenStore, kind: str, merges: int = 0) -> Tokens:
    """A store in tokens of MidiTok, with as many merges."""
    scores = {split: scores_of(store, split) for split in ("train", *HELD_OUT)}
    tokenizer = MidiTokTokenizer(kind)
    shifts = store.split("train").shifts
    if merges:
        learnt = list(_transposed(scores["train"], shifts))
        tokenizer = tokenizer.train_bpe(learnt, len(tokenizer.vocabulary) + merges)
    said = {
        split: Said(scores[split], store.split(split).notes, store.split(split).shifts, tokenizer) for split in scores
    }
    kept = [tokenizer.is_lossless(score) for split in HELD_OUT for score in scores[split]]
    plain = {split: source.plain() for split, source in said.items()}
    name = f"{kind}{' + BPE' if merges else ''}"
    return Tokens(name, len(tokenizer.vocabulary), [], said["train"], plain, 1 - sum(kept) / len(kept))


def _transposed(scores: Sequence[Score], shifts: NDArray[np.int8]) -> Iterator[Score]:
    generator = np.random.default_rng(0)
    for score, (least, greatest) in zip(scores, shifts.tolist(), strict=True):
        for shift in generator.integers(least, greatest + 1, MERGE_SOURCES).tolist():
            yield transpose(score, shift)


def scores_of(store: TokenStore, split: str) -> list[Score]:
    """The quantised scores of a split; where tracks share a program, each has its number for a program."""
    pieces, tokenizer = store.split(split), EventTokenizer()
    scores = [tokenizer.decode(pieces.piece(index)[0]) for index in range(len(pieces))]
    for score in scores:
        if len({(track.program, track.is_drum) for track in score.tracks}) < len(score.tracks):
            for number, track in enumerate(score.tracks):
                track.program = number
    return scores


# ---- what is compared -----------------------------------------------------------------------------------------------

Row = dict[str, Any]


def models(store: TokenStore, sizes: Sizes) -> Iterator[Row]:
    """Rows of both models, with channels and without, of the LSTM with intervals, and of the n-grams."""
    if sizes.wants("back-off n-grams"):
        yield _count_row("back-off n-grams", events(store, ALONE))
    lstm = sizes.rivals["LSTM"]
    shipped = replace(lstm, intervals=WIDEST)
    read = cache(partial(events, store))
    for told in (WITH_RECALL, WITH_CHANNELS, ALONE):
        rivals = {**sizes.rivals, **({"LSTM with intervals": shipped} if told == WITH_RECALL else {})}
        for kind, rival in rivals.items():
            name = f"{kind}, {NAMES[tuple(told)]}"
            if sizes.wants(name):
                yield _row(name, read(told), rival, sizes)


def tokenizers(store: TokenStore, sizes: Sizes) -> Iterator[Row]:
    """Rows of the LSTM on tokens alone, for each tokenizer."""
    said = [partial(events, store, ALONE)]
    said += [partial(miditok, store, kind, merges) for merges in (0, sizes.merges) for kind in ("REMI", "TSD")]
    for make in said:
        tokens, rival = make(), sizes.rivals["LSTM"]
        row = _row(tokens.name, tokens, rival, sizes)
        counted = _count_row(tokens.name, tokens)
        more = {"vocabulary": tokens.vocabulary_size, "tokens a note": round(tokens.tokens_per_note(), 2)}
        yield row | more | {"n-grams test": counted["test"], "lost": f"{tokens.lost:.1%}".replace("%", " %")}


def tuning(store: TokenStore, sizes: Sizes) -> Iterator[Row]:
    """Rows of what was tried for either model."""
    tokens = events(store, WITH_CHANNELS)
    for name, rival in sizes.rivals.items():
        for values in product(*rival.tried.values()):
            changes = dict(zip(rival.tried, values, strict=True))
            row = _row(name, tokens, rival.changed(**changes), replace(sizes, seeds=1), ("valid",))
            yield {"model": name, **changes, "passes": row["passes"], "valid": row["valid"]}


def _row(name: str, tokens: Tokens, rival: Rival, sizes: Sizes, splits: Sequence[str] = HELD_OUT) -> Row:
    """Nats per note of one kind of model, as mean and deviation over seeds."""
    task = tokens.task(rival)
    bought = [spend(task, sizes.seconds, seed) for seed in range(sizes.seeds)]
    row: Row = {
        "model": name,
        "weights": bought[0].weights,
        "tokens/s": round(statistics.mean(one.tokens_per_second for one in bought)),
        "passes": round(statistics.mean(one.passes for one in bought), 1),
    }
    for split in splits:
        found = [nats_per_note(one, tokens.plain[split], task) for one in bought]
        row |= {split: statistics.mean(found), f"{split} +-": _deviation(found)}
    return row


def _deviation(values: Sequence[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0


def _count_row(name: str, tokens: Tokens) -> Row:
    """Nats per note of n-grams, of the length that is best on valid."""
    pieces = {split: [ids for ids, _ in part.pieces] for split, part in tokens.plain.items()}
    model = learn(pieces["train"], tokens.vocabulary_size)
    nats = {split: model.nats(pieces[split]) / int(tokens.plain[split].notes.sum()) for split in HELD_OUT}
    best = int(nats["valid"].argmin())
    row: Row = {"model": name, "weights": 0, "tokens/s": 0, "passes": 1.0}
    for split in HELD_OUT:
        row |= {split: float(nats[split][best]), f"{split} +-": 0.0}
    return row


TABLES = {"models": models, "tokenizers": tokenizers, "tuning": tuning}


def run(
    store: TokenStore, what: str, sizes: Sizes, say: Callable[[str], None] = lambda _: None
) -> dict[str, list[Row]]:
    """The tables that are asked for; each row is said as soon as it is there."""
    tables: dict[str, list[Row]] = {}
    for title in ("models", "tokenizers") if what == "all" else (what,):
        tables[title] = []
        for row in TABLES[title](store, sizes):
            tables[title].append(row)
            say(json.dumps(row))
    return tables


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", default="chorale", help="chorale, folk, or the folder of a store of events")
    parser.add_argument("--what", choices=["all", *TABLES], default="all")
    parser.add_argument("--seconds", type=float, default=Sizes.seconds, help="of processor, for each model and seed")
    parser.add_argument("--seeds", type=int, default=Sizes.seeds)
    parser.add_argument("--only", action="append", help="of the models, those whose name begins so; may be repeated")
    parser.add_argument("--quick", action="store_true", help="tiny models, 3 seconds, one seed: to see that it works")
    parser.add_argument("--json", action="store_true", help="a report for programs")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if options.only and options.what != "models":
        parser.error("--only chooses among --what models")
    sizes = Sizes(options.seconds, options.seeds, only=tuple(options.only or ()))
    sizes = sizes.small() if options.quick else sizes
    store = open_store(options.corpus)
    facts = {"corpus": store.name, "splits": store.info["splits"], "seconds": sizes.seconds, "seeds": sizes.seeds}
    tables = run(store, options.what, sizes, lambda text: print(text, file=sys.stderr, flush=True))
    if options.json:
        print(
            json.dumps(
                {
                    "machine": machine(),
                    **facts,
                    "rivals": {name: rival.values() for name, rival in sizes.rivals.items()},
                    **tables,
                },
                indent=1,
            )
        )
        return
    from melody.cli.output import table

    print(machine(), *(f"{name}: {value}" for name, value in facts.items()), sep="\n")
    for title, rows in tables.items():
        print(f"\n{title}: nats a note\n{table(rows, dict.fromkeys(rows[0] if rows else (), shown))}")


def shown(value: Any) -> str:
    """A cell."""
    return f"{value:.3f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


if __name__ == "__main__":
    main()

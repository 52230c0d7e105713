"""A model in numbers: nats per note on held-out pieces, and what it composes beside what the corpus holds.

The samples are unfiltered: seeds 0, 1, 2 ... of the default settings, none left out.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from melody.bundle import Bundle, open_bundle
from melody.corpus import open_store
from melody.engine import open_engine
from melody.errors import UsageError
from melody.evaluation.compare import table
from melody.evaluation.likelihood import Likelihood, likelihood_of
from melody.generation import Composer
from melody.originality import build, mean_share
from melody.score import Score
from melody.voice_leading import report


@dataclass(frozen=True)
class Evaluation:
    """What `melody evaluate` found."""

    model: str
    split: str
    likelihood: Likelihood
    statistics: list[dict[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        figures = {"nats_per_note": self.likelihood.nats_per_note, "nats_per_token": self.likelihood.nats_per_token}
        return asdict(self) | {"likelihood": asdict(self.likelihood) | figures}


def evaluate_model(
    model: str | Path,
    *,
    split: str = "test",
    samples: int = 100,
    bars: int = 16,
    seed: int = 0,
    style_rules: bool = True,
    engine: str = "onnx",
) -> Evaluation:
    """Evaluate a bundle on its own corpus's held-out pieces. Raises `UsageError` for another split."""
    if split not in ("valid", "test"):
        raise UsageError(f"split must be valid or test, got {split}")
    bundle = open_bundle(model)
    store = open_store(bundle.settings.get("corpus", ""))
    held_out = store.split(split)
    pieces = [held_out.piece(index)[0] for index in range(len(held_out))]
    likelihood = likelihood_of(pieces, int(held_out.notes.sum()), bundle, open_engine(bundle, engine))
    rows: list[dict[str, Any]] = []
    if samples:
        reference = [bundle.tokenizer.decode(ids) for ids in pieces]
        training = store.split("train")
        known = [(name, bundle.tokenizer.decode(training.piece(i)[0])) for i, name in enumerate(training.names)]
        rows = compare_samples(compose_samples(bundle, engine, samples, bars, seed, style_rules), reference, known)
    return Evaluation(bundle.name, split, likelihood, rows)


def compose_samples(
    bundle: Bundle, engine: str, count: int, bars: int, seed: int, style_rules: bool = True
) -> list[Score]:
    """Takes 1 to `count` of a seed, from nothing, with the default settings."""
    takes = Composer(bundle, engine).compose(bars=bars, takes=count, seed=seed, style_rules=style_rules)
    return [take.score for take in takes]


def compare_samples(
    samples: Sequence[Score], reference: Sequence[Score], training: Sequence[tuple[str, Score]]
) -> list[dict[str, Any]]:
    """Rows of (statistic, model, corpus, overlap): voice leading, statistics, originality."""
    nothing = float("nan")
    rows = [
        {"statistic": _voice_leading_name(name), "model": value, "corpus": theirs, "overlap": nothing}
        for (name, value), theirs in zip(report(samples).items(), report(reference).values(), strict=True)
    ]
    rows += [
        {"statistic": row.statistic, "model": row.mean, "corpus": row.reference_mean, "overlap": row.overlap}
        for row in table(samples, reference)
    ]
    index = build(training)
    shares = zip(mean_share(samples, index), mean_share(reference, index), strict=False)
    return rows + [
        {
            "statistic": f"track {number}: 8-note n-grams in training",
            "model": ours,
            "corpus": theirs,
            "overlap": nothing,
        }
        for number, (ours, theirs) in enumerate(shares, 1)
    ]


def _voice_leading_name(name: str) -> str:
    label = name.replace("_", " ")
    return f"{label}, share of pieces" if name in ("clean", "tonic_cadence") else f"{label} per 1,000 notes"

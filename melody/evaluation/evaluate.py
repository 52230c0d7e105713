"""A model in numbers: nats per note on held-out pieces, and what it composes beside what the corpus holds.

The samples are unfiltered: seeds 0, 1, 2 ... of the default settings, none left out.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from melody.bundle import Bundle, open_bundle
from melody.corpus import TokenStore, open_store
from melody.engine import open_engine
from melody.errors import UsageError
from melody.evaluation.compare import table
from melody.evaluation.likelihood import Likelihood, likelihood_of
from melody.evaluation.ngram import learn
from melody.generation import Composer
from melody.originality import build, mean_share
from melody.score import Score
from melody.voice_leading import report


class CountFigure(NamedTuple):
    """How a count model of the same training pieces does (`melody.evaluation.ngram`)."""

    nats_per_note: float
    context: int  # tokens before, at most: the number that is best on valid


@dataclass(frozen=True)
class Evaluation:
    """What `melody evaluate` found."""

    model: str
    split: str
    likelihood: Likelihood
    count_model: CountFigure  # what any network has to beat
    statistics: list[dict[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        figures = {"nats_per_note": self.likelihood.nats_per_note, "nats_per_token": self.likelihood.nats_per_token}
        likelihood = asdict(self.likelihood) | figures
        return asdict(self) | {"likelihood": likelihood, "count_model": self.count_model._asdict()}


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
    return Evaluation(bundle.name, split, likelihood, count_figure(store, split), rows)


def count_figure(store: TokenStore, split: str) -> CountFigure:
    """What the pieces of a split cost a count model of the train split."""
    pieces = {
        name: [store.split(name).piece(index)[0] for index in range(len(store.split(name)))] for name in store.splits
    }
    model = learn(pieces["train"], int(store.info["tokenizer"]["vocabulary_size"]))
    if not pieces.get(split):
        return CountFigure(float("nan"), 0)
    nats = {name: model.nats(pieces[name]) for name in pieces.keys() & {split, "valid"}}
    context = int(nats.get("valid", nats[split]).argmin())
    return CountFigure(float(nats[split][context]) / int(store.split(split).notes.sum()), context)


def compose_samples(
    bundle: Bundle, engine: str, count: int, bars: int, seed: int, style_rules: bool = True
) -> list[Score]:
    """Takes 1 to `count` of a seed, from nothing, with the default settings."""
    takes = Composer(bundle, engine).compose(bars=bars, takes=count, seed=seed, style_rules=style_rules)
    return [take.score for take in takes]


def compare_samples(
    samples: Sequence[Score], reference: Sequence[Score], training: Sequence[tuple[str, Score]]
) -> list[dict[str, Any]]:
    """Rows of (statistic, model, corpus, overlap): voice leading, statistics, originality.

    What has no sense for a corpus is left out: pitch for drums, and what stands between voices for a single line.
    """
    nothing = float("nan")
    voices = max(sum(not track.is_drum for track in score.tracks) for score in reference)
    rows = [
        {"statistic": _voice_leading_name(name), "model": value, "corpus": theirs, "overlap": nothing}
        for (name, value), theirs in zip(report(samples).items(), report(reference).values(), strict=True)
        if voices > 1 or (voices and name == "tonic_cadence")
    ]
    rows += [
        {"statistic": row.statistic, "model": row.mean, "corpus": row.reference_mean, "overlap": row.overlap}
        for row in table(samples, reference)
        if row.reference_mean == row.reference_mean
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

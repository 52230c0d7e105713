"""``melody evaluate --benchmark``: a model's figures on a published benchmark, beside those that were published."""

from collections.abc import Sequence
from pathlib import Path

from melody.cli.output import Report
from melody.errors import UsageError

BENCHMARKS = ("jsb16",)


def run_benchmark(name: str, models: Sequence[str], data: Path | None, engine: str, report: Report) -> None:
    """Report what the held-out pieces of a benchmark cost a model, or several as an ensemble.

    Raises `UsageError` for a benchmark that melody does not know, or where its file is not given.
    """
    from melody.jsb16.evaluation import PUBLISHED, benchmark_jsb16
    from melody.learning.trained import open_trained
    from melody.tokens import EventTokenizer

    if name not in BENCHMARKS:
        raise UsageError(f"benchmark {name!r}: there is {', '.join(BENCHMARKS)}")
    trained = open_trained(models, engine)
    found = [split.to_row() for split in benchmark_jsb16(trained.engine, trained.tokenizer, data)]
    figures = ("canonical", "clean", "canonical_unmasked", "clean_unmasked")
    report.lines(f"{trained.name} on {name}, told as {trained.tokenizer.name}: nats per voice-step\n")
    report.table(found, {**dict.fromkeys(figures, _figure), "temperature": "{:.2f}".format})
    if trained.tokenizer.name == EventTokenizer.name:
        report.lines(
            "\nthis model has learned scores, with meter, key and repeated notes, none of which the grid knows: "
            "it reads here what it has not learned"
        )
    report.lines(
        "\ncanonical: all pieces; clean: without those that share bars with train\n"
        "unmasked: without the mask of what may follow, which past tokens tell and which is free\n"
        "temperature: what all logits are divided by; the second one is the best for valid, canonical\n"
        "orders: of the voices in a step, in each of which the model reads the piece; a step has their mean\n\n"
        "published and measured before, canonical:\n"
    )
    published = [one._asdict() for one in PUBLISHED]
    report.table(published, dict.fromkeys(("valid", "test"), _figure))
    report.done(
        benchmark=name,
        model=trained.name,
        members=list(models),
        tokens=trained.tokenizer.name,
        unit="nats per voice-step",
        splits=found,
        published=published,
    )


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"

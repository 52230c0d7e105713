"""``melody prepare``, ``train``, ``export`` and ``evaluate``: from a corpus to a model with numbers."""

from pathlib import Path
from typing import Annotated

import typer

from melody.cli.output import Report, table
from melody.errors import UsageError

JSON = Annotated[bool, typer.Option("--json", help="A report for programs.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(prepare)
    app.command()(train)
    app.command()(export)
    app.command()(evaluate)


def prepare(
    corpus: Annotated[
        str,
        typer.Argument(help="A recipe's name (chorale, folk, pop, drums, lied), or a folder or archive of your own."),
    ],
    local: Annotated[
        Path | None, typer.Option("--from", help="A recipe's music at hand, folder or archive; default: fetched.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the token store.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; default: all cores.")] = None,
    seed: Annotated[int, typer.Option(help="Draws the split of a folder.")] = 0,
    styles: Annotated[
        bool, typer.Option("--styles", help="Each folder in CORPUS is a style, to be asked for with compose --style.")
    ] = False,
    miditok: Annotated[str | None, typer.Option(help="Tokens of MidiTok: REMI, TSD, MMM ... to compare.")] = None,
    bpe: Annotated[int | None, typer.Option(help="Merge MidiTok's tokens to a vocabulary of this size.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a store that is there.")] = False,
    as_json: JSON = False,
) -> None:
    """Read a corpus into a token store: in parallel, duplicates dropped, split by piece, every drop counted.

    Example: melody prepare folk --from folk_ngram_analysis.tar.gz
    """
    from melody.corpus import prepare as prepare_corpus

    report = Report(as_json)
    if bpe and not miditok:
        raise UsageError("--bpe merges the tokens of MidiTok: say which with --miditok REMI")
    result = prepare_corpus(
        corpus, out, local=local, workers=workers, seed=seed, styles=styles, miditok=miditok, bpe=bpe, force=force
    )
    rows = [
        {"split": split, "pieces": result.pieces[split], "notes": result.notes[split], "tokens": result.tokens[split]}
        for split in result.pieces
    ]
    report.line(table(rows))
    for reason, count in result.reasons.items():
        report.line(f"dropped {count}: {reason}")
    for difference in result.differences:
        report.line(f"differs from the recipe: {difference}")
    if miditok:
        report.line(f"{result.tokenizer} keeps {result.lossless:.1%} of the pieces without loss")
    report.line(f"{result.folder} in {result.seconds:.1f} s")
    report.done(**result.to_dict())


def train(
    config: Annotated[Path, typer.Argument(help="A YAML file as in configs/.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="Changes, as model.layers=2.")] = None,
    run: Annotated[Path | None, typer.Option(help="Folder of the run; default: outputs/runs/NAME.")] = None,
) -> int:
    """Train a model; a run that was stopped goes on where it was.

    Example: melody train configs/chorale.yaml data.batch_size=16
    """
    from melody.learning import train_from_config

    return train_from_config(config, overrides or [], run)


def export(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="Changes, as licence=CC0.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the bundle; default: outputs/bundles/NAME.")] = None,
    fp32: Annotated[bool, typer.Option("--fp32", help="Also the step graph with 32-bit weights.")] = False,
    samples: Annotated[int, typer.Option(help="Pieces to compose for the card; 0: none.")] = 100,
    force: Annotated[bool, typer.Option("--force", help="Replace a bundle that is there.")] = False,
    as_json: JSON = False,
) -> None:
    """Make a bundle of a run: 8-bit step graph, 16-bit weights, vocabulary, model card, hashes.

    Example: melody export outputs/runs/chorale
    """
    from melody.learning import export_run

    report = Report(as_json)
    folder = export_run(run, out, overrides or [], fp32=fp32, samples=samples, force=force)
    size = sum(path.stat().st_size for path in folder.iterdir())
    report.line(f"{folder}  {size / 1e6:.1f} MB")
    report.done(folder=str(folder), bytes=size)


def evaluate(
    model: Annotated[str, typer.Argument(help="A model's name or folder.")] = "chorale",
    split: Annotated[str, typer.Option(help="valid or test.")] = "test",
    samples: Annotated[int, typer.Option(help="Pieces to compose for the statistics; 0: none.")] = 100,
    bars: Annotated[int, typer.Option(help="Bars of each.")] = 16,
    seed: Annotated[int, typer.Option(help="Of the samples.")] = 0,
    style_rules: Annotated[
        bool, typer.Option("--style-rules/--no-style-rules", help="Hold the samples to the rules of the style.")
    ] = True,
    engine: Annotated[str, typer.Option(help="onnx or torch.")] = "onnx",
    as_json: JSON = False,
) -> None:
    """Nats per note on held-out pieces, and musical statistics of unfiltered samples beside the corpus's own.

    Example: melody evaluate chorale
    """
    from melody.evaluation.evaluate import evaluate_model

    report = Report(as_json)
    result = evaluate_model(
        model, split=split, samples=samples, bars=bars, seed=seed, style_rules=style_rules, engine=engine
    )
    likelihood = result.likelihood
    report.line(
        f"{result.model} on {likelihood.pieces} {split} pieces: {likelihood.nats_per_note:.4f} nats per note, "
        f"{likelihood.nats_per_token:.4f} per token ({likelihood.notes:,} notes)"
    )
    if result.statistics:
        report.line("\n" + table(result.statistics, dict.fromkeys(("model", "corpus", "overlap"), _three_digits)))
    report.done(**result.to_dict())


def _three_digits(value: float) -> str:
    return "" if value != value else f"{value:.3g}"

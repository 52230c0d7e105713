"""``melody prepare``, ``train``, ``export`` and ``evaluate``: from a corpus to a model with numbers."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from melody.cli.output import Report
from melody.cli.pocket import adapt_model, write_page
from melody.cli.takes import Interrupted
from melody.errors import UsageError
from melody.storage.files import refuse_overwrite

if TYPE_CHECKING:
    from melody.evaluation.continuations import Figures
    from melody.evaluation.feel import FeelFigures
    from melody.learning import FineTuned

JSON = Annotated[bool, typer.Option("--json", help="Print a report for programs.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(prepare)
    app.command()(train)
    app.command()(export)
    app.command()(evaluate)


def prepare(
    corpus: Annotated[
        str,
        typer.Argument(
            help="Name of a recipe (band, chorale, drums, folk, jsb16, lead, lied, piano, pop, quartet), or your own "
            "folder or archive."
        ),
    ],
    local: Annotated[
        Path | None, typer.Option("--from", help="Folder or archive with the music of a recipe. Default: fetch it.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write the token store to.")] = None,
    workers: Annotated[int | None, typer.Option(help="Number of processes. Default: all cores.")] = None,
    seed: Annotated[int, typer.Option(help="Number that decides the split of a folder.")] = 0,
    styles: Annotated[
        bool, typer.Option("--styles", help="Make each folder in CORPUS a style, for compose --style.")
    ] = False,
    miditok: Annotated[
        str | None, typer.Option(help="Use tokens of MidiTok instead, to compare: REMI, TSD, MMM ...")
    ] = None,
    bpe: Annotated[int | None, typer.Option(help="Merge MidiTok's tokens to a vocabulary of this size.")] = None,
    timeout: Annotated[float, typer.Option(min=1, help="Give up a file after so many seconds.")] = 120,
    backend: Annotated[
        str, typer.Option(help="Run the workers by threads, loky, dask (a cluster, or this machine) or ray.")
    ] = "threads",
    verify: Annotated[bool, typer.Option("--verify", help="Only compare the store with its checksums.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Read everything again and draw the split anew.")] = False,
    as_json: JSON = False,
) -> None:
    """Read music for training: drop duplicates, split by piece, count what was left out, write a report.

    Run again, it reads only new and changed files and goes on where it stopped; no piece changes its split.

    Example: melody prepare my_songs/
    """
    from melody.corpus import prepare as prepare_corpus
    from melody.corpus.prepare import store_of
    from melody.corpus.recipe import recipe_folders
    from melody.corpus.workers import backend as carried_by

    report = Report(as_json)
    if bpe and not miditok:
        raise UsageError("--bpe merges the tokens of MidiTok: say which with --miditok REMI")
    if verify:
        store = store_of(corpus, out)
        store.verify()
        report.line(f"{store.folder}: all {len(store.info['files'])} files are as they were written")
        report.done(folder=str(store.folder), files=len(store.info["files"]))
        return
    try:
        with carried_by(backend, workers):
            result = prepare_corpus(
                corpus,
                out,
                local=local,
                workers=workers,
                force=force,
                seed=seed,
                styles=styles,
                miditok=miditok,
                bpe=bpe,
                timeout_seconds=timeout,
            )
    except KeyboardInterrupt as stop:
        raise Interrupted("interrupted; what was read is kept: the same command goes on from here") from stop
    rows = [
        {"split": split, "pieces": result.pieces[split], "notes": result.notes[split], "tokens": result.tokens[split]}
        for split in result.pieces
    ]
    report.table(rows)
    for reason, count in result.reasons.items():
        report.line(f"dropped {count}: {reason}")
    for difference in result.differences:
        report.line(f"differs from the recipe: {difference}")
    if miditok:
        report.line(f"{result.tokenizer} keeps {result.lossless:.1%} of the pieces without loss")
    if result.remark:
        report.line(result.remark)
    for warning in result.warnings:
        report.line(f"warning: {warning}")
    before = f", {result.items - result.read:,} were read before" if result.read < result.items else ""
    report.line(f"{result.folder}: read {result.read:,} files in {result.seconds:.1f} s{before}")
    report.line(f"{result.folder / 'report.html'} tells more")
    found = {} if miditok or corpus in recipe_folders() else _configuration(result.folder, report)
    report.done(**result.to_dict(), **found)


def _configuration(store: Path, report: Report) -> dict[str, str]:
    """Leave a configuration beside the store of someone's own music."""
    from melody.corpus import TokenStore
    from melody.learning.configuration import write_configuration

    path, is_new = write_configuration(TokenStore.open(store))
    kept = "" if is_new else " (as it was; remove it for a new one)"
    report.line(f"{path}: a configuration for it{kept}; fill in the licence, then: melody train {path}")
    return {"configuration": str(path)}


def train(
    config: Annotated[
        Path,
        typer.Argument(help="Configuration file as in configs/, or with --from your own folder or archive of music."),
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Changes to the configuration, as model.layers=2.")
    ] = None,
    base: Annotated[
        str | None, typer.Option("--from", help="Model (name or folder) to train further on your own music.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Train so long, all sessions together. Default with --from: 20.")
    ] = None,
    adapt: Annotated[
        str | None,
        typer.Option(help="With --from: learn the state alone, a small file, in a minute."),
    ] = None,
    devices: Annotated[int | None, typer.Option(help="Number of GPUs, or of processes where there are none.")] = None,
    run: Annotated[Path | None, typer.Option(help="Folder of the run. Default: outputs/runs/NAME.")] = None,
    force: Annotated[bool, typer.Option("--force", help="With --adapt: replace the file that is there.")] = False,
) -> int:
    """Train a model, or train a finished one further on your own music; a stopped run goes on where it was.

    Example: melody train my_songs/ --from folk --minutes 20

    Example: melody train my_songs/ --from folk --adapt state

    Example: melody train configs/chorale.yaml data.batch_size=16
    """
    from melody.learning import fine_tune, train_from_config

    changes = list(overrides or [])
    if adapt is not None:
        adapt_model(config, base, adapt, minutes, changes, force)
        return 0
    changes += [f"devices={devices}"] * (devices is not None)
    if base is None:
        return train_from_config(config, changes + [f"max_minutes={minutes}"] * (minutes is not None), run)
    if config.suffix in (".yaml", ".yml"):
        raise UsageError(f"{config}: --from wants a folder of music; in a configuration write base={base}")
    result = fine_tune(config, base, minutes=20.0 if minutes is None else minutes, overrides=changes, run=run)
    _report(result)
    return result.training.exit_code


def _report(result: "FineTuned") -> None:
    """Print the result of training on someone's music."""
    training, pieces = result.training, result.pieces
    if training.interrupted or not training.is_first:
        return
    lost = ", ".join(f"{count} {reason}" for reason, count in result.left_out.items())
    print(f"learned from {pieces['train']} pieces" + f"; left out: {lost}" * bool(lost))
    if result.bundle is None:
        print(f"no gain on {pieces['valid']} held-out pieces: {result.base} remains the better model")
        return
    before, after = (result.bundle.settings[key]["test_nats_per_note"] for key in ("base", "scores"))
    print(
        f"valid ({pieces['valid']} held-out pieces, by which the best was chosen): "
        f"{training.base_nats_per_note:.4f} nats per note before, {training.best_nats_per_note:.4f} "
        f"after {training.best_pass} passes\n"
        f"test ({pieces['test']} held-out pieces that chose nothing): {before:.4f} before, {after:.4f} after\n"
        f"{result.bundle.folder}: melody compose --model {result.bundle.name}"
    )


def export(
    run: Annotated[Path, typer.Argument(help="Folder of a run; with --web a model, by name or folder.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="Changes, as licence=CC0.")] = None,
    web: Annotated[
        Path | None, typer.Option(help="Write a page that composes with the model to this folder: offline, by itself.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the bundle. Default: outputs/bundles/NAME.")] = None,
    fp32: Annotated[bool, typer.Option("--fp32", help="Also write the step graph with 32-bit weights.")] = False,
    samples: Annotated[int, typer.Option(help="Number of pieces to compose for the card.")] = 100,
    force: Annotated[bool, typer.Option("--force", help="Replace a bundle that is there.")] = False,
    as_json: JSON = False,
) -> None:
    """Turn a run into a model to compose with: one folder with weights, vocabulary, model card and hashes.

    With --web: turn a model into a page, which opens from disk or from any web server and needs nothing else.

    Example: melody export outputs/runs/chorale

    Example: melody export folk --web my_page
    """
    report = Report(as_json)
    if web is not None:
        write_page(str(run), web, force, report)
        return
    from melody.learning import export_run

    folder = export_run(run, out, overrides or [], fp32=fp32, samples=samples, force=force)
    size = sum(path.stat().st_size for path in folder.iterdir())
    report.line(f"{folder}  {size / 1e6:.1f} MB")
    if not (folder / "step.onnx").is_file():
        report.line(f"{folder.name}: this kind of model has no step graph; it composes by the torch engine, slower")
    report.done(folder=str(folder), bytes=size)


def evaluate(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL]", help="Model, by name or folder. For a benchmark also runs; several are averaged."
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="Held-out pieces to use: valid or test.")] = "test",
    samples: Annotated[int, typer.Option(help="Number of pieces to compose for the statistics.")] = 100,
    bars: Annotated[int, typer.Option(help="Bars of each piece.")] = 16,
    seed: Annotated[int, typer.Option(help="Number that fixes the pieces.")] = 0,
    style_rules: Annotated[
        bool, typer.Option("--style-rules/--no-style-rules", help="Apply the rules of the model's style.")
    ] = True,
    engine: Annotated[str, typer.Option(help="auto, native, onnx or torch.")] = "auto",
    continuations: Annotated[
        int, typer.Option(help="Held-out pieces to continue, beside what really followed; 0: none.")
    ] = 0,
    token_critic: Annotated[
        bool, typer.Option("--token-critic", help="Let a small LSTM judge the continuations too; minutes.")
    ] = False,
    best_of: Annotated[int, typer.Option(help="Compose so many versions of each continuation and keep the best.")] = 1,
    by: Annotated[str, typer.Option(help="Judge these versions by likelihood, rules, both or taste.")] = "taste",
    html: Annotated[
        Path | None, typer.Option(help="Also write a page with plots, next to the model without its rules.")
    ] = None,
    card: Annotated[
        bool, typer.Option("--card", help="Also put the figures on the model's card, README.md in its folder.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a page that is there.")] = False,
    benchmark: Annotated[
        str | None, typer.Option(help="Give the figures of a published benchmark instead: jsb16.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Data file of the benchmark.")] = None,
    as_json: JSON = False,
) -> None:
    """Measure a model: how well it predicts held-out pieces (nats per note), and how its pieces compare with real ones.

    Example: melody evaluate chorale --html chorale.html

    Example: melody evaluate folk --continuations 60 --card

    Example: melody evaluate outputs/runs/jsb16 --benchmark jsb16 --data Jsb16thSeparated.npz
    """
    from melody.bundle import open_bundle
    from melody.cli.benchmark import run_benchmark
    from melody.evaluation.evaluate import evaluate_model
    from melody.learning.token_critic import judge_tokens

    report = Report(as_json)
    model, *others = models or ["chorale"]
    if benchmark is not None:
        if html is not None:
            raise UsageError("--html is a page of samples, which a benchmark has none of; leave one of the two away")
        run_benchmark(benchmark, [model, *others], data, engine, report)
        return
    if others or data is not None:
        raise UsageError("several models, and --data, are for a benchmark: pass --benchmark jsb16 too")
    if token_critic and not continuations:
        raise UsageError("--token-critic judges continuations: say how many, as --continuations 60")
    if card and (not style_rules or best_of > 1 or (bars, seed) != (16, 0)):
        raise UsageError(
            "a card says what a model does by itself: leave --no-style-rules, --best-of, --bars, --seed away"
        )
    if html is not None:
        _check_page(html, samples, force)
    result = evaluate_model(
        model,
        split=split,
        samples=samples,
        bars=bars,
        seed=seed,
        style_rules=style_rules,
        alone=html is not None,
        engine=engine,
        continuations=continuations,
        options={"best_of": best_of, "by": by} if best_of > 1 else {},
        judges={"tokens": judge_tokens} if token_critic else {},
    )
    likelihood = result.likelihood
    report.line(
        f"{result.model} on {likelihood.pieces} {split} pieces: {likelihood.nats_per_note:.4f} nats per note, "
        f"{likelihood.nats_per_token:.4f} per token ({likelihood.notes:,} notes)"
    )
    report.line(
        f"a count model of the same training pieces, {result.count_model.context + 1}-grams with back-off: "
        f"{result.count_model.nats_per_note:.4f} nats per note"
    )
    if (told := result.chords) is not None:
        report.line(
            f"without shared harmony {told['untold']:.4f} nats per note, told the chords of each piece "
            f"{told['told']:.4f} (the same weights); the chords cost {told['plan']:.4f}"
        )
    if result.statistics:
        report.line("")
        report.table(result.statistics, dict.fromkeys(list(result.statistics[0])[1:], _three_digits))
    if result.feel is not None:
        _show_feel(report, result.feel)
    if result.form is not None:
        _show_form(report, result.form)
    if html is not None:
        from melody.evaluation.page import write_page

        report.line("")
        report.line(f"{write_page(result, open_bundle(model), model, html, force)}")
    if card:
        from melody.learning.card import renew_card

        report.line(f"{renew_card(model, result)}")
    report.done(**result.to_dict(), **({} if html is None else {"html": str(html)}))


def _show_feel(report: Report, feel: "FeelFigures") -> None:
    """Print how held-out players move off the grid, beside the model."""
    report.line("")
    report.line(f"feel, {feel.hits:,} held-out hits played again; mean and spread of each sixteenth in milliseconds:")
    report.table(feel.sixteenths, dict.fromkeys(list(feel.sixteenths[0])[2:], "{:.1f}".format))
    report.line("")
    report.line("and how far they lie from the player's, as a share of the player's spread:")
    rows = [{name: row.get(name, float("nan")) for name in feel.rows[-1]} for row in feel.rows]
    report.table(rows, dict.fromkeys(list(rows[0])[1:], _three_digits))
    report.line("")
    shares = ", ".join(f"{side} {share:.1%}" for side, share in feel.doubles.items())
    report.line(f"hits with a second stroke too close for the grid: {shares}")


def _show_form(report: Report, form: "Figures") -> None:
    """Print what continuations, and pieces from nothing, have in common with music."""
    tables = (
        (f"{form.cuts} continuations", form.rows),
        ("their tracks", form.tracks),
        ("continuations around the first track", form.around),
        ("pieces of 32 bars from nothing", form.whole),
    )
    for title, rows in tables:
        if rows:
            report.line("")
            report.line(f"{title}:")
            report.table(rows, dict.fromkeys(list(rows[0])[1:], _three_digits))
    report.line("")
    for side, judged in form.critic.items():
        auc = ", ".join(f"{name} {judged[name]:.2f}" for name in ("all", "form", "cells", "tokens") if name in judged)
        report.line(f"a critic tells {side} from what followed with an AUC of: {auc}")
    if form.plan:
        report.line(
            f"nats a note with the plan of the bars untold {form.plan['untold']:.4f}, told {form.plan['told']:.4f}; "
            f"the plan costs {form.plan['plan']:.4f} ({form.plan['plan_per_bar']:.3f} a bar)"
        )


def _check_page(path: Path, samples: int, force: bool) -> None:
    """Refuse what cannot become a page before anything is composed for it."""
    if samples < 2:
        raise UsageError(f"--html shows how samples are distributed: --samples must be 2 or more, got {samples}")
    refuse_overwrite(path, force)


def _three_digits(value: float) -> str:
    return "" if value != value else f"{value:.3g}"

"""``melody prune``, ``train --adapt`` and ``export --web``: models that are small, one's own, anywhere."""

from pathlib import Path
from typing import Annotated

import typer

from melody.cli.output import Report
from melody.errors import UsageError

JSON = Annotated[bool, typer.Option("--json", help="Print a report for programs.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(prune)


def prune(
    model: Annotated[str, typer.Argument(help="Model, by name or folder; its corpus must be prepared.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Changes to the configuration, as objective.name=distilled.")
    ] = None,
    share: Annotated[float, typer.Option(help="Share of the hidden units that goes.")] = 0.5,
    by: Annotated[
        str, typer.Option(help="Units that stay: by movement or magnitude; as controls: random, lottery, xavier.")
    ] = "movement",
    passes: Annotated[int, typer.Option(min=1, help="Passes of the corpus to train what is left.")] = 2,
    name: Annotated[str | None, typer.Option(help="Name of the new model. Default: MODEL-WIDTH.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a model that is there.")] = False,
    as_json: JSON = False,
) -> None:
    """Make a model smaller: whole hidden units go, and a short training lets the others take over.

    Its steps become faster by the square of what is left. The model that it was made from can teach it too.

    Example: melody prune drums --share 0.5

    Example: melody prune drums --share 0.75 objective.name=distilled objective.teachers=[drums]
    """
    from melody.learning.prune import prune as prune_model

    report = Report(as_json)
    pruned = prune_model(model, share, by, passes=passes, name=name, overrides=tuple(overrides or ()), force=force)
    scores = pruned.scores
    size = (pruned.folder / "step.onnx").stat().st_size
    report.line(f"{pruned.width} of {pruned.was} units are left; step.onnx has {size / 1e6:.2f} MB")
    report.line(
        f"valid: {pruned.base_nats:.4f} nats per note before, {pruned.cut_nats:.4f} right after the cut, "
        f"{scores['valid_nats_per_note']:.4f} after training; test {scores['test_nats_per_note']:.4f}"
    )
    report.line(f"{pruned.folder}: melody compose --model {pruned.folder.name}")
    report.done(
        folder=str(pruned.folder),
        base=pruned.base,
        width=pruned.width,
        was=pruned.was,
        bytes=size,
        base_nats=pruned.base_nats,
        cut_nats=pruned.cut_nats,
        **scores,
    )


def adapt_model(
    music: Path, base: str | None, what: str, minutes: float | None, changes: list[str], force: bool
) -> None:
    """Learn an adapter, and print what came of it."""
    from melody.learning.adapt import adapt

    if base is None or what != "state":
        raise UsageError("--adapt state wants --from MODEL, whose state it learns; there is nothing else to adapt yet")
    names = [change.removeprefix("name=") for change in changes]
    if len(names) > 1 or any("=" in name for name in names):
        raise UsageError("--adapt state learns with settings of its own; give a name alone, as name=mine")
    made = adapt(music, base, minutes=1.0 if minutes is None else minutes, name=next(iter(names), None), force=force)
    print(f"learned from {made.pieces['train']} pieces, {made.steps} steps in {made.seconds:.0f} s")
    if made.file is None:
        print(f"no gain on {made.pieces['valid']} held-out pieces: {made.model} remains the better model")
        return
    (valid, better), (test, after) = made.valid_nats, made.test_nats
    print(
        f"valid ({made.pieces['valid']} held-out pieces, by which the best was chosen): {valid:.4f} nats per note "
        f"before, {better:.4f} after\n"
        f"test ({made.pieces['test']} held-out pieces that chose nothing): {test:.4f} before, {after:.4f} after\n"
        f"{made.file} ({made.file.stat().st_size / 1000:.0f} kB): melody compose --model {made.model}"
    )


def write_page(model: str, folder: Path, force: bool, report: Report) -> None:
    """Write the page that composes by itself."""
    from melody.web.export import export_page

    page = export_page(model, folder, force)
    report.line(f"{folder / 'index.html'}  {page.bytes / 1e6:.1f} MB with its model.js: open it in a browser")
    report.done(folder=str(folder), model=page.model, bytes=page.bytes)

"""``melody prune``: a smaller model from a finished one."""

from typing import Annotated

import typer

from melody.cli.output import Report

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

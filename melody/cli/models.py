"""``melody models``: the models to compose with."""

import typer

from melody.cli import options as o
from melody.cli.output import Report


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(models)


def models(as_json: o.Json = False) -> None:
    """List the models to compose with: those that come with melody and those made here.

    Example: melody models
    """
    from melody.bundle import all_bundles

    report = Report(as_json)
    found, damaged = all_bundles()
    rows = [
        {
            "model": bundle.name,
            "style": bundle.settings.get("description", ""),
            "nats per note": bundle.settings.get("scores", {}).get("test_nats_per_note", float("nan")),
            "MB": sum(path.stat().st_size for path in bundle.folder.iterdir()) / 1e6,
            "licence": bundle.settings.get("licence", ""),
            "engine": "onnx" if bundle.has_step_graph else "torch",
            "folder": str(bundle.folder),
        }
        for bundle in found
    ]
    report.table(rows, {"nats per note": "{:.3f}".format, "MB": "{:.1f}".format})
    if not rows:
        report.line("no models")
    for bundle in found:
        if not bundle.has_step_graph:
            report.line(f"{bundle.name}: has no step graph; it composes by the torch engine, which is slower")
    for error in damaged:
        report.line(f"left out: {error}")
    report.done(models=rows, left_out=[str(error) for error in damaged])

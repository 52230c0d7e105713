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
    from melody.bundle.adapter import ADAPTERS, SUFFIX
    from melody.engine import engine_for

    report = Report(as_json)
    found, damaged = all_bundles()
    engines = [engine_for(bundle) for bundle in found]
    rows = [
        {
            "model": bundle.name,
            "style": bundle.settings.get("description", ""),
            "nats per note": bundle.settings.get("scores", {}).get("test_nats_per_note", float("nan")),
            "MB": sum(path.stat().st_size for path in bundle.folder.iterdir()) / 1e6,
            "licence": bundle.settings.get("licence", ""),
            "engine": engine,
            "folder": str(bundle.folder),
        }
        for bundle, (engine, _) in zip(found, engines, strict=True)
    ]
    report.table(rows, {"nats per note": "{:.3f}".format, "MB": "{:.1f}".format})
    if not rows:
        report.line("no models")
    for reason in dict.fromkeys(reason for _, reason in engines if reason):
        names = [bundle.name for bundle, (_, own) in zip(found, engines, strict=True) if own == reason]
        report.line(f"{', '.join(names)}: {reason}")
    adapters = [{"adapter": path.stem, "kB": path.stat().st_size / 1e3} for path in sorted(ADAPTERS.glob(f"*{SUFFIX}"))]
    for row in adapters:
        report.line(f"adapter {row['adapter']} ({row['kB']:.0f} kB): melody compose --model MODEL+{row['adapter']}")
    for error in damaged:
        report.line(f"left out: {error}")
    report.done(models=rows, adapters=adapters, left_out=[str(error) for error in damaged])

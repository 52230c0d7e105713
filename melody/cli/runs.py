"""``melody runs``: trainings that are finished, stopped or running here."""

from pathlib import Path
from typing import Annotated

import typer

from melody.cli import options as o
from melody.cli.output import Report

COLUMNS = {
    "nats per note": "{:.4f}".format,
    "tokens/s": "{:,.0f}".format,
    "minutes": "{:.0f}".format,
    "MB": "{:.1f}".format,
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(runs)


def runs(
    folder: Annotated[Path, typer.Argument(help="Folder of runs, or one run.")] = Path("outputs/runs"),
    as_json: o.Json = False,
) -> None:
    """List trainings, the latest first: state, passes, best score on held-out pieces, speed and size.

    Example: melody runs
    """
    from melody.learning.runs import find_runs

    report = Report(as_json)
    found = find_runs(folder)
    nothing = float("nan")
    rows = [
        {
            "run": run.name,
            "state": run.state,
            "passes": f"{run.passes}/{run.max_passes}",
            "nats per note": nothing if run.best_nats_per_note is None else run.best_nats_per_note,
            "at pass": run.best_pass,
            "tokens/s": nothing if run.tokens_per_second is None else run.tokens_per_second,
            "minutes": run.seconds / 60,
            "MB": run.bytes / 1e6,
            "last change": run.changed.replace("T", " ").removesuffix("+00:00") + " UTC",
            "folder": run.folder,
        }
        for run in found
    ]
    report.table(rows, COLUMNS)
    if not rows:
        report.line(f"no runs in {folder}")
    report.done(runs=[run.to_dict() for run in found])

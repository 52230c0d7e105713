"""``melody taste`` and ``rewriter``: what a finished model is taught beside what it is."""

from typing import Annotated

import typer

from melody.cli.learn import JSON
from melody.cli.output import Report


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(taste)
    app.command()(rewriter)


def taste(
    model: Annotated[str, typer.Argument(help="Model, by name or folder; its corpus must be prepared.")],
    pieces: Annotated[int, typer.Option(min=10, help="Number of training pieces to continue and compare.")] = 200,
    seed: Annotated[int, typer.Option(help="Number that fixes what is composed.")] = 0,
    as_json: JSON = False,
) -> None:
    """Teach a model to tell its takes from what people wrote, so that `compose --best-of 16 --by taste` can choose.

    Example: melody taste folk
    """
    from melody.learning import learn_taste

    report = Report(as_json)
    found = learn_taste(model, pieces, seed)
    report.line(f"{found.file}: tells takes from {found.pieces} training pieces with an AUC of {found.auc:.2f}")
    report.done(file=str(found.file), pieces=found.pieces, auc=found.auc)


def rewriter(
    model: Annotated[str, typer.Argument(help="Model of single voices or drums; its corpus is prepared.")],
    steps: Annotated[int, typer.Option(min=1, help="Steps of training, three a second on a quiet core.")] = 3000,
    seed: Annotated[int, typer.Option(help="Number that fixes what is drawn.")] = 0,
    as_json: JSON = False,
) -> None:
    """Teach a model of single voices or drums to fill bars from both sides at once, for `compose --rewrite`.

    Example: melody rewriter chorale
    """
    from melody.learning import learn_rewriter

    report = Report(as_json)
    found = learn_rewriter(model, steps, seed)
    report.line(f"{found.file}: {found.nats:.3f} nats a hidden cell of held-out pieces, after {found.step} steps")
    report.done(file=str(found.file), nats=found.nats, step=found.step)

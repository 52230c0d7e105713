"""``melody originality``: what a file has in common with a model's training music."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from melody.cli import options as o
from melody.cli.output import Report
from melody.errors import MelodyError, UsageError

if TYPE_CHECKING:
    from melody.evaluation.originality import Originality
    from melody.music.score import Score


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(originality)


def originality(
    file: Annotated[Path, typer.Argument(help=f"{o.MUSIC_FILE}.")],
    model: Annotated[str, typer.Option(help="Model whose training music is searched.")] = "chorale",
    min_bars: Annotated[float, typer.Option(help="List copies of at least so many bars.")] = 2.0,
    as_json: o.Json = False,
) -> None:
    """Find what FILE has in common with a model's training music, in any key: which bars of which piece, and how much.

    The share counts groups of 8 notes (durations and intervals) that stand in a training piece.

    The percentile compares it with human music that the model has not learned from.

    Example: melody originality take.mid --model chorale
    """
    from melody.bundle import open_bundle
    from melody.evaluation.originality import originality_of
    from melody.formats.reading import read_file

    if not 0 < min_bars <= 1000:
        raise UsageError(f"--min-bars must lie in (0, 1000], got {min_bars:g}")
    report = Report(as_json)
    bundle = open_bundle(model)
    if all(track.drums for track in bundle.tracks):
        raise MelodyError(f"{bundle.name} has learned drums alone, and what is compared is pitch; try another --model")
    reading = read_file(file)
    report.remarks(file, reading)
    found = originality_of(reading.score, bundle, min_bars)
    report.table(_tracks(found, reading.score))
    for line in [*_copies(found, reading.score, min_bars), _rank(found, bundle.name)]:
        report.line(line)
    data = {"file": str(file), "model": bundle.name, "min_bars": min_bars}
    report.done(**_without_nan(data | found.to_dict()))


def _tracks(found: "Originality", score: "Score") -> list[dict[str, Any]]:
    rows = zip(score.tracks, found.tracks, strict=True)
    return [
        {
            "track": number,
            "name": track.name,
            "n-grams": count.ngrams,
            "in training": f"{count.share:.1%}" if count.ngrams else "drums" if track.is_drum else "too short",
        }
        for number, (track, count) in enumerate(rows, 1)
    ]


def _copies(found: "Originality", score: "Score", min_bars: float) -> list[str]:
    lines = []
    for copy in found.copies:
        name = score.tracks[copy.track].name
        track = f"track {copy.track + 1}" + (f" ({name})" if name else "")
        source = f"{copy.piece}, bars {copy.piece_bar}-{copy.piece_last_bar}"
        lines.append(f"{track}, bars {copy.first_bar}-{copy.last_bar}: {source}")
    return lines or [f"no copy of {min_bars:g} bars or more"]


def _rank(found: "Originality", model: str) -> str:
    if found.percentile != found.percentile:
        return f"nothing to rank: no track is long enough and of a kind that {model} has"
    left_out = [n for n, count in enumerate(found.tracks) if count.ngrams and n not in found.places.values()]
    without = f" (without track {', '.join(str(n + 1) for n in left_out)}: {model} has no more)" if left_out else ""
    return (
        f"in training: {found.share:.1%}{without}; percentile {found.percentile:.0f} "
        f"among {found.held_out_pieces} pieces of human music that {model} has not learned from"
    )


def _without_nan(data: Any) -> Any:
    """Return the same with None for NaN, which is no JSON."""
    if isinstance(data, dict):
        return {key: _without_nan(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_without_nan(value) for value in data]
    return None if isinstance(data, float) and data != data else data

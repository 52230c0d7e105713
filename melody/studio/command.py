"""The command line that composes a take again: what the page shows to copy."""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from melody.generation import Sampling, Settings
from melody.generation.ranges import pitch_name
from melody.generation.settings import settings_from

FLAGS = {"with_tracks": "with", "tracks": "track", "mapping": "map", "ranges": "range", "tempo_qpm": "tempo"}
LIMIT = 4000  # letters


def command_of(settings: Mapping[str, Any], primer: str | None) -> str:
    """Return a command line that composes the takes 1 to n of which this is the last, from a primer in a file."""
    words = ["melody", "compose", *([primer] if primer else []), "--model", str(settings["model"])]
    words += ["--seed", str(settings["seed"])]
    if settings["take"] > 1:
        words += ["--takes", str(settings["take"])]
    chosen = settings_from(settings)
    for name, value, usual in [*_asked(chosen, Settings()), *_asked(chosen.sampling, Sampling(top_p=None))]:
        if value != usual:
            words += _option(name, value)
    return shlex.join(words)[:LIMIT]


def _asked(settings: Any, usual: Any) -> Iterator[tuple[str, Any, Any]]:
    for each in fields(settings):
        if each.name != "sampling":
            yield each.name, getattr(settings, each.name), getattr(usual, each.name)


def _option(name: str, value: Any) -> list[str]:
    """Return the words of an option."""
    flag = "--" + FLAGS.get(name, name).replace("_", "-")
    if name == "strict_chords":
        return [flag] if value else ["--loose-chords"]
    if isinstance(value, bool):
        return [flag if value else f"--no-{flag[2:]}"]
    if name == "meter":
        return [flag, f"{value[0]}/{value[1]}"]
    if name == "fill":
        return [flag, f"{value[0]}-{value[1]}"]
    if name == "contour":
        return [flag, " ".join(f"{point:g}" for point in value)]
    if name == "ranges":
        return [word for track, (low, high) in value.items() for word in (flag, f"{track}={_pitches(low, high)}")]
    if name == "mapping":
        return [word for track, places in value.items() for place in places for word in (flag, f"{track}={place}")]
    if isinstance(value, tuple):
        return [word for one in value for word in (flag, str(one))]
    return [flag, str(value)]


def _pitches(low: int, high: int) -> str:
    return f"{pitch_name(low)}:{pitch_name(high)}"

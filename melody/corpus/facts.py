"""Facts of a piece for the data report: its length, meters, tempo, key, tracks and most notes at once."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from melody.music.key import key_of_signature
from melody.music.score import Notes, Score, bars, end_tick, meters, most_at_once, notes_of

_NAME_LENGTH = 30  # characters of a track's name


class Facts(NamedTuple):
    """Facts of one piece."""

    bars: int = 0
    seconds: float = 0.0
    tempo_qpm: float = 0.0  # quarters over minutes, so that the tempo that lasts counts
    meters: tuple[str, ...] = ()  # each once; a bar alone, such as a pickup, is none
    key: str = ""  # of the first signature; empty where the file has none
    polyphony: int = 0  # the most pitched notes at once
    tracks: tuple[str, ...] = ()  # names; "drums" for drums
    read: int = 0  # notes of the file; 0 where it was not counted


def facts_of(score: Score, names: Sequence[str]) -> Facts:
    """The facts of a canonical score, whose tracks had these names."""
    pitched = [notes_of(track) for track in score.tracks if not track.is_drum]
    together = Notes(*(np.concatenate(column) for column in zip(*pitched, strict=True))) if pitched else None
    seconds = _seconds(score)
    keys = score.key_signatures
    return Facts(
        bars=len(bars(score)) - 1,
        seconds=round(seconds, 1),
        tempo_qpm=round(60 * end_tick(score) / score.tpq / seconds, 1) if seconds else 0.0,
        meters=_meters(score),
        key=key_of_signature(keys[0].key, keys[0].tonality).name if len(keys) else "",
        polyphony=most_at_once(together) if together else 0,
        tracks=tuple(
            "drums" if track.is_drum else name[:_NAME_LENGTH] for track, name in zip(score.tracks, names, strict=True)
        ),
    )


def _meters(score: Score) -> tuple[str, ...]:
    changes, lines = meters(score), bars(score)
    places = np.append(np.searchsorted(lines, [tick for tick, _, _ in changes]), len(lines) - 1)
    named = {f"{numerator}/{denominator}": 0 for _, numerator, denominator in changes}
    for (_, numerator, denominator), count in zip(changes, np.diff(places).tolist(), strict=True):
        named[f"{numerator}/{denominator}"] += count
    return tuple(name for name, count in named.items() if count > 1) or tuple(named)


def _seconds(score: Score) -> float:
    """Return the length of a score by its tempo map; 120 quarters a minute where it says nothing."""
    end = end_tick(score)
    changes = {0: 120.0} | {max(0, t.time): t.qpm for t in sorted(score.tempos, key=lambda t: t.time) if t.time < end}
    ticks = np.array([*changes, end])
    return float((np.diff(ticks) / score.tpq * 60 / np.array([*changes.values()])).sum())

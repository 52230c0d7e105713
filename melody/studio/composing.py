"""Takes of a request, bar by bar: all grow side by side, a bar of each in turn, so that each can soon be heard.

A take is the one that `Composer.compose` gives for its seed and number. Where a search or a choice among candidates
decides only at the end, a take comes whole.
"""

import json
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

from melody.bundle import Bundle, all_bundles, bundle_files
from melody.errors import LimitExceeded, UsageError
from melody.formats.midi import Reading
from melody.generation import Composer, NewNote, Settings, Take
from melody.generation.advice import at_home
from melody.generation.region import DEFAULT_BARS
from melody.generation.settings import LIMITS
from melody.music.score import TICKS_PER_QUARTER, rescale
from melody.studio.bounds import Bounds
from melody.studio.command import command_of
from melody.studio.edits import with_hand, without_empty
from melody.studio.shelf import HandNote, Sheet, Shelf

FROM_NOTHING = "chorale"


@dataclass(frozen=True)
class Asked:
    """A composition that is asked for: the settings, the primer, and how many takes."""

    settings: Settings
    primer: Sheet | None
    model: str | None
    takes: int
    seed: int


def check(settings: Settings, takes: int, bounds: Bounds) -> None:
    """Raise `UsageError` or `LimitExceeded` for more than the server takes on."""
    if not 1 <= takes <= bounds.takes:
        raise UsageError(f"`takes` must lie in [1, {bounds.takes}], got {takes}")
    filled = settings.fill[1] - settings.fill[0] + 1 if settings.fill else 0
    wanted = {
        "bars": max(settings.bars or 0, filled),
        "best_of": settings.best_of or 0,
        "beam_width": settings.beam_width,
    }
    most = {"bars": bounds.bars, "best_of": bounds.candidates, "beam_width": bounds.candidates}
    for name, value in wanted.items():
        if value > most[name]:
            raise LimitExceeded(
                f"`{name}` {value}: this server takes up to {most[name]}, of {LIMITS[name][1]} in the library"
            )


def bundles() -> dict[str, Bundle]:
    """Return the models by name: a client can ask for these and no others."""
    return _bundles(tuple((path, path.lstat().st_mtime_ns) for path in bundle_files()))


@lru_cache(maxsize=1)
def _bundles(files: tuple[tuple[Path, int], ...]) -> dict[str, Bundle]:
    """The models of these files, which are read again when one of them is changed."""
    return {bundle.name: bundle for bundle in all_bundles()[0]}


def choose_bundle(asked: Asked, reading: Reading | None) -> tuple[Bundle, str]:
    """Return the model of a request, or the one that suits its primer, and why. Raises `MelodyError`."""
    settings, score = asked.settings, reading.score if reading else None
    if asked.model is None and (
        choice := at_home(score, settings.with_tracks, settings.mapping, settings.add, settings.contour)
    ):
        return choice
    there, name = bundles(), asked.model or FROM_NOTHING
    if name not in there:
        raise UsageError(f"model {name[:40]!r}: there are {', '.join(there)}")
    return there[name], ""


@lru_cache(maxsize=8)
def composer_of(folder: str) -> Composer:
    """Return the composer of a model's folder; engines are safe for threads."""
    return Composer(folder)


def compose(asked: Asked, shelf: Shelf) -> Generator[dict[str, Any], None, None]:
    """Yield the events of a request: what is composed, bars as they come, takes with the ids of their scores."""
    reading = shelf.reading(asked.primer.id) if asked.primer else None
    bundle, reason = choose_bundle(asked, reading)
    composer = composer_of(str(bundle.folder))
    start = {"model": bundle.name, "reason": reason, "seed": asked.seed, "tpq": TICKS_PER_QUARTER}
    yield {"event": "start", **start, "total": _events_expected(asked)}
    for item in _grown(asked, composer, reading):
        if isinstance(item, Take):
            yield _taken(item, asked, reading, shelf)
        else:
            yield item


def _comes_whole(settings: Settings) -> bool:
    """Return True where nothing of a take is certain before all of it is."""
    return (
        settings.candidates > 1
        or settings.beam_width > 0
        or settings.strength is not None
        or settings.rounds is not None
    )


def _events_expected(asked: Asked) -> int:
    settings = asked.settings
    bars = settings.fill[1] - settings.fill[0] + 1 if settings.fill else settings.bars or DEFAULT_BARS
    return 2 + asked.takes * (1 if _comes_whole(settings) else 1 + bars)


def _grown(asked: Asked, composer: Composer, reading: Reading | None) -> Iterator[dict[str, Any] | Take]:
    """Yield bars and takes."""
    score = reading.score if reading else None
    settings = asked.settings
    if _comes_whole(settings):
        yield from composer.each(score, settings, takes=asked.takes, seed=asked.seed)
        return
    streams = {
        number: _bars(composer.stream(score, settings, seed=asked.seed, number=number))
        for number in range(1, asked.takes + 1)
    }
    while streams:
        for number, stream in list(streams.items()):
            try:
                bar = next(stream)
            except StopIteration as stop:
                del streams[number]
                yield stop.value
            else:
                yield {"event": "bar", "take": number, "bar": bar[0].bar, "notes": [list(note[:5]) for note in bar]}


def _bars(notes: Generator[NewNote, None, Take]) -> Generator[list[NewNote], None, Take]:
    """Group notes by bars; the generator returns the take."""
    take: list[Take] = []

    def kept() -> Iterator[NewNote]:
        take.append((yield from notes))

    for _, bar in groupby(kept(), key=lambda note: note.bar):
        yield list(bar)
    return take[0]


def _taken(take: Take, asked: Asked, reading: Reading | None, shelf: Shelf) -> dict[str, Any]:
    """Keep a take on the shelf and return its event."""
    primer = asked.primer
    if primer is not None:
        take = replace(
            take, settings=take.settings | {"primer": {"name": f"{primer.stem}.mid", "sha256": primer.sha256}}
        )
    take, hand = _with_hand(take, primer, reading)
    known = take.to_dict() | {"first_new_tick": take.first_new_tick, "resumes_tick": take.resumes_tick}
    known |= {"tpq": take.score.tpq, "sections": [list(section) for section in take.sections]}
    name = (
        f"{primer.stem if primer else asked.model or 'melody'}-{take.settings['model']}-{take.seed}-{take.number}.mid"
    )
    sheet = shelf.put(Sheet(take.to_midi(given=reading), name, _plain(known), hand))
    known["command"] = command_of(take.settings, f"{primer.stem}.mid" if primer else None)
    return {"event": "take", **known, "take": take.number, "score": sheet.id, "name": name}


def _with_hand(take: Take, primer: Sheet | None, reading: Reading | None) -> tuple[Take, tuple[HandNote, ...]]:
    """Return a take in which notes by hand stand as they stood, and these notes in its ticks."""
    if primer is None or reading is None or not primer.hand or take.settings["only_new"]:
        return take, ()
    tpq, new = reading.score.tpq, take.score.tpq
    score = with_hand(take.score, tpq, primer.hand, take.first_new_tick, take.resumes_tick)
    hand = [(n[0], rescale(n[1], tpq, new), max(1, rescale(n[2], tpq, new)), n[3], n[4]) for n in primer.hand]
    return replace(take, score=score), tuple(without_empty(score, hand))  # the take may have silenced a track


def _plain(known: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of a take as JSON gives it back."""
    plain: dict[str, Any] = json.loads(json.dumps(known))
    return plain

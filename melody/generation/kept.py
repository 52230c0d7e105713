"""Title, texts, channels and raw events, from the musician's file to the file of a take.

At the seam it is held to the rules of `melody.generation.seam`: what stands behind it does not act on new notes, and
aftertouch that is left on ends there; in a gap it comes back where the musician's music does.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from melody.formats.midi import Reading, Text
from melody.formats.midi.beside import Beside, Event
from melody.formats.midi.parts import POLY_PRESSURE, PRESSURE
from melody.generation.seam import Seam
from melody.music.score import Ints, rescale

if TYPE_CHECKING:
    from melody.generation.take import Take

_META, _LAST_TEXT = 0xFF, 0x0F
_MASTER_VOLUME = re.compile(rb"\xf0\x07\x7f.\x04\x01..\xf7", re.DOTALL)  # universal real time
_LOUDEST = b"\x7f\x7f"


def with_file(source: Reading, take: "Take") -> dict[str, Any]:
    """Return what `melody.formats.midi.dumps` takes of a file for a take; the new part alone keeps only channels."""
    if take.settings["only_new"]:
        return {"own_channels": source.channels}
    return {
        "title": source.title,
        "texts": texts_across(source.texts, source.score.tpq, take.seam, take.score.tpq),
        "own_channels": source.channels,
        "others": beside_across(source.beside, take.seam, take.score.tpq),
    }


def texts_across(texts: Iterable[Text], tpq: int, seam: Seam, new_tpq: int) -> list[Text]:
    """The texts of a file in the ticks of a take; behind its seam, where nothing else is, they move to it."""
    moved = (text._replace(tick=rescale(text.tick, tpq, new_tpq)) for text in texts)
    if seam.resumes is not None or seam.maps_stay:
        return list(moved)
    return [text._replace(tick=min(text.tick, seam.start)) for text in moved]


def beside_across(others: Beside, seam: Seam, tpq: int) -> Beside:
    """Return what a file holds beside its score, in the ticks of a take and made ready for its new music."""
    events = [event._replace(tick=rescale(event.tick, others.tpq, tpq)) for event in others.events]
    rows = others.messages.copy()
    rows[:, 0] = rescale(rows[:, 0], others.tpq, tpq)
    ended = [track for track in np.unique(rows[:, 1]).tolist() if seam.ends(track)]
    rows = rows[~np.isin(rows[:, 1], ended) | (rows[:, 0] <= seam.start)]
    events = [_until(event, seam) for event in events if not _acts_behind(event, seam)]
    if seam.resumes is None and not seam.maps_stay:
        events += _full_volume(events, seam.start)
    return replace(others, tpq=tpq, events=tuple(events), messages=_calm(rows, seam))


def _acts_behind(event: Event, seam: Seam) -> bool:
    """Tell if an event that is no text stands behind the seam in a track that ends there."""
    is_text = event.message[0] == _META and event.message[1] <= _LAST_TEXT
    return not is_text and event.tick > seam.start and seam.ends(event.track)


def _until(event: Event, seam: Seam) -> Event:
    return event._replace(tick=min(event.tick, seam.start)) if seam.ends(event.track) else event


def _full_volume(events: Iterable[Event], start: int) -> list[Event]:
    """The master volume that held for the longest time, to be set at the seam where the music faded from it."""
    found = [event for event in events if _MASTER_VOLUME.fullmatch(event.message)]
    if not found:
        return []
    ticks = [0, *(event.tick for event in found), start]
    levels = [_LOUDEST, *(event.message[-3:-1] for event in found)]  # low and high seven bits
    lasting = np.argmax(np.diff(ticks))
    before = levels[lasting][::-1]
    faded = levels[-1][::-1] < before
    return [found[0]._replace(tick=start, message=found[0].message[:-3] + levels[lasting] + b"\xf7")] if faded else []


def _calm(rows: Ints, seam: Seam) -> Ints:
    """Messages with pressure let go at the seam; what was pressed in a gap goes with its notes."""
    mine = np.isin(rows[:, 2] >> 20, (PRESSURE, POLY_PRESSURE)) & np.isin(rows[:, 1], [*seam.tracks])
    added = [
        (seam.start, track, _released(packed)) for track, packed in _pressed(rows[mine & (rows[:, 0] <= seam.start)])
    ]
    if seam.resumes is not None:
        added += [(seam.resumes, *pressed) for pressed in _pressed(rows[mine & (rows[:, 0] < seam.resumes)])]
        inside = mine & (rows[:, 0] > seam.start) & (rows[:, 0] < seam.resumes)
        rows = rows[~inside]
    if not added:
        return rows
    # released behind what stands on the seam, pressed again before what stands where the music resumes
    order = np.concatenate([np.ones(len(rows)), [2 if tick == seam.start else 0 for tick, _, _ in added]])
    together = np.concatenate([rows, np.array(added, np.int64)])
    return together[np.lexsort((order, together[:, 0]))]


def _pressed(rows: Ints) -> list[tuple[int, int]]:
    """(track, message) of the pressures that are still on after these messages."""
    last: dict[tuple[int, int], int] = {}
    for track, packed in rows[:, 1:].tolist():
        touched = packed >> 8 if packed >> 20 == POLY_PRESSURE else packed >> 20  # each pitch by itself
        last[track, touched] = packed
    return [(track, packed) for (track, _), packed in last.items() if packed != _released(packed)]


def _released(packed: int) -> int:
    """The message that lets go of what another presses."""
    return packed & ~0x7F if packed >> 20 == POLY_PRESSURE else packed & ~0x7FFF

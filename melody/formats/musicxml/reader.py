"""MusicXML documents to a `Score` at 480 ticks a quarter: bounded, quick, every repair stated.

One track a part (both staves of a piano are one part), at sounding pitch; tied notes are one note; repeats, endings,
D.C. and D.S. are played out. Chord symbols and rehearsal marks become markers, syllables the lyrics of their tracks.
Bars come from the measures, as `measures` tells. A document that is cut off is read up to its last whole measure. All
that has no place in a score is counted and said: grace and cue notes, articulations, slurs and the like.
Source: MusicXML 4.0, W3C Community Group report of 2021.
"""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

from melody.errors import UnreadableFile
from melody.formats.midi.reader import Reading
from melody.formats.midi.track import Repairs
from melody.formats.musicxml.assembly import score_and_texts
from melody.formats.musicxml.content import Content, read_header
from melody.formats.musicxml.document import MAX_DOCUMENT_BYTES, document
from melody.formats.musicxml.elements import DocumentBudget, places
from melody.formats.musicxml.measure_reader import read_measure
from melody.music.score import Score
from melody.storage.files import read_bytes


def read_musicxml(path: str | os.PathLike[str]) -> Score:
    """Read a MusicXML file (.musicxml, .xml, .mxl). Raises `UnreadableFile` or `LimitExceeded`."""
    return parse_musicxml(read_bytes(path, MAX_DOCUMENT_BYTES), os.fspath(path)).score


def parse_musicxml(data: bytes, name: str = "<bytes>") -> Reading:
    """Read the bytes of a MusicXML file, packed or plain; `name` stands in messages. Raises as `read_musicxml`."""
    repairs, budget = Repairs(), DocumentBudget(name)
    content = Content(name, repairs, budget)
    with _collector_paused():
        for place in places(document(data, name, repairs), budget, repairs):
            if place.part is None:
                read_header(place.element, content)
            else:
                read_measure(place.element, content.part(place.part), content)
        if not budget.notes:
            reason = f": {repairs.sentences()[0]}" if repairs else ""
            raise UnreadableFile(f"{name}: no notes in it{reason}; open it in a notation editor")
        score, texts = score_and_texts(content)
    return Reading(score, (*repairs.sentences(), *_left_out(content)), _remarks(content), content.title, texts)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Pause the search for reference cycles: elements have none, and looking for them took most of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _remarks(content: Content) -> tuple[str, ...]:
    written, played = content.bars
    if played == written:
        return ()
    return (f"repeats and jumps are played out: measures written {written:,}, played {played:,}",)


def _left_out(content: Content) -> list[str]:
    """Return one sentence of all that was left out."""
    kinds = [f"{count:,} {what}" for what, count in sorted(content.left_out.items()) if count]
    return [f"left out, as a score has no place for them: {', '.join(kinds)}"] if kinds else []

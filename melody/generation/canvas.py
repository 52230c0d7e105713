"""The canvas of a gap: its cells and those around it as a rewriter sees them, what may stand in each, and the way back.

That of drums is in `melody.generation.kit_canvas`.

Soprano  |.. kept ..|.. kept ..|.. kept ..|      the bars that are filled anew, in voices that are free; notes that
Alto     |.. kept ..|?? ?? ?? ?|.. kept ..|      ring into them stay, and new ones end with them
Bass     |.. kept ..|?? ?? ?? ?|.. kept ..|
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from melody.bundle import Bundle
from melody.generation.primer.primer_view import PrimerView
from melody.generation.region import Region
from melody.generation.rules.playable import Free, Room
from melody.generation.settings import Settings
from melody.music.key import Key
from melody.music.score import Notes, has_strong_middle, notes_of
from melody.tokens.cells import (
    BEGINS,
    CELL,
    HIDDEN,
    HIGHEST,
    LOWEST,
    REST,
    SOUNDS,
    VALUES,
    Cells,
    Ground,
    cut,
    ground_of,
    line_of,
    notes_in,
)
from melody.tokens.hits import HITS

BEFORE, AFTER = 32, 96  # cells that stand before the piece and after it, so that every cell is seen amidst others
LEFT_TO_NOTES = ("chords", "density", "no_repeat", "max_copy_bars", "keep", "loop")
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Canvas:
    """Cells of a whole piece with a gap, and of what lies before and after it."""

    cells: Cells  # (T, voices), those of the gap `HIDDEN`
    ground: Ground  # (T, GROUND)
    hidden: Bools  # (T, voices)
    may: Bools  # (T, voices, values): what may stand in a hidden cell

    def notes(self, cells: Cells, velocity: Mapping[int, int]) -> dict[int, Notes]:
        """The new notes of finished cells by voice, each a single line, in ticks of the grid."""
        result = {}
        for voice in np.flatnonzero(self.hidden.any(axis=0)).tolist():
            found = notes_in(cells[:, voice], velocity[voice])
            new = self.hidden[found.onset // CELL, voice]
            result[voice] = found.take(new)._replace(onset=found.onset[new] - BEFORE * CELL)
        return result


def why_not(settings: Settings, region: Region, rooms: Mapping[int, Room], bundle: Bundle) -> str:
    """Tell why a gap cannot be rewritten in rounds, and is composed note after note; empty where it can."""
    if bundle.rewriter is None:
        return f"{bundle.name} composes note after note"
    kit = bundle.rewriter.kind is HITS
    if not settings.rounds and len(region.fixed.tracks if region.fixed else ()) <= len(region.tracks):
        return "most voices come anew, which notes from left to right do better; `rounds` asks for it all the same"
    asked = [f"`{name}`" for name in LEFT_TO_NOTES if getattr(settings, name)]
    if asked:
        return f"{asked[0]} is kept note after note"
    free = all(isinstance(room := rooms.get(place), Free) and (kit or room.polyphony == 1) for place in region.tracks)
    if kit and not (free and [track.drums for track in bundle.tracks] == [True]):
        return "its drums are held to more than a grid can say"
    if not kit and not (free and len(bundle.tracks) == bundle.rewriter.voices):
        return "not every voice is a single line"
    return "its bars are no multiple of a sixteenth" if (region.lines % CELL).any() else ""


def canvas_of(
    settings: Settings, view: PrimerView, region: Region, rooms: Mapping[int, Room], bundle: Bundle
) -> Canvas:
    """The canvas of a gap."""
    count = int(view.lines[-1]) // CELL
    start, stop = (int(region.lines[bar]) // CELL for bar in (region.first, region.stop))
    lines = [line_of(notes_of(track), count) for track in view.score.tracks]
    hidden = np.zeros((count, len(lines)), bool)
    for place in region.tracks:
        line = lines[place]
        rings = _run(line[start:stop])  # notes from before stay
        hidden[start + rings : stop, place] = True
        if rings < stop - start:  # and what rang out of the gap goes with it
            line[stop : stop + _run(line[stop:])] = REST
    ground = ground_of(view.lines, count, bundle.style_value(settings.style))
    cells, around = cut(np.stack(lines, axis=1), ground, -BEFORE, BEFORE + count + AFTER)
    if region.stop == view.bars and not region.closes:
        cells[BEFORE + count :] = HIDDEN  # nothing is known of what comes
    hidden = np.pad(hidden, ((BEFORE, AFTER), (0, 0)))
    may = np.ones((*hidden.shape, VALUES), bool)
    for place in region.tracks:
        room = rooms[place]
        assert isinstance(room, Free)
        pitches = room.pitches[LOWEST : HIGHEST + 1]
        may[:, place, BEGINS:] = np.concatenate([pitches, pitches])
    return Canvas(np.where(hidden, HIDDEN, cells), around, hidden, may)


def close(canvas: Canvas, view: PrimerView, region: Region, key: Key, triads: Collection[int]) -> None:
    """Let the piece end on the tonic chord over its root, on a strong beat and in all voices that are free together.

    On which one, the last chord that stood there says.
    """
    line, end = int(region.lines[-2]), int(region.lines[-1])
    middle = line + (end - line) // 2
    onsets = np.concatenate([notes_of(track).onset for track in view.score.tracks])
    last = int(onsets.max(initial=0))
    strong = middle if has_strong_middle(region.meters[-1][0]) and last >= middle else line
    first, stop = BEFORE + strong // CELL, BEFORE + end // CELL
    free = np.flatnonzero(canvas.hidden[first]).tolist()
    bass = canvas.hidden.shape[1] - 1
    classes = np.arange(LOWEST, HIGHEST + 1) % 12
    for voice in free:
        fits = np.isin(classes, [key.tonic] if voice == bass else list(triads))
        canvas.may[first, voice] = False
        canvas.may[first, voice, BEGINS:SOUNDS] = fits
        canvas.may[first + 1 : stop, voice, :SOUNDS] = False


def _run(line: NDArray[np.int64]) -> int:
    """Count the cells at the beginning of a line sound on."""
    return int(np.argmax(np.append(line < SOUNDS, True)))

"""The canvas of a gap in drums: a kit's drums x sixteenths, what may stand in each cell, how loud it is, the way back.

kick     |.. kept ..|?? ?? ?? ?|.. kept ..|     all drums of the bars come anew; strokes stand where their beat, divided
snare    |.. kept ..|?? ?? ?? ?|.. kept ..|     by two or by three, has a place for them

A cell says in which of five bands a stroke is. Within it, the strokes take turns through the velocities that the
player's own strokes of that drum have in that band.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from melody.bundle import Bundle
from melody.generation.canvas import AFTER, BEFORE, Canvas
from melody.generation.primer.primer_view import PrimerView
from melody.generation.region import Region
from melody.generation.rules.playable import Free, Room
from melody.generation.settings import Settings
from melody.music.score import Notes, notes_of
from melody.tokens.cells import CELL, Cells, cut, ground_of
from melody.tokens.hits import BANDS, BEAT, HITS, KIT, LOUDER, SILENCE, VALUES, divided, hits_of, strokes_in

USUAL = (14, 38, 58, 90, 126)  # velocities of the bands, where the player shows none

EVEN = 0.43  # odds of a stroke that no temperature changes: with even ones grooves would lose strokes as it falls

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def kit_canvas_of(
    settings: Settings, view: PrimerView, region: Region, rooms: Mapping[int, Room], bundle: Bundle
) -> Canvas:
    """The canvas of a gap in the one track of drums."""
    (place,) = region.tracks
    room = rooms[place]
    assert isinstance(room, Free)
    count = int(view.lines[-1]) // CELL
    start, stop = (int(region.lines[bar]) // CELL for bar in (region.first, region.stop))
    cells = hits_of(notes_of(view.score.tracks[place]), count)
    ground = ground_of(view.lines, count, bundle.style_value(settings.style))
    hidden = np.zeros((BEFORE + count + AFTER, len(KIT)), bool)
    hidden[BEFORE + start : BEFORE + stop] = True
    cells, around = cut(cells, ground, -BEFORE, len(hidden), HITS.outside)
    if region.stop == view.bars and not region.closes:
        cells[BEFORE + count :] = HITS.hidden  # nothing is known of what comes
    straight, triplet = divided()
    may = np.repeat((straight | triplet)[around[:, 0] % BEAT, None], len(KIT), axis=1)
    may[:, ~room.pitches[list(KIT)], SILENCE + 1 :] = False
    return Canvas(np.where(hidden, HITS.hidden, cells), around, hidden, may)


@dataclass(frozen=True)
class Drummer:
    """Draws the hidden cells of a drum beside the others, at most `most` of them in a cell."""

    canvas: Canvas
    most: int

    def draw(self, cells: Cells, hidden: Bools, voice: int, weights: Floats, generator: np.random.Generator) -> Cells:
        """The cells (T, drums) with the hidden ones (T,) of a drum drawn by their weights (T, drums, VALUES)."""
        at = self.canvas.ground[:, 0] % BEAT
        beat = np.cumsum(at == 0)
        sides = np.stack([np.pad(side, ((0, 0), (0, 2)), constant_values=True) for side in divided()])  # (2, BEAT, V+2)
        known = np.where((np.arange(cells.shape[1]) == voice) & hidden[:, None], HITS.hidden, cells)
        fits = np.ones((2, beat[-1] + 1), bool)  # divisions that the strokes of each beat allow
        for side, allowed in enumerate(sides):
            np.logical_and.at(fits[side], beat, allowed[at[:, None], known].all(axis=1))
        own = np.where(self.canvas.may[:, voice], weights[:, voice], 0)
        own[:, SILENCE] += 1e-12  # rests always fit
        others = np.delete(known, voice, axis=1)
        full = ((others > SILENCE) & (others < VALUES)).sum(axis=1) >= self.most
        own[full, SILENCE + 1 :] = 0
        # a beat whose strokes leave it open is divided as the likelihoods of this drum's cells have it
        logs = [np.log((own * side[at, :VALUES]).sum(axis=1)) for side in sides]
        total = np.stack([np.bincount(beat, np.where(hidden, log, 0), len(fits[0])) for log in logs])
        three = 1 / (1 + np.exp(np.clip(total[0] - total[1], -50, 50)))
        drawn = generator.random(len(three)) < np.where(fits.all(axis=0), three, fits[1] & ~fits[0])
        own = own * np.where(drawn[beat][:, None], sides[1][at, :VALUES], sides[0][at, :VALUES])
        sums = own.cumsum(axis=1)
        value = (sums < generator.random((len(sums), 1)) * sums[:, -1:]).sum(axis=1)
        result = cells.copy()
        result[hidden, voice] = np.minimum(value, VALUES - 1)[hidden]
        return result


def weighed(logits: Floats, temperature: float) -> Floats:
    """Probabilities (..., VALUES) at a temperature: of a stroke at all, and of each stroke among them.

    Each by itself: else what has many likely values, as a stroke has, would lose to silence as the temperature falls.
    """
    chance = np.exp(logits - logits.max(axis=-1, keepdims=True))
    chance /= chance.sum(axis=-1, keepdims=True)
    rest, strokes = chance[..., :1], chance[..., 1:]
    any_ = strokes.sum(axis=-1, keepdims=True)
    which = (strokes / np.maximum(any_, 1e-30)) ** (1 / temperature)
    which /= np.maximum(which.sum(axis=-1, keepdims=True), 1e-30)
    rest, any_ = rest ** (1 / temperature) * EVEN ** (1 / temperature - 1), any_ ** (1 / temperature)
    result: Floats = np.concatenate([rest, any_ * which], axis=-1) / (rest + any_)
    return result


def loudness_of(view: PrimerView, region: Region) -> dict[tuple[int, int], NDArray[np.int64]]:
    """The velocities of the player's own strokes outside the gap, by drum (place in `KIT`) and band, in order."""
    (place,) = region.tracks
    notes = notes_of(view.score.tracks[place])
    start, stop = (int(region.lines[bar]) for bar in (region.first, region.stop))
    kept = notes.take((notes.onset < start) | (notes.onset >= stop))
    band = np.searchsorted(LOUDER, kept.velocity, side="right")
    known = {}
    for drum, pitch in enumerate(KIT):
        for level in range(BANDS):
            known[drum, level] = kept.velocity[(kept.pitch == pitch) & (band == level)]
    return known


def kit_notes(canvas: Canvas, cells: Cells, loudness: Mapping[tuple[int, int], NDArray[np.int64]]) -> Notes:
    """The new strokes of finished cells, in ticks of the grid; each lasts a sixteenth, or to the next of its drum."""
    rows = []
    end = CELL * (1 + int(np.flatnonzero(canvas.hidden.any(axis=1))[-1]))
    for drum, pitch in enumerate(KIT):
        ticks, bands = strokes_in(cells[:, drum])
        stop = np.minimum(np.minimum(ticks + CELL, np.append(ticks[1:], end)), end)
        turns = [0] * BANDS
        for tick, band, until in zip(ticks.tolist(), bands.tolist(), stop.tolist(), strict=True):
            if canvas.hidden[tick // CELL, drum]:
                own = loudness[drum, band]
                velocity = int(own[turns[band] % len(own)]) if len(own) else USUAL[band]
                turns[band] += 1
                rows.append((tick - BEFORE * CELL, until - tick, pitch, velocity))
    return Notes(*np.array(sorted(rows), np.int64).reshape(-1, 4).T)

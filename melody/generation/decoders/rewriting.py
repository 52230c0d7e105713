"""Rewriting: all hidden cells of a gap are drawn at once, and again and again in part, until they fit each other.

    round 1         ?? ?? ?? ?? ?? ??    nothing is known: all is drawn, each voice as a line
    round 2         67 ?? ?? 64 ?? ??    a share of it is hidden again, beats of single voices by chance,
    ...                                  and drawn knowing the rest; the share falls from round to round
    the last one    67 -- 65 64 ?? 62    few are drawn anew, amidst much that fits

Annealed blocked Gibbs sampling (Yao, Ozair, Cho & Bengio 2014, arXiv:1409.0585, as Coconet uses it, arXiv:1903.07227).
Within a round the voices come in an order that is drawn; each is a line (`lines`) that keeps its range, what stands
around it, and makes no parallels to voices that are known by then; or a drum of a kit, whose strokes divide each beat
as those of the others do (`melody.generation.kit_canvas`). Between rounds breaches of the rules are counted
(`CountsBreaches`): the result is the last of the rounds with the fewest.

Drums have no such rules, and their cells become known for good instead, so many a round in an order that chance draws
(absorbing diffusion backwards, arXiv:2107.03006): what comes later knows what came before, and nothing is drawn twice.

The tokens of the result cost what they cost the model that goes from note to note, so that takes can be compared.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from melody.engine import Engine
from melody.errors import MelodyError
from melody.generation.assemble import beside
from melody.generation.canvas import Canvas, canvas_of, close
from melody.generation.decoders.contract import Continuation
from melody.generation.decoders.lines import Bools, draw_line, parallels_to
from melody.generation.decoders.sampling import Sampled
from melody.generation.gap_score import nats_of
from melody.generation.kit_canvas import Drummer, kit_canvas_of, kit_notes, loudness_of, weighed
from melody.generation.prefix import read_prefix
from melody.generation.prepared import Prepared
from melody.generation.rules.contract import breaches_of
from melody.generation.seeds import Seed
from melody.generation.settings import ROUNDS
from melody.music.key import Key
from melody.music.score import Notes, Score, notes_of, set_notes
from melody.tokens import Plan
from melody.tokens.cells import SOUNDS, Cells
from melody.tokens.hits import HITS
from melody.tokens.rewriter import Rewriter

MOST_HIDDEN, LEAST_HIDDEN = 0.9, 0.1  # shares of the gap, in the second round and in the last
STRETCH, SIDE = 64, 32  # cells that are read together, and what is seen on either side of them
BEAT = 4  # cells that are hidden together
COOL, COOL_KIT = 0.8, 0.5  # by which the temperature asked for is multiplied, of voices and of drums
CONFIDENT = 0.1  # a value less likely than this share of the likeliest is not drawn

Floats = NDArray[np.float64]
# the cells (T, voices) with the hidden ones (T,) of a voice drawn by their weights (T, voices, values)
Draw = Callable[[Cells, Bools, int, Floats, np.random.Generator], Cells]


class Rewriting:
    """The decoder that fills a gap in rounds, where the bundle has a rewriter and the gap allows it."""

    def decode(self, prepared: Prepared, engine: Engine, seeds: Sequence[Seed]) -> list[Continuation]:
        """Return a continuation for each seed."""
        if not prepared.rewrites:
            return Sampled().decode(prepared, engine, seeds)
        rounds = prepared.settings.rounds or ROUNDS
        painter = _Painter.of(prepared)
        return read_on(prepared, engine, [painter.paint(rounds, seed.generator()) for seed in seeds])


@dataclass(frozen=True)
class _Painter:
    """All that the rounds need."""

    canvas: Canvas
    rewriter: Rewriter
    temperature: float
    weigh: Callable[[Floats, float], Floats]
    draw: Draw
    score_of: Callable[[Cells], Score]
    breaches: Callable[[Score], int]

    @classmethod
    def of(cls, prepared: Prepared) -> "_Painter":
        rewriter = prepared.bundle.rewriter
        assert rewriter is not None
        parts = _of_kit(prepared) if rewriter.kind is HITS else _of_lines(prepared)
        canvas, weigh, draw, notes = parts
        cool = COOL_KIT if rewriter.kind is HITS else COOL
        temperature = max(cool * prepared.settings.sampling.temperature, 0.05)
        return cls(
            canvas,
            rewriter,
            temperature,
            weigh,
            draw,
            lambda cells: filled(prepared, notes(cells)),
            lambda score: breaches_of(prepared.rules, score),
        )

    def paint(self, rounds: int, generator: np.random.Generator) -> Score:
        """The piece with its gap filled in so many rounds."""
        if self.rewriter.kind is HITS:
            return self.score_of(self._unmasked(self.canvas.cells, rounds, generator))
        hidden, cells = self.canvas.hidden, self.canvas.cells
        best, fewest = None, 2**31
        for number in range(rounds):
            if number:
                left = (rounds - 1 - number) / max(1, rounds - 2)
                share = LEAST_HIDDEN + (MOST_HIDDEN - LEAST_HIDDEN) * left
                hidden = self.canvas.hidden & _beats(self.canvas.hidden.shape, share, generator)
            cells = self._drawn(np.where(hidden, self.rewriter.kind.hidden, cells), hidden, generator)
            score = self.score_of(cells)
            if (found := self.breaches(score)) <= fewest:
                best, fewest = score, found
        assert best is not None
        return best

    def _unmasked(self, cells: Cells, rounds: int, generator: np.random.Generator) -> Cells:
        """The cells with those that are hidden drawn for good, so many a round, in an order that is drawn."""
        order = generator.permutation(np.flatnonzero(self.canvas.hidden))
        for part in np.array_split(order, min(rounds, len(order))):
            now = np.zeros(self.canvas.hidden.shape, bool)
            now.flat[part] = True
            cells = self._drawn(cells, now, generator)
        return cells

    def _drawn(self, cells: Cells, hidden: Bools, generator: np.random.Generator) -> Cells:
        """The cells with those that are hidden drawn, voice after voice."""
        if not hidden.any():
            return cells
        weights = self._weights(cells, hidden)
        for voice in generator.permutation(cells.shape[1]).tolist():
            if hidden[:, voice].any():
                cells = self.draw(cells, hidden[:, voice], voice, weights, generator)
        return cells

    def _weights(self, cells: Cells, hidden: Bools) -> Floats:
        """The probabilities (T, voices, values) of hidden cells, at the temperature asked for."""
        result = np.zeros(self.canvas.may.shape)
        rows = np.flatnonzero(hidden.any(axis=1))
        for start in range(int(rows[0]), int(rows[-1]) + 1, STRETCH):
            span = slice(start - SIDE, start + STRETCH + SIDE)
            logits = self.rewriter.logits(cells[span], self.canvas.ground[span])[SIDE : SIDE + STRETCH]
            if not np.isfinite(logits).all():  # the weights are finite, but may be absurd
                raise MelodyError("the rewriter gives no numbers; fetch or export the bundle again")
            result[start : start + STRETCH] = self.weigh(logits.astype(np.float64), self.temperature)
        return result


def _beats(shape: tuple[int, ...], share: float, generator: np.random.Generator) -> Bools:
    """Beats of single voices (T, voices), each chosen with the chance `share`."""
    drawn = generator.random((shape[0] // BEAT + 2, shape[1])) < share
    return np.repeat(drawn, BEAT, axis=0)[: shape[0]]


# ---- kinds of grids -------------------------------------------------------------------------------------------------

Parts = tuple[Canvas, Callable[[Floats, float], Floats], Draw, Callable[[Cells], Mapping[int, Notes]]]


def _of_lines(prepared: Prepared) -> Parts:
    """Parts for single voices: the canvas, what weighs and draws, and the notes of finished cells."""
    assert prepared.primer is not None
    settings, view, bundle = prepared.settings, prepared.primer.view, prepared.bundle
    canvas = canvas_of(settings, view, prepared.region, prepared.rooms, bundle)
    rules = bundle.style_rules if settings.style_rules else []
    if "tonic_ending" in rules and prepared.region.closes and prepared.key:
        key = prepared.key
        third = {Key(key.tonic, "major").triad, key.triad}
        close(canvas, view, prepared.region, key, frozenset().union(*third))
    singer = _Singer(canvas, "no_parallels" in rules)
    return canvas, _weighed, singer.draw, lambda cells: canvas.notes(cells, _velocities(prepared))


def _of_kit(prepared: Prepared) -> Parts:
    """Parts for drums."""
    assert prepared.primer is not None
    view, region, bundle = prepared.primer.view, prepared.region, prepared.bundle
    canvas = kit_canvas_of(prepared.settings, view, region, prepared.rooms, bundle)
    (place,) = region.tracks
    drummer, loudness = Drummer(canvas, prepared.rooms[place].polyphony), loudness_of(view, region)
    return canvas, weighed, drummer.draw, lambda cells: {place: kit_notes(canvas, cells, loudness)}


@dataclass(frozen=True)
class _Singer:
    """Draws a voice as a line."""

    canvas: Canvas
    single: bool  # no parallels

    def draw(self, cells: Cells, hidden: Bools, voice: int, weights: Floats, generator: np.random.Generator) -> Cells:
        """The cells with a voice drawn; where rules leave nothing they yield."""
        rows = np.flatnonzero(hidden)
        span = slice(int(rows[0]) - 1, int(rows[-1]) + 2)
        hidden, others = hidden[span], np.delete(cells[span], voice, axis=1)
        none = [None] * len(hidden)
        forbidden = parallels_to(others, [place < voice for place in range(others.shape[1])]) if self.single else none
        own, may = weights[span, voice], self.canvas.may[span, voice]
        likely = own >= CONFIDENT * np.where(may, own, 0).max(axis=1, keepdims=True)
        for allowed, pairs in ((may & likely, forbidden), (may, forbidden), (may, none), (np.ones_like(may), none)):
            line = draw_line(cells[span, voice], hidden, np.where(allowed, own + 1e-12, 0), pairs, generator.random)
            if line is not None:
                break
        assert line is not None
        cells = cells.copy()
        cells[span, voice] = line
        return cells


def _weighed(logits: Floats, temperature: float) -> Floats:
    """Probabilities (T, voices, VALUES) of cells of single voices at a temperature."""
    scaled = logits / temperature
    scaled = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    result: Floats = scaled / scaled.sum(axis=-1, keepdims=True)
    # A note has chosen its pitch as it began. Whether it sounds on is rhythm, of whatever pitch: else, where
    # pitches are unsure, each cell would doubt the one that was drawn and rather begin another.
    result[..., SOUNDS:] = result[..., SOUNDS:].sum(axis=-1, keepdims=True)
    return result


# ---- from cells to tokens -------------------------------------------------------------------------------------------


def _velocities(prepared: Prepared) -> Mapping[int, int]:
    """Loudness of new notes: that of the voice they are for."""
    assert prepared.primer is not None
    return {
        place: int(np.median(notes.velocity)) for place, notes in prepared.primer.view.notes.items() if len(notes.onset)
    }


def filled(prepared: Prepared, new: Mapping[int, Notes]) -> Score:
    """The piece as the model sees it, with other notes in its gap."""
    assert prepared.primer is not None
    lines, region = prepared.region.lines, prepared.region
    start, stop = lines[region.first], lines[region.stop]
    piece = prepared.primer.view.score.copy()
    for place, notes in new.items():
        old = notes_of(piece.tracks[place])
        kept = old.take((old.onset < start) | (old.onset >= stop))
        fresh = beside(kept, notes, single=prepared.bundle.tracks[place].polyphony == 1)
        set_notes(piece.tracks[place], Notes(*map(np.concatenate, zip(kept, fresh, strict=True))))
    return piece


def read_on(prepared: Prepared, engine: Engine, pieces: Sequence[Score]) -> list[Continuation]:
    """The tokens of the gap in each of these, and what each costs the model that goes from note to note."""
    told, rows = prepared.prefix.reader.plan, [_spelled(prepared, piece) for piece in pieces]
    reader = prepared.bundle.tokenizer.reader(Plan(told.bars, told.key, stop=told.stop, foreseen=told.foreseen))
    prefix = read_prefix(engine, reader, prepared.ids)
    return [Continuation(ids, nats) for ids, nats in zip(rows, nats_of(prefix, engine, rows), strict=True)]


def _spelled(prepared: Prepared, piece: Score) -> list[int]:
    """The tokens of the gap, up to the bar line behind it or the end."""
    tokenizer, region = prepared.bundle.tokenizer, prepared.region
    bar = tokenizer.vocabulary.ids["Bar"][0]
    ids: list[int] = tokenizer.spell(piece).tolist()
    lines = [place for place, token in enumerate(ids) if token == bar]
    if len(lines) > region.stop:
        return ids[len(prepared.ids) : lines[region.stop] + 1]
    missing = region.stop + (not region.closes) - len(lines)  # bars at the end may be silent
    return [*ids[len(prepared.ids) : -1], *[bar] * missing, *(ids[-1:] if region.closes else [])]

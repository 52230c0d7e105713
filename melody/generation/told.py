"""Conditions: length, key, chords, density, contour, style and given notes that the model is told of music to come."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from symusic import Note, Track

from melody.bundle import Bundle
from melody.errors import UsageError
from melody.generation.primer.primer_view import PrimerView, empty_start
from melody.generation.region import Region
from melody.generation.settings import Settings
from melody.music.chords import Span
from melody.music.key import Key, estimate_key
from melody.music.progressions import laid_out, parse_progression
from melody.music.score import GRID, TICKS_PER_QUARTER, Score
from melody.tokens.channels import CONTOUR, DENSITIES
from melody.tokens.conditions import Conditions
from melody.tokens.contour import contour_of, drawn_along, levels
from melody.tokens.harmony import steps_of_bar

OPEN = 1000  # bars that a piece is said to have left that does not end


def key_token(key: Key) -> tuple[int, int]:
    """A key as tokens and signatures have it."""
    return key.signature, int(key.mode == "minor")


def bars_of(region: Region, view: PrimerView | None) -> int:
    """Return the bars of the piece as the model is told, where composing does not close it."""
    inside = view is not None and region.stop < view.bars
    return view.bars if view and inside else region.stop + OPEN


def ids_before(region: Region, view: PrimerView | None, bundle: Bundle) -> list[int]:
    """Return the tokens before the new music: up to its bar line, at the start of a primer up to the tempo."""
    vocabulary = bundle.tokenizer.vocabulary
    bar = vocabulary.ids["Bar"][0]
    if view is None:
        return [*empty_start(bundle), bar]
    if region.first == view.bars:
        return [*view.ids, bar]
    line = [place for place, token in enumerate(view.ids) if token == bar][region.first]
    if region.first:
        return view.ids[: line + 1]
    tempo = next(place for place, token in enumerate(view.ids) if vocabulary.kind_of[token] == "Tempo")
    return view.ids[: tempo + 1]  # what a piece states at once: meter, key and tempo


def chord_spans(settings: Settings, marked: list[Span], region: Region) -> list[Span]:
    """The chords asked for, or those `marked` in the primer (at 480) in the bars to be composed."""
    if settings.chords:
        beats = [GRID * 4 // denominator for _, denominator in region.new_meters]
        return laid_out(parse_progression(settings.chords), region.new_lines, np.array(beats))
    if not marked:
        return []
    start, stop = int(region.lines[region.first]), int(region.lines[region.stop])
    spans = [Span(round(s.start * GRID / TICKS_PER_QUARTER), s.chord) for s in marked]
    inside = [span for span in spans if start <= span.start < stop]
    within_primer = [span for span in spans if span.start <= start and (region.given or span.start == start)]
    return [Span(start, span.chord) for span in within_primer[-1:]] + [s for s in inside if s.start > start]


def key_of_chords(chords: Sequence[Span], end: int) -> Key:
    """The key that chords suggest, each by its length."""
    score, track = Score(GRID), Track("", 0, False)
    stops = [span.start for span in chords[1:]] + [end]
    for span, stop in zip(chords, stops, strict=True):
        classes = sorted(span.chord.classes) if span.chord else []
        track.notes.extend([Note(span.start, stop - span.start, 60 + one, 80) for one in classes])
    score.tracks.append(track)
    return estimate_key(score)


def foreseen(
    settings: Settings, region: Region, view: PrimerView | None, chords: list[Span], bundle: Bundle
) -> Conditions | None:
    """Return the conditions of the music to come; None where there are none."""
    style = bundle.style_value(settings.style)
    if settings.contour and CONTOUR.name not in bundle.channels:
        raise UsageError(f"`contour`: {bundle.name} follows no line; folk does (`model` folk)")
    if not (chords or settings.density or settings.contour or region.given or style):
        return None
    table = Conditions(int(region.lines[-1]) + 1 if region.meters else 1, bundle.tokenizer.voices)
    if style:
        table.tell("style", style)
    if not region.meters:
        return table
    start, stop = (int(region.lines[bar]) for bar in (region.first, region.stop))
    if settings.density:
        table.tell("density", 1 + DENSITIES.index(settings.density), start, stop)
    if settings.contour:
        table.tell(CONTOUR.name, contour_told(settings.contour, region, view, bundle))
    for span in chords:  # each until the next
        table.tell("chord", span.chord.value if span.chord else 0, span.start, stop)
        bass = span.chord is not None and span.chord.bass != span.chord.root
        table.tell("chord_bass", 1 + span.chord.bass if bass and span.chord else 0, span.start, stop)
    for place, (notes, first_tick) in region.given.items():
        table.tell_notes(place, notes, np.arange(len(table)) >= first_tick)
    return table


def contour_told(line: Sequence[float], region: Region, view: PrimerView | None, bundle: Bundle) -> NDArray[np.int16]:
    """The channel (ticks,) up to the last line of a region: along the line in the new bars, in the primer as it is."""
    lines = region.lines
    table = np.zeros(int(lines[-1]) + 1, np.int16)
    if view is not None:
        own = contour_of(view.score)[: len(table)]
        table[: len(own)] = own
    bars = range(region.first, region.stop)
    rows = [steps_of_bar(int(lines[bar]), int(lines[bar + 1]), region.meters[bar], "halves") for bar in bars]
    edges = np.array([*(tick for row in rows for tick in row), lines[region.stop]])
    table[edges[0] : edges[-1]] = np.repeat(levels(drawn_along(line, edges)), np.diff(edges))
    return table

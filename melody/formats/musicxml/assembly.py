"""Parts as read to a `Score`: measures as they are played, with their notes, keys, tempos, markers and syllables."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from typing import TypeVar

from symusic import Tempo, TextMeta, Track

from melody.formats.midi.metas import COPYRIGHT, Text
from melody.formats.musicxml.content import Content, PartContent, PartMeasure, by_rows, repeat_measures
from melody.formats.musicxml.elements import MAX_MEASURES, MAX_NOTES
from melody.formats.musicxml.keys import set_keys, sounding_keys
from melody.formats.musicxml.measures import (
    Measure,
    WrittenSound,
    as_notes,
    joint_measures,
    own_meter,
    ticks,
    time_signatures,
    untie,
)
from melody.formats.musicxml.playing_order import merged, playing_order, settle_worded_jumps
from melody.formats.notation.chord_symbols import is_symbol
from melody.music.quantize import MAX_BAR_TICKS
from melody.music.score import GRID, MAX_BARS, TICKS_PER_QUARTER, Score, set_notes

T = TypeVar("T")
_DEFAULT_QPM = 120.0
_LONGEST_FREE_BAR = MAX_BAR_TICKS // GRID  # quarters


@dataclass
class Timeline:
    """Measures in the order in which they are played, each with its beginning in quarters."""

    order: list[int]
    starts: list[Fraction]

    def placed(self, by_measure: Sequence[Sequence[tuple[Fraction, T]]]) -> Iterator[tuple[Fraction, T]]:
        """Yield what stands in the measures, at the times at which it is played."""
        for index, start in zip(self.order, self.starts, strict=False):
            if index < len(by_measure):
                yield from ((start + time, value) for time, value in by_measure[index])

    def held(self, by_measure: Sequence[Sequence[tuple[Fraction, T]]], first: T) -> Iterator[tuple[Fraction, T]]:
        """Yield the same of what holds until it changes: after a leap that is what holds there in the writing."""
        before: list[T | None] = [None]
        for changes in by_measure:
            before.append(changes[-1][1] if changes else before[-1])
        present, expected = None, 0
        for index, start in zip(self.order, self.starts, strict=False):
            changes = by_measure[index]
            due = before[index] or first
            if index != expected and present is not None and present != due and not (changes and changes[0][0] == 0):
                yield start, due
                present = due
            for time, value in changes:
                yield start + time, value
                present = value
            expected = index + 1


def score_and_texts(content: Content) -> tuple[Score, tuple[Text, ...]]:
    """Return the score of a document, and its words. Raises `LimitExceeded`."""
    parts = [part for part in content.parts.values() if part.measures]
    for part in parts:
        repeat_measures(part, content.budget)
    rows = by_rows(parts)
    measures = _measures(parts, rows)
    line = _timeline(content, rows, measures, len(parts))
    score = Score(TICKS_PER_QUARTER)
    for part in parts:
        score.tracks.append(_track(part, line, content))
    score.time_signatures = time_signatures([measures[index] for index in line.order])
    _set_keys(score, parts, line)
    tempos = [next((measure.tempos for measure in row if measure.tempos), []) for row in rows]
    score.tempos.extend([Tempo(ticks(time), qpm=qpm) for time, qpm in line.held(tempos, _DEFAULT_QPM)])
    _add_markers(score, rows, line)
    return score, _texts(content, rows, line)


def _measures(parts: Sequence[PartContent], rows: Sequence[Sequence[PartMeasure]]) -> list[Measure]:
    """Return the measures of all parts together, as written."""
    meters = [next((measure.meter for measure in row if measure.meter), None) for row in rows]
    result = joint_measures([[measure.length for measure in part.measures] for part in parts], meters)
    is_free = False
    for index, (row, measure) in enumerate(zip(rows, result, strict=True)):
        is_free = any(own.is_free for own in row) or (is_free and meters[index] is None)
        if not measure.length:
            result[index] = measure._replace(length=measure.full)  # left empty
        elif is_free and measure.length <= _LONGEST_FREE_BAR:
            result[index] = measure._replace(meter=own_meter(measure.length) or measure.meter)
    return result


def _timeline(
    content: Content, rows: Sequence[Sequence[PartMeasure]], measures: Sequence[Measure], parts: int
) -> Timeline:
    """Return the measures as played; as written where the signs cannot be followed or lead too far."""
    content.budget.check_length(sum((measure.length for measure in measures), Fraction(0)))
    limit = max(len(rows), min(MAX_BARS, MAX_MEASURES // max(1, parts)))
    signs = [merged([measure.signs for measure in row]) for row in rows]
    content.left_out["returns in words, as no Fine or coda says how far"] += settle_worded_jumps(signs)
    order, reason = playing_order(signs, limit)
    weights = [sum(len(measure.sounds) + measure.sign_count for measure in row) for row in rows]
    lengths = [measure.length for measure in measures]
    if sum(weights[index] for index in order) > max(MAX_NOTES, sum(weights)):
        reason = f"they make more than {MAX_NOTES:,} notes and signs"
    elif sum(lengths[index] for index in order) > 4 * MAX_BARS:
        reason = f"they make more than {4 * MAX_BARS:,} quarters"
    if reason:
        content.repairs.add("repeats or jumps that cannot be followed; read each measure once", reason)
        order = list(range(len(rows)))
    content.bars = len(rows), len(order)
    return Timeline(order, [*accumulate((lengths[index] for index in order), initial=Fraction(0))])


# ---- tracks ----------------------------------------------------------------------------------------------------------


def _track(part: PartContent, line: Timeline, content: Content) -> Track:
    track = Track(part.name, 0 if part.is_drum else part.program, part.is_drum)
    sounds = [
        WrittenSound(start + sound.start, start + sound.end, *sound[2:])
        for index, start in zip(line.order, line.starts, strict=False)
        if index < len(part.measures)
        for sound in part.measures[index].sounds
    ]
    set_notes(track, as_notes(untie(sounds)))
    track.lyrics.extend([TextMeta(ticks(time), text) for time, text in _sung(part, line, content)])
    return track


def _sung(part: PartContent, line: Timeline, content: Content) -> Iterator[tuple[Fraction, str]]:
    """Yield the syllables as sung: in the second pass through a measure the second verse, where it has one."""
    passes: dict[int, int] = {}
    verses = {syllable.verse for measure in part.measures for syllable in measure.syllables}
    sung = set()
    for index, start in zip(line.order, line.starts, strict=False):
        if index >= len(part.measures):
            continue
        passes[index] = passes.get(index, 0) + 1
        syllables = part.measures[index].syllables
        here = dict.fromkeys(syllable.verse for syllable in syllables)
        verse = next((verse for verse in here if _verse_number(verse) == passes[index]), next(iter(here), ""))
        sung.add(verse)
        yield from ((start + each.time, each.text) for each in syllables if each.verse == verse)
    content.left_out["verses without a repeat to be sung in"] += len(verses - sung)


def _verse_number(verse: str) -> int:
    digits = re.search(r"(\d{1,3})\s*\Z", verse)
    return int(digits[1]) if digits else 1


# ---- the piece -------------------------------------------------------------------------------------------------------


def _set_keys(score: Score, parts: Sequence[PartContent], line: Timeline) -> None:
    pitched = [part for part in parts if not part.is_drum] or parts
    by_part = [[measure.keys for measure in part.measures] for part in pitched]
    keys = sounding_keys(by_part)
    keys += [[] for _ in range(max(line.order) + 1 - len(keys))]
    set_keys(score, line.held(keys, (0, 0)), by_part)


def _add_markers(score: Score, rows: Sequence[Sequence[PartMeasure]], line: Timeline) -> None:
    """Add rehearsal marks and chord symbols; beside these a mark such as A, which reads as one, stands in brackets."""
    chords = [_together([measure.chords for measure in row]) for row in rows]
    marks = [_together([measure.markers for measure in row]) for row in rows]
    if any(chords):
        marks = [[(time, f"[{text}]" if is_symbol(text) else text) for time, text in row] for row in marks]
    found = [*line.placed(marks), *line.placed(chords)]
    score.markers.extend([TextMeta(ticks(time), text) for time, text in sorted(found, key=lambda marker: marker[0])])


def _together(by_part: Sequence[Sequence[tuple[Fraction, str]]]) -> list[tuple[Fraction, str]]:
    """Return what stands in any of the parts, each once, in order of time."""
    return sorted(dict.fromkeys(entry for part in by_part for entry in part), key=lambda entry: entry[0])


def _texts(content: Content, rows: Sequence[Sequence[PartMeasure]], line: Timeline) -> tuple[Text, ...]:
    """Return who made the piece, and the words over its notes."""
    texts = [
        Text(0, words, COPYRIGHT) if who == "rights" else Text(0, f"{who}: {words}") for who, words in content.credits
    ]
    words = line.placed([_together([measure.words for measure in row]) for row in rows])
    return *texts, *(Text(ticks(time), text) for time, text in words)

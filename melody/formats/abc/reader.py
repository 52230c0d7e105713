"""Tunes in ABC notation to scores, bounded and with every repair stated; a file may hold many, each from its `X:` on.

Notes stand as written: without grace notes, at the written lengths whatever stands over them, repeats and parts played
out, no accompaniment for chord symbols, which become markers. Bars come from the bar lines, as from the measures of
MusicXML: a pickup or an odd bar has a meter of its own. Keys are those that sound. Source: the ABC standard 2.1.
"""

import os
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import accumulate
from typing import TypeVar

import numpy as np
from symusic import KeySignature, Tempo, TextMeta, TimeSignature, Track

from melody.errors import LimitExceeded, MelodyError, UnreadableFile
from melody.formats.abc.events import AbcPart
from melody.formats.abc.fields import Meter
from melody.formats.abc.playing import MAX_NOTES, Clock, Played, play
from melody.formats.abc.repeats import MAX_PARTS, order_of_parts
from melody.formats.abc.text import Line, Tune, decoded, header_and_tunes, lines_of
from melody.formats.abc.tune import AbcTuneReader, WrittenTune
from melody.formats.abc.voice import Voice
from melody.formats.midi.events import Repairs
from melody.formats.midi.metas import Text
from melody.formats.midi.reader import Reading
from melody.formats.midi.texts import decode
from melody.formats.musicxml.measures import Measure, time_signatures, whole_bars
from melody.music.general_midi import DRUM_CHANNEL
from melody.music.score import TICKS_PER_QUARTER, Notes, Score, set_notes, shift_signature
from melody.storage.files import read_bytes

MAX_FILE_BYTES = 32 << 20
MAX_TUNE_CHARACTERS = 100_000
MAX_HEADER_CHARACTERS = 20_000
TEN = DRUM_CHANNEL + 1  # ABC counts channels from 1

T = TypeVar("T")


@dataclass(frozen=True)
class TuneReading(Reading):
    """A tune, and at how many places bars have another length than their meter: pickup and end apart, repeats once."""

    wrong_bars: int = 0
    has_errors: bool = False  # characters that mean nothing where they stand


def read_abc(source: str | os.PathLike[str]) -> list[Score]:
    """Return the tunes of an ABC file, or of ABC text (a string with an `X:` line), each named on its first track.

    Raises `UnreadableFile` where there is no tune or one that cannot be read, `LimitExceeded` for giant ones.
    """
    if isinstance(source, str) and re.search(r"^X:", source, re.MULTILINE):
        return [reading.score for reading in parse_abc(source)]
    return [reading.score for reading in read_tunes(source)]


def read_tunes(path: str | os.PathLike[str]) -> list[TuneReading]:
    """Return all tunes of a file with titles and repairs; raises as `read_abc`."""
    return parse_abc(decoded(read_bytes(path, MAX_FILE_BYTES)), os.fspath(path))


def first_tune(data: bytes, name: str) -> Reading:
    """Return the first tune of a file's bytes, with a remark where there are others; raises as `read_abc`."""
    if len(data) > MAX_FILE_BYTES:
        raise LimitExceeded(f"{name}: {len(data):,} bytes; melody reads ABC files up to {MAX_FILE_BYTES:,} bytes")
    header, tunes = _split(decoded(data), name)
    first = _read_tune(header, tunes[0], _tune_name(tunes[0], 1, name))
    if len(tunes) == 1:
        return first
    remark = f"the file holds {len(tunes):,} tunes; read the first, {first.title!r}"
    return replace(first, remarks=(*first.remarks, remark))


def parse_abc(text: str, name: str = "<text>") -> list[TuneReading]:
    """Return all tunes of a text with titles and repairs; `name` stands in messages."""
    result = []
    for tune in each_tune(text, name):
        if isinstance(tune, MelodyError):
            raise tune
        result.append(tune)
    return result


def each_tune(text: str, name: str) -> Iterator[TuneReading | MelodyError]:
    """Yield the tunes of a text, a bad one as its error, so that it costs itself alone.

    Raises `UnreadableFile` where there is none.
    """
    header, tunes = _split(text, name)
    for number, tune in enumerate(tunes, 1):
        try:
            yield _read_tune(header, tune, _tune_name(tune, number, name))
        except MelodyError as error:
            yield error


def split_tunes(text: str) -> list[str]:
    """Return the tunes of a text, each from its `X:` line to the next."""
    return [tune.text for tune in header_and_tunes(text)[1]]


def _split(text: str, name: str) -> tuple[list[Line], list[Tune]]:
    header, tunes = header_and_tunes(text)
    if not tunes:
        raise UnreadableFile(f"{name}: no ABC tune, as no line starts with X:; give each tune a line such as X:1")
    return _header_lines(header[:MAX_HEADER_CHARACTERS]), tunes


def _header_lines(header: str) -> list[Line]:
    """The fields and directives of a file that hold for its tunes (2.2.2): none that belongs to one tune alone."""
    lines = lines_of(Tune(header, 1))
    return [line for line in lines if line.kind in ("%", "I", "L", "M", "Q", "m")]


def _tune_name(tune: Tune, number: int, name: str) -> str:
    label = tune.text[2:].split("\n", 1)[0].split("%")[0].strip()[:20]
    return f"{name}: tune {label if label.isalnum() else number}"


def _read_tune(header: list[Line], tune: Tune, name: str) -> TuneReading:
    if len(tune.text) > MAX_TUNE_CHARACTERS:
        raise LimitExceeded(f"{name}: {len(tune.text):,} characters; melody reads tunes up to {MAX_TUNE_CHARACTERS:,}")
    written = WrittenTune(name, Repairs(), Repairs())
    text = decode(tune.text.encode("utf-8", "replace"), len(tune.text), written.repairs, "tune")
    AbcTuneReader(written).read(header, Tune(text, tune.line))
    voices = [voice for voice in written.voices.values() if voice.notes]
    if not voices:
        raise UnreadableFile(f"{name}: a tune without notes; check that its music follows a K: line")
    parts = order_of_parts(written.parts)
    if parts is None:
        raise LimitExceeded(f"{name}: its P: field asks for over {MAX_PARTS:,} parts, all that melody plays")
    parts = _known_parts(written, voices, parts)
    clock = Clock.of([voice.events for voice in voices])
    played = [play(voice.events, parts, clock, name) for voice in voices]
    if not any(part.notes for part in played):
        raise UnreadableFile(
            f"{name}: a tune without notes of any length, as it is played; check its parts and lengths"
        )
    if sum(len(one.notes) for one in played) > MAX_NOTES:
        raise LimitExceeded(f"{name}: over {MAX_NOTES:,} notes with its repeats, all that melody reads")
    return _reading(written, voices, played, clock)


def _known_parts(written: WrittenTune, voices: list[Voice], parts: list[str]) -> list[str]:
    """Return the parts that there are; where there is none, the tune is played as it stands."""
    known = {event.letter for voice in voices for event in voice.events if isinstance(event, AbcPart)}
    if unknown := sorted(set(parts) - known):
        written.repairs.add(
            "an order of parts that names some which the tune has not; left them out", " ".join(unknown)
        )
    return [part for part in parts if part in known]


# ---- the score -------------------------------------------------------------------------------------------------------


def _reading(written: WrittenTune, voices: list[Voice], played: list[Played], clock: Clock) -> TuneReading:
    score = Score(TICKS_PER_QUARTER)
    for number, (voice, part) in enumerate(zip(voices, played, strict=True)):
        score.tracks.append(_track(written, voice, part, clock, number, len(voices)))
    longest = max(played, key=lambda part: part.end)
    measures = _measures(longest, clock)
    score.time_signatures = time_signatures(measures) or [TimeSignature(0, 4, 4)]
    _set_changes(score, voices, played, clock)
    if len({part.end for part in played}) > 1:
        ends = ", ".join(f"{v.label} {float(clock.quarters(p.end)):g}" for v, p in zip(voices, played, strict=True))
        written.repairs.add("voices of different lengths in quarters; left as they are", ends[:80])
    if (unsung := max(part.unsung for part in played)) > 0:
        written.remarks.add("verses that no repeat comes to; kept those that are sung", str(unsung))
    wrong = _say_wrong_bars(written, longest, measures, clock)
    repairs, remarks = written.repairs.sentences(), written.remarks.sentences()
    if written.left_out:
        what = ", ".join(f"{count:,} {kind}" for kind, count in sorted(written.left_out.items()))
        remarks = (*remarks, f"left out: {what}")
    words = sorted({Text(clock.tick(time), text) for part in played for time, text in part.words if text})
    errors = any("mean nothing" in said for said in repairs)
    return TuneReading(score, repairs, remarks, written.title, tuple(words), wrong_bars=wrong, has_errors=errors)


def _track(written: WrittenTune, voice: Voice, part: Played, clock: Clock, number: int, voices: int) -> Track:
    is_drum = voice.channel == TEN
    channel = voice.channel or number + 1 + (number >= DRUM_CHANNEL)
    program = voice.program if voice.program is not None else written.programs.get(channel, 0)
    label = f"Voice {voice.label}" if voice.label.isdigit() else voice.label
    name = voice.name or (label if voices > 1 else written.title)
    track = Track(name, 0 if is_drum else program, is_drum)
    rows = []
    for start, end, tone in part.notes:
        pitch = written.drums.get((*tone.place, tone.altered), tone.pitch) if is_drum else tone.pitch
        if not 0 <= pitch <= 127:
            written.repairs.add("notes outside the range of MIDI, 0 to 127; left out", f"voice {voice.label}")
            continue
        onset = clock.tick(start)
        rows.append((onset, max(1, clock.tick(end) - onset), pitch, tone.velocity))
    set_notes(track, Notes(*np.array(sorted(rows), np.int64).reshape(-1, 4).T))
    track.lyrics = [TextMeta(clock.tick(time), text) for time, text in part.lyrics]
    return track


def _measures(part: Played, clock: Clock) -> list[Measure]:
    """The measures as played; free meter is one long measure of 4/4, which is cut into bars."""
    result: list[Measure] = []
    before: Meter = (4, 4)
    for length, meter, _ in part.measures:
        measure = Measure(clock.quarters(length), meter or (4, 4))
        if meter is None and before is None:
            measure = measure._replace(length=result.pop().length + measure.length)
        result.append(measure)
        before = meter
    return result


def _say_wrong_bars(written: WrittenTune, part: Played, measures: list[Measure], clock: Clock) -> int:
    """State the bars whose length is not their meter's, but for a pickup and the last; return at how many places.

    Bars in a row are one place, and so is what comes back in a repeat.
    """
    starts = [*accumulate((length for length, _, _ in part.measures), initial=0)]
    bars = whole_bars(measures)
    long: set[int] = set()
    for index, (length, meter, written_at) in enumerate(part.measures):
        if meter and clock.quarters(length) > Fraction(4 * meter[0], meter[1]) and written_at not in long:
            long.add(written_at)
            shown = f"bar {index + 1}: {float(clock.quarters(length)):g} quarters"
            written.repairs.add("a bar longer than its meter; divided it", shown)
    known: set[int] = set()
    places, time, was_wrong = 0, Fraction(0), False
    for number, (quarters, own) in enumerate(bars):
        at = max(0, bisect_right(starts, int(time * clock.units)) - 1)
        _, meter, written_at = part.measures[min(at, len(part.measures) - 1)]
        time += quarters
        full = Fraction(4 * meter[0], meter[1]) if meter else quarters
        is_wrong = 0 < number < len(bars) - 1 and quarters != full
        if is_wrong and written_at not in known:
            known.add(written_at)
            places += not was_wrong
            shown = f"{own[0]}/{own[1]}" if own else f"{float(quarters):g} quarters"
            sentence = "a bar of another length than its meter's; gave it a meter of its own"
            written.repairs.add(sentence, f"bar {number + 1}: {shown}")
        was_wrong = is_wrong
    return places


def _set_changes(score: Score, voices: list[Voice], played: list[Played], clock: Clock) -> None:
    """Set keys, tempos and chord symbols: of what voices say at one tick the first voice's counts."""
    keys: dict[int, tuple[int, int]] = {}
    tempos: dict[int, float] = {}
    symbols: dict[tuple[int, str], None] = {}
    for voice, part in reversed([*zip(voices, played, strict=True)]):
        is_drum = voice.channel == TEN
        for time, change in [] if is_drum else part.keys:
            keys[clock.tick(time)] = shift_signature(change.key.sharps, change.semitones), int(change.key.is_minor)
        tempos |= {clock.tick(time): qpm for time, qpm in part.tempos}
    for part in played:
        symbols |= {(clock.tick(time), text): None for time, text in part.symbols}
    score.key_signatures = [KeySignature(tick, *key) for tick, key in _changes(keys)]
    score.tempos = [Tempo(tick, qpm=qpm) for tick, qpm in _changes(tempos)]
    score.markers = [TextMeta(tick, text) for tick, text in sorted(symbols)]


def _changes(by_tick: Mapping[int, T]) -> Iterator[tuple[int, T]]:
    """Yield what changes, in order of time."""
    before: T | None = None
    for tick, value in sorted(by_tick.items(), key=lambda item: item[0]):
        if value != before:
            yield tick, value
        before = value

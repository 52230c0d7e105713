"""Notes to be written, as one voice of a staff or two."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from symusic import Track

from melody.formats.notation.spelling import Spelled, spelled
from melody.music.score import GRID, notes_of, rescale


class SpelledNote(NamedTuple):
    """A note to be written: its time in ticks, how it is spelled, its velocity, and its pitch as MIDI has it."""

    onset: int
    end: int
    pitch: int
    velocity: int
    written: Spelled
    lyric: tuple[str, str] = ("", "")  # its syllable, and its place in the word as MusicXML calls it


def spelled_notes(track: Track, places: Sequence[int], source: Track, tpq: int) -> list[SpelledNote]:
    """Return the notes of a track, spelled as these places on the line of fifths, with the syllables of its source."""
    rows = zip(*(column.tolist() for column in notes_of(track)), places, strict=True)
    tones = [
        SpelledNote(on, on + length, pitch, loud, spelled(pitch, place)) for on, length, pitch, loud, place in rows
    ]
    syllables = _syllables(source, tpq, [tone.onset for tone in tones])
    return [tone._replace(lyric=syllables.pop(tone.onset, ("", ""))) for tone in tones]


def _syllables(source: Track, tpq: int, onsets: Sequence[int]) -> dict[int, tuple[str, str]]:
    """Return, by onset, the syllables within an eighth of it; those that end with a hyphen go on in the next."""
    result: dict[int, tuple[str, str]] = {}
    goes_on = False
    for lyric in sorted(source.lyrics, key=lambda lyric: lyric.time) if onsets else ():
        text, before = lyric.text.strip(), goes_on
        syllable = text.strip("-/\\ ")
        tick = rescale(max(0, lyric.time), tpq, GRID)
        onset = _nearest(onsets, tick)
        if syllable and not text.startswith("@") and abs(onset - tick) <= GRID // 2:  # @ begins karaoke's own remarks
            goes_on = text.endswith("-")
            result[onset] = syllable, _SYLLABIC[before, goes_on]
    return result


_SYLLABIC = {(False, False): "single", (False, True): "begin", (True, True): "middle", (True, False): "end"}


def _nearest(ascending: Sequence[int], tick: int) -> int:
    after = bisect_left(ascending, tick)
    return min(ascending[max(0, after - 1) : after + 1], key=lambda onset: abs(onset - tick))


def voices(tones: Sequence[SpelledNote]) -> list[list[SpelledNote]]:
    """Return the notes of a staff in a bar as one voice, or as an upper and a lower one where they overlap.

    Where even two voices do not suffice, tones of one voice overlap: they are to be cut and tied.
    """
    upper: list[SpelledNote] = []
    lower: list[SpelledNote] = []
    for cluster in _clusters(tones):
        first, second = _divided(cluster)
        upper += first
        lower += second
    return [upper, lower] if lower else [upper]


def _clusters(tones: Sequence[SpelledNote]) -> list[list[SpelledNote]]:
    """Return the notes in groups that overlap, directly or by way of others."""
    result: list[list[SpelledNote]] = []
    end = -1
    for tone in sorted(tones):
        if tone.onset >= end:
            result.append([])
        result[-1].append(tone)
        end = max(end, tone.end)
    return result


def _divided(cluster: Sequence[SpelledNote]) -> tuple[list[SpelledNote], list[SpelledNote]]:
    chords: dict[tuple[int, int], list[SpelledNote]] = {}
    for tone in cluster:
        chords.setdefault((tone.onset, -tone.end), []).append(tone)
    lines: tuple[list[SpelledNote], list[SpelledNote]] = ([], [])
    until = [0, 0]
    for (onset, end), chord in sorted(chords.items()):
        place = 0 if until[0] <= onset else 1
        if until[place] > onset:  # neither is free: the nearer one is cut
            place = min((0, 1), key=lambda line: abs(lines[line][-1].pitch - chord[0].pitch))
        lines[place].extend(chord)
        until[place] = max(until[place], -end)
    first, second = lines
    if second and _mean(first) < _mean(second):
        first, second = second, first
    return first, second


def _mean(tones: Sequence[SpelledNote]) -> float:
    return sum(tone.pitch for tone in tones) / len(tones)

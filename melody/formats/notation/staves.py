"""Layout of a score: tracks to parts, staves, clefs and voices, in the manner of engravers.

Four single voices of one program in order of pitch, as in a chorale, share two staves; a track that reaches from the
bass into the treble in chords gets the two staves of a piano, its notes given to the hands by dynamic programming; the
kit's feet and hands are two voices. Every other track is a part with one staff, in the clef with fewest ledger lines
that players of its instrument read. Times are grid ticks.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import compress

import numpy as np
from symusic import Track

from melody.formats.notation.clefs import (
    BASS,
    PERCUSSION,
    TREBLE,
    Clef,
    clef_choices,
    clefs_of,
)
from melody.formats.notation.drum_staff import drum
from melody.formats.notation.spelling import spell
from melody.formats.notation.voicing import SpelledNote, spelled_notes
from melody.music.general_midi import BASSES, BRASS, GUITARS, KEYBOARDS, STRINGS, VOCALS, WOODWINDS, default_name
from melody.music.hands import in_left_hand
from melody.music.score import Score, most_at_once, notes_of

CHORALE_VOICES = 4
LOWEST_OCTAVE, HIGHEST_OCTAVE = 0, 9  # of MusicXML
FAMILIES = (VOCALS, STRINGS, BRASS, WOODWINDS)
LEFT_REACHES, RIGHT_REACHES = 57, 62  # what sounds below and above these at once fits no single staff
SHARE = 0.15  # of a track's onsets at which it does


@dataclass(frozen=True)
class Staff:
    """A staff. `lines` are its voices; one with `is_free` may be divided into two wherever notes overlap."""

    clefs: tuple[Clef, ...]  # of each bar
    lines: tuple[tuple[SpelledNote, ...], ...]
    is_free: bool


@dataclass(frozen=True)
class StaffPart:
    """A part of the score: one staff, or two that one brace joins."""

    name: str
    program: int
    is_drum: bool
    staves: tuple[Staff, ...]

    @cached_property
    def raised(self) -> int:
        """Return the octaves by which it is written above its sound: those of MusicXML begin with C0, at 16 Hz."""
        octaves = [tone.written.octave for staff in self.staves for line in staff.lines for tone in line]
        return 0 if self.is_drum else max(0, LOWEST_OCTAVE - min(octaves, default=LOWEST_OCTAVE))


def parts_of(score: Score, given: Score, lines: Sequence[int], open_score: bool = False) -> list[StaffPart]:
    """Return the parts of a quantised score; names and syllables come from the score as it was given.

    `lines` are the ticks of the bar lines; `open_score` keeps every track on its own. A track that has both the lowest
    and the highest pitches of MIDI, which no octave of MusicXML holds together, becomes two parts.
    """
    sources = [track for track in given.tracks if len(track.notes)]
    notes = [
        spelled_notes(track, places.tolist(), source, given.tpq)
        for track, places, source in zip(score.tracks, spell(score), sources, strict=True)
    ]
    names = [source.name for source in sources]
    if _is_chorale(score) and not open_score:
        return [_chorale(score.tracks[0].program, names, notes, len(lines) - 1)]
    return [
        _part(own_name, track, own, lines)
        for name, track, tones in zip(names, score.tracks, notes, strict=True)
        for own_name, own in _within_octaves(name or default_name(track.program, track.is_drum), track.is_drum, tones)
    ]


def _within_octaves(name: str, is_drum: bool, tones: list[SpelledNote]) -> list[tuple[str, list[SpelledNote]]]:
    """Return the notes of a track by part: those too low for MusicXML apart where raised ones would be too high."""
    octaves = [tone.written.octave for tone in tones]
    if is_drum or min(octaves) >= LOWEST_OCTAVE or max(octaves) - min(octaves) <= HIGHEST_OCTAVE - LOWEST_OCTAVE:
        return [(name, tones)]
    low = [tone for tone in tones if tone.written.octave < LOWEST_OCTAVE]
    return [(name, [tone for tone in tones if tone.written.octave >= LOWEST_OCTAVE]), (f"{name} (low)", low)]


def groups_of(parts: Sequence[StaffPart]) -> list[tuple[int, int, str]]:
    """Return neighbours that belong together, as (first, last, "brace" for two hands or "bracket" for a section)."""
    result: list[tuple[int, int, str]] = []
    first = 0
    for index in range(1, len(parts) + 1):
        if index < len(parts) and _belong_together(parts[first], parts[index]):
            continue
        if index - first > 1:
            result.append((first, index - 1, "brace" if parts[first].program in KEYBOARDS else "bracket"))
        first = index
    return result


def _belong_together(first: StaffPart, other: StaffPart) -> bool:
    """Tell whether both are voices of a choir, players of a section, or by their names staves of one keyboard."""
    if first.is_drum or other.is_drum:
        return False
    if first.program in KEYBOARDS:
        names = {_HANDS.sub("", part.name.casefold()).strip() for part in (first, other)}
        return first.program == other.program and len(names) == 1 and len(first.staves) == len(other.staves) == 1
    return any(first.program in family and other.program in family for family in FAMILIES)


_HANDS = re.compile(r"\b(?:[rl]\.?h\.?|right|left|hand|upper|lower|treble|bass|[12]|i{1,2})(?=\W|$)|[^\w\s]")


# ---- parts -----------------------------------------------------------------------------------------------------------


def _is_chorale(score: Score) -> bool:
    """Tell whether there are four single voices of one program, each above the next and in the range of voices."""
    if len(score.tracks) != CHORALE_VOICES or any(track.is_drum for track in score.tracks):
        return False
    notes = [notes_of(track) for track in score.tracks]
    means = [float(n.pitch.mean()) for n in notes]
    return (
        len({track.program for track in score.tracks}) == 1
        and all(most_at_once(n) == 1 for n in notes)
        and means == sorted(means, reverse=True)
        and all(lowest <= mean <= lowest + 19 for mean, lowest in zip(means, (60, 53, 47, 38), strict=True))
    )


def _chorale(program: int, names: Sequence[str], tones: Sequence[Sequence[SpelledNote]], bar_count: int) -> StaffPart:
    lines = [tuple(line) for line in tones]
    name = ", ".join(name for name in names if name) or default_name(program, False)
    upper = Staff((TREBLE,) * bar_count, tuple(lines[:2]), False)
    lower = Staff((BASS,) * bar_count, tuple(lines[2:]), False)
    return StaffPart(name, program, False, (upper, lower))


def _part(name: str, track: Track, tones: Sequence[SpelledNote], lines: Sequence[int]) -> StaffPart:
    if track.is_drum:
        hands = tuple(tone for tone in tones if not drum(tone.pitch).by_foot)
        feet = tuple(tone for tone in tones if drum(tone.pitch).by_foot)
        return StaffPart(name, 0, True, (Staff((PERCUSSION,) * (len(lines) - 1), (hands, feet), False),))
    if _needs_two_staves(tones, track.program):
        in_left = in_left_hand([tone.onset for tone in tones], [tone.pitch for tone in tones])
        right, left = (tuple(sorted(compress(tones, hand))) for hand in (~in_left, in_left))
        staves = [
            Staff(clefs_of(choices, hand, lines), (hand,), True)
            for choices, hand in (((TREBLE, BASS), right), ((BASS, TREBLE), left))
        ]
        return StaffPart(name, track.program, False, tuple(staves))
    clefs = clefs_of(clef_choices(name, track.program, tones), tones, lines)
    return StaffPart(name, track.program, False, (Staff(clefs, (tuple(tones),), True),))


def _needs_two_staves(tones: Sequence[SpelledNote], program: int) -> bool:
    """Tell whether bass and treble sound at once at a fair share of the onsets."""
    if program in GUITARS or program in BASSES:
        return False
    onsets, ends, pitches = (np.array([getattr(tone, name) for tone in tones]) for name in ("onset", "end", "pitch"))
    ticks = np.unique(onsets)
    sounding = [
        np.searchsorted(np.sort(onsets[side]), ticks, side="right")
        - np.searchsorted(np.sort(ends[side]), ticks, "right")
        for side in (pitches < LEFT_REACHES, pitches > RIGHT_REACHES)
    ]
    return float(((sounding[0] > 0) & (sounding[1] > 0)).mean()) > SHARE

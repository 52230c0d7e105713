"""Which of the musician's notes go to which of the model's tracks.

Tracks are matched by range, fullness and name, see `melody.generation.primer.matching`, but where the musician says
which goes where. Where a model writes single lines and has more of them than the primer has tracks, a track of chords
is read as several voices: a melody with its piano becomes four voices for a model of chorales, and what the model
composes in the lower three goes back to the piano.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from symusic import Track

from melody.bundle import TrackInfo
from melody.generation.primer.matching import Shape, match, name_likeness, shape_of, voices_of
from melody.music.score import Ints, Notes, most_at_once, notes_of

CHORDS_FROM = 1.25  # notes at once on average; with fewer a track is a single line, some of whose notes overlap


class Line(NamedTuple):
    """Notes of a track (all, or one voice of them), and the track's index."""

    track: int
    notes: Notes


def place_lines(
    tracks: Sequence[Track],
    wanted: Sequence[TrackInfo],
    names: Sequence[str] = (),
    asked: Mapping[int, Sequence[int]] | None = None,
) -> dict[int, Line]:
    """For each place of the model in use the line on it: pitched on pitched, drums on drums.

    `names` are what the tracks are called, one for each; `asked` says of some tracks to which places they go, each a
    voice. All others are matched; a single line without any other goes to the highest place of single lines in whose
    range it lies.
    """
    asked = asked or {}
    taken = {place for places in asked.values() for place in places}
    result = {place: line for track, at in asked.items() for place, line in _as_asked(track, at, tracks, wanted)}
    for drums in (False, True):
        places = {place: info for place, info in enumerate(wanted) if info.drums == drums and place not in taken}
        mine = {i: notes_of(t) for i, t in enumerate(tracks) if bool(t.is_drum) == drums and i not in asked}
        single = all(info.polyphony == 1 for info in wanted if info.drums == drums)
        counts = share_out({i: _voices(notes) for i, notes in mine.items()}, len(places) if single else 0)
        lines = [Line(i, voice) for i, notes in mine.items() for voice in split(notes, counts[i]) if len(voice.onset)]
        result |= {place: lines[number] for place, number in _matched(places, lines, names, not asked).items()}
    return dict(sorted(result.items()))


def _voices(notes: Notes) -> int:
    """As how many voices a track could be read."""
    return most_at_once(notes) if voices_of(notes) >= CHORDS_FROM else 1


def _as_asked(
    track: int, places: Sequence[int], tracks: Sequence[Track], wanted: Sequence[TrackInfo]
) -> list[tuple[int, Line]]:
    """A track on the places asked for, as so many voices from high to low."""
    high_to_low = sorted(places, key=lambda place: -wanted[place].mean)
    voices = split(notes_of(tracks[track]), len(places))
    return [(place, Line(track, v)) for place, v in zip(high_to_low, voices, strict=True) if len(v.onset)]


def _matched(
    places: Mapping[int, TrackInfo], lines: Sequence[Line], names: Sequence[str], all_of_it: bool
) -> dict[int, int]:
    """The number of the line on each place in use; `all_of_it`: there are no other lines."""
    called = [names[line.track] if line.track < len(names) else "" for line in lines]
    shapes = [shape_of(line.notes) for line in lines]
    known = any(name_likeness(name, info.name) for name in called for info in places.values())
    if all_of_it and len(lines) == 1 and not known and (alone := _alone(places, shapes[0])) is not None:
        return {alone: 0}
    numbers = list(places)
    return {numbers[place]: line for place, line in match(shapes, list(places.values()), called).items()}


def _alone(places: Mapping[int, TrackInfo], shape: Shape) -> int | None:
    """Where a single line goes that is alone: a melody is rarely meant as a middle voice, nor as a pianist's hand."""
    if shape.voices >= CHORDS_FROM:
        return None
    fitting = [p for p, info in places.items() if info.lowest <= shape.lowest and shape.highest <= info.highest]
    return min(fitting, key=lambda place: (places[place].polyphony, -places[place].mean), default=None)


def share_out(polyphony: Mapping[int, int], places: int) -> dict[int, int]:
    """How many voices each track is read as: one, and more of the fullest as long as there are places."""
    counts = dict.fromkeys(polyphony, 1)
    while counts and sum(counts.values()) < places:
        fullest = max(counts, key=lambda index: polyphony[index] - counts[index])
        if polyphony[fullest] <= counts[fullest]:
            break
        counts[fullest] += 1
    return counts


def split(notes: Notes, count: int) -> list[Notes]:
    """A track of chords as `count` single lines from high to low; notes between are left out where there are more."""
    if count == 1:
        return [notes]
    voices: list[list[int]] = [[] for _ in range(count)]  # positions in notes
    latest = np.linspace(notes.pitch.max(), notes.pitch.min(), count)  # pitch of each voice
    for onset in np.unique(notes.onset):
        chord = np.flatnonzero(notes.onset == onset)
        chord = chord[np.argsort(-notes.pitch[chord], kind="stable")]
        if len(chord) > count:
            chord = chord[np.linspace(0, len(chord) - 1, count).round().astype(int)]  # top, bottom, some between
        chosen = match_in_order(dict(enumerate(latest)), {int(i): float(notes.pitch[i]) for i in chord})
        for voice, position in chosen.items():
            voices[voice].append(position)
            latest[voice] = notes.pitch[position]
    return [_one_at_a_time(notes.take(np.array(voice, np.int64))) for voice in voices]


def _one_at_a_time(notes: Notes) -> Notes:
    """Each note ends where the next of its line begins."""
    until_next: Ints = np.append(np.diff(notes.onset), notes.duration[-1:])
    return notes._replace(duration=np.minimum(notes.duration, until_next))


def match_in_order(places: Mapping[int, float], tracks: Mapping[int, float]) -> dict[int, int]:
    """Match all of the fewer to some of the more, high to low without crossing, at the least sum of distances.

    Both map an index to a mean pitch. By dynamic programming: the best way to match the first i with the first j.
    """
    if len(places) > len(tracks):
        return {place: track for track, place in match_in_order(tracks, places).items()}
    few, many = (sorted(x, key=lambda index: -x[index]) for x in (places, tracks))
    best: list[tuple[float, tuple[int, ...]]] = [(0.0, ())] * (len(many) + 1)
    for place in few:
        row: list[tuple[float, tuple[int, ...]]] = [(np.inf, ())]
        for track, (cost, chosen) in zip(many, best, strict=False):
            row.append(min(row[-1], (cost + abs(places[place] - tracks[track]), (*chosen, track))))
        best = row
    return dict(zip(few, best[-1][1], strict=True))

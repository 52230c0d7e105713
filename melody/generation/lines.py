"""Which of the musician's notes go to which of the model's tracks.

Tracks are matched by pitch from high to low. Where a model writes single lines and has more of them than the primer has
tracks, a track of chords is read as several voices: a melody with its piano becomes four voices for a model of
chorales, and what the model composes in the lower three goes back to the piano.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from symusic import Track

from melody.bundle import TrackInfo
from melody.score import Ints, Notes, most_at_once, notes_of


class Line(NamedTuple):
    """Notes of a track (all, or one voice of them), and the track's index."""

    track: int
    notes: Notes


def place_lines(tracks: Sequence[Track], wanted: Sequence[TrackInfo], names: Sequence[str] = ()) -> dict[int, Line]:
    """For each place of the model in use the line on it: pitched on pitched, drums on drums.

    A track of a place's name, in `names` one for each track, goes there; a line alone to the highest place in whose
    range it lies; all others by their pitch.
    """
    result: dict[int, Line] = {}
    for drums in (False, True):
        places = {place: info for place, info in enumerate(wanted) if info.drums == drums}
        mine = {i: notes_of(track) for i, track in enumerate(tracks) if bool(track.is_drum) == drums}
        single = all(info.polyphony == 1 for info in places.values())
        counts = share_out({i: most_at_once(notes) for i, notes in mine.items()}, len(places) if single else 0)
        lines = [Line(i, voice) for i, notes in mine.items() for voice in split(notes, counts[i]) if len(voice.onset)]
        matched = _by_name(places, lines, names) or _alone(places, lines)
        means = {n: float(np.mean(line.notes.pitch)) for n, line in enumerate(lines) if n not in matched.values()}
        matched |= match_in_order({place: info.mean for place, info in places.items() if place not in matched}, means)
        result |= {place: lines[number] for place, number in matched.items()}
    return result


def _by_name(places: Mapping[int, TrackInfo], lines: Sequence[Line], names: Sequence[str]) -> dict[int, int]:
    """The lines whose track has the name of a place, and no other line nor another track of that name."""
    called = [names[line.track].strip().casefold() if line.track < len(names) else "" for line in lines]
    wanted = {info.name.casefold(): place for place, info in places.items()}
    return {wanted[name]: n for n, name in enumerate(called) if name in wanted and called.count(name) == 1}


def _alone(places: Mapping[int, TrackInfo], lines: Sequence[Line]) -> dict[int, int]:
    """A line alone on the highest place in whose range it lies: a melody is rarely meant as a middle voice."""
    if len(lines) != 1:
        return {}
    pitch = lines[0].notes.pitch
    highest_first = sorted(places, key=lambda place: -places[place].mean)
    fitting = [p for p in highest_first if places[p].lowest <= pitch.min() and pitch.max() <= places[p].highest]
    return {fitting[0]: 0} if fitting else {}


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

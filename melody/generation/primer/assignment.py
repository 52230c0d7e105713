"""Assignment: which of the musician's notes go to which of the model's tracks.

The musician may say it (`--map Lead=Soprano`, see `parse_mapping`). All other tracks are matched by range, fullness
and name. A misfit is counted in semitones: how far the mean pitches lie apart, how far the line leaves the track's
range, and how much fuller or thinner it is; a name in common makes up for much, the very same name for all. Where
nothing else decides, high goes to high and first to first. The matching with the least sum is found by the Hungarian
method.

The places of a band are known by their roles: a bass goes to the bass, and a line of another role costs as much as a
name counts for, less where the roles are related (`RELATED`).

The places of a keyboard are its two hands: one track is divided between them as a player would.

Where a model writes single lines and has more of them than the primer has tracks, a track of chords is read as several
voices: a melody with its piano becomes four voices for a model of chorales, and what the model composes in the lower
three goes back to the piano.
"""

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from symusic import Track

from melody.bundle import HAND, Bundle, TrackInfo
from melody.errors import UsageError
from melody.generation.primer.hungarian import assign
from melody.generation.ranges import find_track, named
from melody.music.hands import in_left_hand
from melody.music.roles import roles_of_tracks
from melody.music.score import GRID, Ints, Notes, Score, most_at_once, notes_of

Asked = Mapping[str, tuple[str, ...]]  # the model's tracks of each of the musician's

TWICE_AS_FULL = 9.0  # semitones that twice as many notes at once, or half as many, count for
NAME_ALIKE = 24.0
NAME_EQUAL = 200.0
SURE = 1e4  # for a line that must get a place where there are too few
PEAK = 3  # in the fullest moment of a corpus a track of chords sounds about so many times as full as it usually does
FIRST_LETTERS = 3  # that two words must share at least
CALLED = {
    "melody": "canto gesang lead solo song theme tune vocal vocals voice voix",
    "piano": "keyboard keys klavier pianoforte pno",
    "soprano": "cantus descant discant treble",
    "drums": "beat groove kit percussion schlagzeug",
}
_MEANING = {word: meaning for meaning, words in CALLED.items() for word in words.split()}
OTHER_ROLE = 48.0  # semitones that a place of another role counts for
RELATED = {  # and of a related one
    frozenset({"chords", "guitar"}): 10.0,
    frozenset({"chords", "pad"}): 10.0,
    frozenset({"guitar", "pad"}): 16.0,
    frozenset({"chords", "arpeggio"}): 14.0,
    frozenset({"guitar", "arpeggio"}): 16.0,
    frozenset({"lead", "arpeggio"}): 16.0,
    frozenset({"lead", "guitar"}): 20.0,
    frozenset({"lead", "other"}): 14.0,
}
CHORDS_FROM = 1.25  # notes at once on average; with fewer a track is a single line, some of whose notes overlap


class PlacedLine(NamedTuple):
    """Notes of a track (all, or one voice of them), the track's index, and its role in a band where that counts."""

    track: int
    notes: Notes
    role: str = ""


class Shape(NamedTuple):
    """Features of a line that decide on its place: pitches, and how many notes sound at once while any does."""

    lowest: int
    highest: int
    mean: float
    voices: float


def place_lines(
    tracks: Sequence[Track],
    wanted: Sequence[TrackInfo],
    names: Sequence[str] = (),
    asked: Mapping[int, Sequence[int]] | None = None,
    empty: Collection[int] = (),
    sure: Collection[int] = (),
) -> dict[int, PlacedLine]:
    """For each place of the model in use the line on it: pitched on pitched, drums on drums.

    `names` are what the tracks are called, one for each; `asked` says of some tracks to which places they go, each a
    voice; places that are to stay `empty` get none. All others are matched; a single line without any other goes to the
    highest place of single lines in whose range it lies. Where there are too few places those that are `sure` get one.
    """
    asked = asked or {}
    roles = roles_by_name(tracks, names) if any(info.role for info in wanted) else [""] * len(tracks)
    taken = {*empty, *(place for places in asked.values() for place in places)}
    result = {place: line for track, at in asked.items() for place, line in _as_asked(track, at, tracks, wanted)}
    if not taken and is_keyboard(wanted) and (hands := _hands(tracks, wanted)):
        return hands
    for drums in (False, True):
        places = {place: info for place, info in enumerate(wanted) if info.drums == drums and place not in taken}
        mine = {i: notes_of(t) for i, t in enumerate(tracks) if bool(t.is_drum) == drums and i not in asked}
        single = all(info.polyphony == 1 for info in wanted if info.drums == drums)
        counts = share_out({i: _voices(notes) for i, notes in mine.items()}, len(places) if single else 0)
        voices = [(i, voice) for i, notes in mine.items() for voice in split(notes, counts[i])]
        lines = [PlacedLine(i, voice, roles[i]) for i, voice in voices if len(voice.onset)]
        found = _matched(places, lines, names, not asked, sure)
        result |= {place: lines[number] for place, number in found.items()}
    return dict(sorted(result.items()))


def roles_by_name(tracks: Sequence[Track], names: Sequence[str]) -> list[str]:
    """Return the roles of tracks on the grid that have lost their names."""
    called = [track.copy() for track in tracks]
    for track, name in zip(called, names, strict=False):
        track.name = name
    return [found.role for found in roles_of_tracks(called, GRID)]


def is_keyboard(wanted: Sequence[TrackInfo]) -> bool:
    """Return True for a model whose places are the two hands at one keyboard."""
    return [info.role for info in wanted] == [HAND, HAND]


def _hands(tracks: Sequence[Track], wanted: Sequence[TrackInfo]) -> dict[int, PlacedLine]:
    """The hands of a single pitched track, or of two, of which the higher one is the right; none of other numbers."""
    mine = {index: notes_of(track) for index, track in enumerate(tracks) if not track.is_drum}
    right, left = sorted(range(2), key=lambda place: -wanted[place].mean)
    if len(mine) == 2:
        high, low = sorted(mine, key=lambda index: -float(np.mean(mine[index].pitch)))
        return {right: PlacedLine(high, mine[high]), left: PlacedLine(low, mine[low])}
    if len(mine) != 1:
        return {}
    ((track, notes),) = mine.items()
    in_left = in_left_hand(notes.onset, notes.pitch)
    parts = {right: notes.take(np.flatnonzero(~in_left)), left: notes.take(np.flatnonzero(in_left))}
    return {place: PlacedLine(track, part) for place, part in sorted(parts.items()) if len(part.onset)}


def _voices(notes: Notes) -> int:
    """Return the most voices that a track can be read as."""
    return most_at_once(notes) if voices_of(notes) >= CHORDS_FROM else 1


def _as_asked(
    track: int, places: Sequence[int], tracks: Sequence[Track], wanted: Sequence[TrackInfo]
) -> list[tuple[int, PlacedLine]]:
    """A track on the places asked for, as so many voices from high to low."""
    high_to_low = sorted(places, key=lambda place: -wanted[place].mean)
    voices = split(notes_of(tracks[track]), len(places))
    return [(place, PlacedLine(track, v)) for place, v in zip(high_to_low, voices, strict=True) if len(v.onset)]


def _matched(
    places: Mapping[int, TrackInfo],
    lines: Sequence[PlacedLine],
    names: Sequence[str],
    all_of_it: bool,
    sure: Collection[int],
) -> dict[int, int]:
    """The number of the line on each place in use; `all_of_it`: there are no other lines."""
    called = [names[line.track] if line.track < len(names) else "" for line in lines]
    shapes = [shape_of(line.notes) for line in lines]
    known = any(name_likeness(name, info.name) for name in called for info in places.values())
    if all_of_it and len(lines) == 1 and not known and (alone := _alone(places, shapes[0])) is not None:
        return {alone: 0}
    numbers = list(places)
    roles = [line.role for line in lines]
    first = [number for number, line in enumerate(lines) if line.track in sure]
    return {numbers[place]: line for place, line in match(shapes, list(places.values()), called, roles, first).items()}


def _alone(places: Mapping[int, TrackInfo], shape: Shape) -> int | None:
    """The place of a single line that is alone: a melody is rarely a middle voice or a pianist's hand."""
    if shape.voices >= CHORDS_FROM:
        return None
    fitting = [p for p, info in places.items() if info.lowest <= shape.lowest and shape.highest <= info.highest]
    return min(fitting, key=lambda place: (places[place].polyphony, -places[place].mean), default=None)


def share_out(polyphony: Mapping[int, int], places: int) -> dict[int, int]:
    """Return the number of voices of each track: one, and more for the fullest as long as there are places."""
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


# ---- by fit ---------------------------------------------------------------------------------------------------------


def shape_of(notes: Notes) -> Shape:
    """The shape of a line that has notes."""
    pitch = notes.pitch
    return Shape(int(pitch.min()), int(pitch.max()), float(np.mean(pitch)), voices_of(notes))


def voices_of(notes: Notes) -> float:
    """Return how many notes sound at once on average: 1 for a single line, about 3 for a pianist."""
    if not len(notes.onset):
        return 0.0
    order = np.argsort(notes.onset, kind="stable")
    onset = notes.onset[order]
    reach: Ints = np.maximum.accumulate(onset + notes.duration[order])
    heard = reach[0] - onset[0] + np.sum(reach[1:] - np.maximum(onset[1:], reach[:-1]))
    return float(notes.duration.sum() / max(1, heard))


def misfit(shape: Shape, info: TrackInfo) -> float:
    """Return how badly a line fits a track of the model, in semitones."""
    outside = max(0, info.lowest - shape.lowest) + max(0, shape.highest - info.highest)
    fuller = abs(np.log2(shape.voices / max(1, info.polyphony / PEAK)))
    return abs(shape.mean - info.mean) + outside + TWICE_AS_FULL * float(fuller)


def match(
    shapes: Sequence[Shape],
    infos: Sequence[TrackInfo],
    names: Sequence[str],
    roles: Sequence[str] = (),
    first: Sequence[int] = (),
) -> dict[int, int]:
    """For tracks of the model the line that goes there: all of the fewer, at the least misfit together.

    `names` has one for each line; several lines of one name are no better known by it than by a like one. Where places
    are the fewer, the lines that come `first` get one.
    """
    if not shapes or not infos:
        return {}
    costs = np.array([[misfit(shape, info) for shape in shapes] for info in infos])  # (places, lines)
    apart = np.array([[shape.mean - info.mean for shape in shapes] for info in infos])
    steps = np.arange(len(infos))[:, None] - np.arange(len(shapes))
    costs += 1e-5 * apart**2 + 1e-8 * steps**2  # both bend the sums, so that of equal ones the uncrossed is the least
    for line, name in enumerate(names):
        for place, info in enumerate(infos):
            costs[place, line] -= name_likeness(name, info.name, names.count(name) == 1)
    for line, role in enumerate(roles):
        for place, info in enumerate(infos):
            costs[place, line] += role_misfit(role, info.role)
    if len(infos) < len(shapes):
        costs[:, list(first)] -= SURE
    return assign(costs)


def role_misfit(role: str, wanted: str) -> float:
    """Return what a role counts for on the place of another, in semitones; nothing where places have no roles."""
    if not (role and wanted) or role == wanted:
        return 0.0
    return RELATED.get(frozenset({role, wanted}), OTHER_ROLE)


def name_likeness(name: str, wanted: str, alone: bool = True) -> float:
    """Return the weight of a name: most for the very same, much for a similar one (Sop., Melodie)."""
    if alone and name.strip().casefold() == wanted.strip().casefold():
        return NAME_EQUAL
    pairs = ((one, other) for one in _words(name) for other in _words(wanted))
    return NAME_ALIKE if any(_alike(one, other) for one, other in pairs) else 0.0


def _words(name: str) -> list[str]:
    """The words of a name in plain small letters, each said in melody's own word where it has one."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", name.casefold()) if not unicodedata.combining(c))
    return [_MEANING.get(word, word) for word in re.findall(r"[^\W\d_]+", plain)]


def _alike(one: str, other: str) -> bool:
    """Return True where one word begins like the other, up to the last letter of the shorter."""
    shorter = min(len(one), len(other))
    needed = max(FIRST_LETTERS, shorter - 1)
    return shorter >= needed and one[:needed] == other[:needed]


# ---- as the musician says -------------------------------------------------------------------------------------------


def parse_mapping(texts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """``["Lead=Soprano", "2=Alto", "2=Bass"]`` as ``{"Lead": ("Soprano",), "2": ("Alto", "Bass")}``.

    Raises `UsageError`.
    """
    result: dict[str, tuple[str, ...]] = {}
    for text in texts:
        track, equals, place = (part.strip() for part in text.rpartition("="))
        if not (equals and track and place):
            raise UsageError(f"`mapping` {text}: write it as Lead=Soprano, or 2=1 for your second track and its first")
        result[track] = (*result.get(track, ()), place)
    return result


def places_asked(mapping: Asked, primer: Score, bundle: Bundle) -> dict[int, tuple[int, ...]]:
    """The model's places of each track of the primer that `mapping` names, by index.

    Raises `UsageError` for a track that is not there or has no notes, for drums and pitches that would meet, and for
    two tracks on one place.
    """
    names, infos = [track.name for track in primer.tracks], bundle.tracks
    result: dict[int, tuple[int, ...]] = {}
    owner: dict[int, int] = {}  # of each place, the track
    for wanted, places in mapping.items():
        track = find_track(names, wanted, "map")
        mine = named(names, track)
        if not len(primer.tracks[track].notes):
            raise UsageError(f"map {wanted}: {mine} has no notes to go on from; leave it out")
        for text in places:
            place = find_track([info.name for info in infos], text, f"map {wanted} to {bundle.name}'s")
            if bool(primer.tracks[track].is_drum) != infos[place].drums:
                raise UsageError(
                    f"map {wanted}={text}: {mine} is {_kind(primer.tracks[track].is_drum)}, "
                    f"{infos[place].name} {_kind(infos[place].drums)}; map like to like"
                )
            if place in owner:
                raise UsageError(f"map {wanted}={text}: {named(names, owner[place])} goes there already; choose one")
            owner[place] = track
            result[track] = (*result.get(track, ()), place)
    return result


def with_drums_asked(primer: Score, mapping: Asked, bundle: Bundle) -> Score:
    """Return the primer in which those tracks are drums that `mapping` sends to drums: ``--map Beats=Drums``.

    Files do not always say so; the musician does. Raises `UsageError` for names that are not there.
    """
    result, names = primer.copy(), [info.name for info in bundle.tracks]
    for wanted, places in mapping.items():
        track = find_track([track.name for track in primer.tracks], wanted, "map")
        found = [find_track(names, text, f"map {wanted} to {bundle.name}'s") for text in places]
        if all(bundle.tracks[place].drums for place in found):
            result.tracks[track].is_drum = True
    return result


def _kind(drums: bool) -> str:
    return "drums" if drums else "pitched"

"""Tracks of a band or a song in numbers: what returns in each, how much it plays, and in which range.

A track counts in the pieces in which it sounds in the last four bars before what is counted. Between the tracks stand
what they make of the harmony (chords as `melody.music.heard_chords` hears them in half bars): the bass has the root,
others, each and together, have a tone of the chord, and semitones between two tracks clash.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from melody.bundle import TrackInfo
from melody.evaluation.form import NEARLY, Excerpt, Statistic, mean_of
from melody.music.chords import OCTAVE, Chord
from melody.music.heard_chords import heard
from melody.music.score import Notes
from melody.tokens.plan import DRUM_HIT, key_of, likeness

LAST = 4  # bars
BEYOND = 5  # semitones
FEW = 8  # notes
FEW_IN = 16  # bars

Table = NDArray[np.int64]  # (N, 4): track, onset, duration, pitch of pitched notes, in order of onset


def statistics_of(tracks: Sequence[TrackInfo]) -> dict[str, Statistic]:
    """The statistics of each track, by its name, and of all together."""
    result: dict[str, Statistic] = {}
    for number, track in enumerate(tracks):
        result[f"{track.name}: bars that nearly return"] = partial(nearly_returns, track=number)
        result[f"{track.name}: bars of silence"] = partial(silence, track=number)
        result[f"{track.name}: notes a bar"] = partial(notes_a_bar, track=number)
        if not track.drums:
            result[f"{track.name}: range in semitones"] = partial(range_of, track=number)
            result[f"{track.name}: leaves its range by more than {BEYOND}"] = partial(leaves_range, track=number)
    basses = {number for number, track in enumerate(tracks) if track.role == "bass"}
    if basses:
        result["bass on the root, on strong beats"] = partial(_tones, tracks=basses, fits=_is_root)
    if sum(not track.drums for track in tracks) > 1:
        others = {number for number, track in enumerate(tracks) if not track.drums} - basses
        for number in sorted(others):
            name = f"{tracks[number].name}: chord tones, on strong beats"
            result[name] = partial(_tones, tracks={number}, fits=_is_tone)
        result["chord tones of the others, on strong beats"] = partial(_tones, tracks=others, fits=_is_tone)
        result["notes a semitone from another track's"] = clashes
    return result


def _sounding(excerpts: Sequence[Excerpt], track: int) -> Iterator[Excerpt]:
    """The excerpts in which a track sounds right before what is counted."""
    for one in excerpts:
        last = one.bars[max(0, one.start - LAST) : one.start]
        if any(event[1] == track for bar in last for event in bar):
            yield one


def nearly_returns(excerpts: Sequence[Excerpt], track: int) -> float:
    """The share of a track's bars that are nearly as some bar of it before."""
    return mean_of(
        max((likeness(keys[i], keys[j]) for j in range(i)), default=0) >= NEARLY
        for one in excerpts
        for keys in [[key_of(bar, {track}) for bar in one.bars]]
        for i in one.counted
        if keys[i]
    )


def silence(excerpts: Sequence[Excerpt], track: int) -> float:
    """The share of bars in which nothing of a track begins."""
    return mean_of(
        all(event[1] != track for event in one.bars[bar]) for one in _sounding(excerpts, track) for bar in one.counted
    )


def notes_a_bar(excerpts: Sequence[Excerpt], track: int) -> float:
    """Notes of a track in a bar."""
    return mean_of(
        sum(event[1] == track for event in one.bars[bar]) for one in _sounding(excerpts, track) for bar in one.counted
    )


def _pitches(one: Excerpt, track: int, bars: Sequence[int]) -> list[int]:
    return [event[2] for bar in bars for event in one.bars[bar] if event[1] == track and event[2] < DRUM_HIT]


def range_of(excerpts: Sequence[Excerpt], track: int) -> float:
    """Semitones from the lowest to the highest note of a track."""
    played = (_pitches(one, track, one.counted) for one in _sounding(excerpts, track))
    return mean_of(max(pitches) - min(pitches) for pitches in played if pitches)


def leaves_range(excerpts: Sequence[Excerpt], track: int) -> float:
    """The share of pieces in which a track goes beyond the range that it had before."""
    found = []
    for one in _sounding(excerpts, track):
        before, after = (_pitches(one, track, bars) for bars in (range(one.start), one.counted))
        if before and after:
            found.append(min(after) < min(before) - BEYOND or max(after) > max(before) + BEYOND)
    return mean_of(found)


def hardly_plays(excerpts: Sequence[Excerpt], track: int) -> float:
    """The share of pieces in whose first bars a track has few notes."""
    return mean_of(sum(event[1] == track for bar in one.bars[:FEW_IN] for event in bar) < FEW for one in excerpts)


# ---- between tracks --------------------------------------------------------------------------------------------------


def _table(one: Excerpt) -> Table:
    rows = [
        (track, bar * one.bar_ticks + place, duration, hit)
        for bar, events in enumerate(one.bars)
        for place, track, hit, _, duration in events
        if hit < DRUM_HIT and place < one.bar_ticks
    ]
    return np.array(rows, np.int64).reshape(-1, 4)


def _chord(value: int) -> Chord:
    quality, root = divmod(value - 1, OCTAVE)
    return Chord(root, quality, root)


def _is_root(chord: Chord, pitch: int) -> bool:
    return pitch % OCTAVE == chord.root


def _is_tone(chord: Chord, pitch: int) -> bool:
    return pitch % OCTAVE in chord.classes


def _tones(excerpts: Sequence[Excerpt], tracks: set[int], fits: Callable[[Chord, int], bool]) -> float:
    """The share of notes of some tracks, begun on the first beat or in the middle of a bar, that fit its chord."""
    found = []
    for one in excerpts:
        table, half = _table(one), one.bar_ticks // 2
        if not len(table):
            continue
        notes = Notes(table[:, 1], table[:, 2], table[:, 3], np.full(len(table), 80))
        chords = heard(notes, np.arange(0, len(one.bars) * one.bar_ticks + 1, half))[:, 0].tolist()
        for track, onset, _, pitch in table.tolist():
            if track in tracks and onset % half == 0 and onset >= one.start * one.bar_ticks and chords[onset // half]:
                found.append(fits(_chord(chords[onset // half]), pitch))
    return mean_of(found)


def clashes(excerpts: Sequence[Excerpt]) -> float:
    """The share of notes that begin a semitone (or octaves more) from a note of another track that sounds then."""
    found = []
    for one in excerpts:
        table = _table(one)
        for track, onset, _, pitch in table[table[:, 1] >= one.start * one.bar_ticks].tolist():
            sounds = (table[:, 1] <= onset) & (onset < table[:, 1] + table[:, 2]) & (table[:, 0] != track)
            found.append(bool(np.isin((table[sounds, 3] - pitch) % OCTAVE, (1, OCTAVE - 1)).any()))
    return mean_of(found)

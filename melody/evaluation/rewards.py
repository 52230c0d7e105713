"""Rewards: what composed music earns, and where, for a model that learns from it.

A reward reads the new bars of a piece and gives pairs of a tick (of the grid, where the note or bar stands) and a
value, good ones above 0. A pair without a tick is earned by the whole piece. A configuration names rewards and weighs
them (`melody.training.objectives.policy` learns from them):

- voice_leading: -1 for each parallel fifth, octave or unison (`melody.music.voice_leading`)
- ending: 1 for a last chord that is the tonic over its root on a strong beat, in the key that the piece states
- cadence: 1 for each authentic cadence at a phrase's end, one in four bars at most
- range: -1 for each note beyond what its track has in the training music
- form: up to 1 for each bar that is as much like the bar of its plan as planned; a bar planned as new should be new
- groove: kick and snare go on from bar to bar, and toms fill every fourth bar, as much as players do, not more
- originality: -1 for each 8-note n-gram of the training music

`REACH` says how many bars before it music decides on what is earned: a parallel is made by the last notes, an ending by
those of a bar.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from melody.bundle import TrackInfo
from melody.evaluation.form import KICK, SNARE, TOMS, Excerpt, hits_of
from melody.evaluation.harmony import Harmony
from melody.music.key import Key, estimate_key, key_of_signature
from melody.music.originality import LENGTH, Index, line
from melody.music.score import Ints, Score, bars, notes_of
from melody.music.voice_leading import ends_on_tonic, parallels, slices, voices
from melody.tokens.plan import (
    DRUM_HIT,
    EMPTY,
    FIRST,
    LIKES,
    NEW,
    UNTOLD,
    Bar,
    FormPlan,
    by_track,
    key_of,
    like_of,
    likeness,
)

Earned = tuple[int | None, float]
BARS_A_CADENCE = 4
HELD = 0.65  # likeness of kick and snare from bar to bar, of players in the Groove MIDI Dataset
FILL = 3  # hits of toms that make a fill


@dataclass(frozen=True)
class Composed:
    """A piece on the grid, composed from bar `first` on."""

    score: Score
    bars: Sequence[Bar]
    pickup: int
    first: int
    closes: bool
    tracks: Sequence[TrackInfo]
    form: FormPlan | None = None
    index: Index | None = None  # of the training music

    @cached_property
    def lines(self) -> Ints:
        """The ticks of its bar lines."""
        return bars(self.score)

    @property
    def start(self) -> int:
        """The tick from which on it is new."""
        return int(self.lines[min(self.first, len(self.lines) - 1)])

    @property
    def new(self) -> range:
        """The new bars."""
        return range(self.first, len(self.bars))

    @cached_property
    def key(self) -> Key:
        """The key that it states, or else suggests."""
        stated = self.score.key_signatures
        return key_of_signature(stated[0].key, stated[0].tonality) if len(stated) else estimate_key(self.score)

    def end_of(self, bar: int) -> int:
        """The last tick of a bar."""
        return int(self.lines[min(bar + 1, len(self.lines) - 1)]) - 1


def voice_leading(piece: Composed) -> list[Earned]:
    """Return -1 for each parallel."""
    return [(one.tick, -1.0) for one in parallels(slices(voices(piece.score))) if one.tick >= piece.start]


def ending(piece: Composed) -> list[Earned]:
    """Return 1 for the tonic at the end of a piece that closes."""
    if not piece.closes or not ends_on_tonic(piece.score, piece.key):
        return []
    return [(max(int(lines.onset[-1]) for lines in voices(piece.score)), 1.0)]


def cadence(piece: Composed) -> list[Earned]:
    """Return 1 for each authentic cadence, as many as phrases of four bars at most."""
    length = int(np.median(np.diff(piece.lines))) if len(piece.lines) > 1 else 0
    if not length:
        return []
    found = Harmony.of(Excerpt(piece.bars, piece.first, piece.pickup, length)).cadence_ticks
    return [(tick, 1.0) for tick in found[: max(1, len(piece.new) // BARS_A_CADENCE)]]


def in_range(piece: Composed) -> list[Earned]:
    """Return -1 for each note beyond its track's range."""
    result: list[Earned] = []
    for track, info in zip(piece.score.tracks, piece.tracks, strict=False):
        notes = notes_of(track)
        beyond = (notes.pitch < info.lowest) | (notes.pitch > info.highest)
        result += [(tick, -1.0) for tick in notes.onset[beyond & (notes.onset >= piece.start)].tolist()]
    return [] if all(info.drums for info in piece.tracks) else result


def form(piece: Composed) -> list[Earned]:
    """Return for each planned bar, or track of it, 1 less how far its likeness is from the planned class."""
    if piece.form is None:
        return []
    apart = len(piece.form.tracks)
    lines = [[bar] for bar in piece.bars] if not apart else [by_track(bar, apart) for bar in piece.bars]
    keys = [[key_of(part) for part in parts] for parts in lines]
    return [
        (piece.end_of(bar), value / max(1, apart))
        for bar in piece.new
        for track in range(max(1, apart))
        if (value := _as_planned(piece.form, [row[track] for row in keys], track, bar)) is not None
    ]


def _as_planned(plan: FormPlan, keys: Sequence[frozenset[int]], track: int, bar: int) -> float | None:
    """Likeness of a bar beside its plan, from 0 to 1; None where nothing is planned."""
    symbol = plan.of(track, bar)
    if symbol in (UNTOLD, EMPTY) or not keys[bar]:
        return None
    if symbol in (NEW, FIRST):
        nearest = max((likeness(keys[bar], other) for other in keys[:bar] if other), default=0.0)
        return 1 - like_of(nearest) / LIKES
    source = bar - symbol.lag
    if not (symbol.lag and 0 <= source < len(keys)):
        return None
    return 1 - abs(like_of(likeness(keys[bar], keys[source])) - symbol.like) / LIKES


def groove(piece: Composed) -> list[Earned]:
    """Return for each new bar how near to a player's its kick and snare go on, and for fills."""
    result: list[Earned] = []
    for bar in piece.new:
        if bar and piece.bars[bar] and piece.bars[bar - 1]:
            pairs = [(hits_of(piece.bars[bar - 1], drums), hits_of(piece.bars[bar], drums)) for drums in (KICK, SNARE)]
            held = [likeness(a, b) for a, b in pairs if a or b]
            result += [(piece.end_of(bar), min(1.0, one / HELD) / 2) for one in held]
        toms = sum(hit - DRUM_HIT in TOMS for _, _, hit, _, _ in piece.bars[bar])
        fills = min(FILL, toms) / FILL / 2
        result.append((piece.end_of(bar), fills if (bar - piece.pickup) % 4 == 3 else -fills))
    return result


def originality(piece: Composed) -> list[Earned]:
    """Return -1 for each n-gram that stands in the training music, at the note that completes it."""
    result: list[Earned] = []
    if piece.index is None:
        return result
    for track in piece.score.tracks:
        if track.is_drum:
            continue
        notes = line(track, piece.score.tpq)
        known = np.unique(piece.index.find(piece.index.ngrams(notes))[0]) + LENGTH
        result += [(tick, -1.0) for tick in notes.onset[known].tolist() if tick >= piece.start]
    return result


REACH: Mapping[str, float] = {"voice_leading": 0.25, "cadence": 0.5, "range": 0.25, "groove": 0.5}  # bars; else 1
REWARDS: Mapping[str, Callable[[Composed], list[Earned]]] = {
    "voice_leading": voice_leading,
    "ending": ending,
    "cadence": cadence,
    "range": in_range,
    "form": form,
    "groove": groove,
    "originality": originality,
}

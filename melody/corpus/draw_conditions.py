"""Conditions that a musician might ask for, drawn anew each time that training fetches a piece.

A model that is told chords, a density, a melody to harmonise or the bars after a gap learns to compose for them; one
that is told nothing in a fifth of the cases learns to compose freely. So each fetch draws plausible wishes, which the
piece itself grants: its chords a beat, half a bar or a bar at a time, from some bar on; how dense its bars are; some of
its tracks as given; or a bar now and then, as what stands behind a gap (the idea of training to fill in the middle,
Bavarian et al. 2022, arXiv:2207.14255, without moving anything: a recurrent model would forget it on the way).
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from symusic import Track

from melody.corpus.augment import held_columns
from melody.corpus.pieces import quantize_on_places
from melody.corpus.store import Split
from melody.music.heard_chords import heard
from melody.music.score import GRID, Ints, Notes, Score, bars, meters, notes_of
from melody.tokens import EventTokenizer
from melody.tokens.channels import USUAL_VOICES, foreseeing
from melody.tokens.conditions import Conditions
from melody.tokens.contract import Told

TOKENIZER = EventTokenizer()
CHORDS, BASS, DENSITY, STYLE = 0.4, 0.4, 0.3, 0.85  # how often each is asked; the bass where chords are
TRACKS, GAPS = 0.35, 0.25  # how often some tracks are given, and how often bars behind gaps
GAP_BARS, GIVEN_BARS = 8, 2  # at most


class ConditionTeller:
    """Tells of the pieces of a split what they are read as, and conditions drawn for them.

    A piece of several tracks is told without some of them as often as `silence` says: so a model of bands learns to
    play with whoever is there.
    """

    def __init__(
        self, split: Split, tokenizer: EventTokenizer, limits: tuple[float, float], silence: float = 0.0
    ) -> None:
        self._silence = silence
        self._split, self._draw = split, ConditionDraw(limits, tokenizer.voices)
        place = {channel.name: column for column, channel in enumerate(tokenizer.channels)}
        foreseen = [channel.name for channel in foreseeing(tokenizer.voices)]
        self._told = np.array([column for column, name in enumerate(foreseen) if name in place], np.intp)
        self._stored, columns = held_columns(tokenizer, split)
        self._reader = EventTokenizer(split.channels) if len(columns) else EventTokenizer(())
        self._columns = np.array([*columns, *(place[name] for name in foreseen if name in place)], np.intp)

    def draw(self, piece: int, generator: np.random.Generator) -> Told:
        """See `melody.tokens.contract.Teller`."""
        stored, read = self._split.piece(piece)
        ids: NDArray[np.integer] = stored
        if self._silence and generator.random() < self._silence:
            ids = without_some_tracks(stored, generator)
            read = self._reader.context(ids.astype(np.int32))
        drawn = self._draw(ids, generator, int(self._split.styles[piece]))
        return Told(ids, self._columns, np.concatenate([read[:, self._stored], drawn[:, self._told]], axis=1))


def without_some_tracks(ids: NDArray[np.integer], generator: np.random.Generator) -> NDArray[np.int32]:
    """The ids of a piece in which some of its tracks, but not all, have no notes; they keep their places."""
    score = TOKENIZER.decode(ids)
    sounding = [place for place, track in enumerate(score.tracks) if len(track.notes)]
    if len(sounding) < 2:
        return ids.astype(np.int32)
    gone = generator.choice(sounding, int(generator.integers(1, len(sounding))), replace=False)
    for place in gone.tolist():
        track = score.tracks[place]
        score.tracks[place] = Track(track.name, track.program, track.is_drum)
    return TOKENIZER.spell(quantize_on_places(score))  # meters and tempos behind the last note go too


@dataclass(frozen=True)
class ConditionDraw:
    """Draws conditions that a piece itself grants."""

    density_limits: tuple[float, float]  # see `density_limits`
    voices: int = USUAL_VOICES  # tracks of which may be told

    def __call__(self, ids: NDArray[np.integer], generator: np.random.Generator, style: int = 0) -> NDArray[np.int16]:
        """The foreseen channels (T, F) beside the ids (T,) of a piece of a style (0: none)."""
        score = TOKENIZER.decode(ids)
        lines = bars(score)
        table = Conditions(int(lines[-1]) + 1, self.voices)
        if generator.random() < STYLE:
            table.tell("style", style)
        if generator.random() < CHORDS:
            self._ask_for_chords(table, score, lines, generator)
        if generator.random() < DENSITY:
            self._ask_for_density(table, score, lines, generator)
        self._give_notes(table, score, lines, generator)
        return table.values[TOKENIZER.ticks(ids)]

    def _ask_for_chords(self, table: Conditions, score: Score, lines: Ints, generator: np.random.Generator) -> None:
        edges = _edges(score, lines, int(generator.integers(3)))
        chords = np.repeat(heard(pitched_notes(score), edges), np.diff(edges), axis=0)  # (ticks, 2)
        start = _some_line(lines, generator)
        table.tell("chord", chords[start:, 0], start, len(chords))
        if generator.random() < BASS:
            table.tell("chord_bass", chords[start:, 1], start, len(chords))

    def _ask_for_density(self, table: Conditions, score: Score, lines: Ints, generator: np.random.Generator) -> None:
        classes = 1 + np.searchsorted(self.density_limits, onsets_per_quarter(score, lines))
        start = _some_line(lines, generator)
        table.tell("density", np.repeat(classes, np.diff(lines))[start:], start, int(lines[-1]))

    def _give_notes(self, table: Conditions, score: Score, lines: Ints, generator: np.random.Generator) -> None:
        tracks = {voice: track for voice, track in enumerate(score.tracks[: self.voices]) if not track.is_drum}
        parts = {voice: notes_of(track) for voice, track in tracks.items() if len(track.notes)}
        everywhere = _some_tracks(list(parts), generator) if generator.random() < TRACKS else set()
        behind_gaps = np.zeros(len(table), bool)
        if generator.random() < GAPS:
            behind_gaps[: lines[-1]] = np.repeat(_bars_behind_gaps(len(lines) - 1, generator), np.diff(lines))
        for voice, notes in parts.items():
            known = np.ones(len(table), bool) if voice in everywhere else behind_gaps
            if known.any():
                table.tell_notes(voice, notes, known)


def density_limits(split: Split) -> tuple[float, float]:
    """Return the onsets a quarter up to which density is low and medium: each is a third of a split's bars."""
    scores = [TOKENIZER.decode(split.piece(index)[0]) for index in range(len(split))]
    found = np.concatenate([onsets_per_quarter(score, bars(score)) for score in scores])
    low, medium = np.quantile(found, [1 / 3, 2 / 3], method="inverted_cdf")
    return float(low), float(medium)


def onsets_per_quarter(score: Score, lines: Ints) -> NDArray[np.float64]:
    """Number of onsets a quarter in each bar, shape (bars,); several at once, in any track, are one."""
    onsets = np.unique(np.concatenate([notes_of(track).onset for track in score.tracks]))
    count = np.histogram(onsets, bins=lines)[0]
    density: NDArray[np.float64] = count / (np.diff(lines) / score.tpq)
    return density


def pitched_notes(score: Score) -> Notes:
    """The notes of all pitched tracks together."""
    parts = [notes_of(track) for track in score.tracks if not track.is_drum]
    return Notes(*(np.concatenate([part[column] for part in parts] or [np.zeros(0, np.int64)]) for column in range(4)))


def _edges(score: Score, lines: Ints, coarseness: int) -> Ints:
    """Ticks at which chords may change: each beat (0), each half of a bar (1) or each bar line (2)."""
    if coarseness == 2:
        return lines
    inner = []
    changes = meters(score)
    starts = np.array([tick for tick, _, _ in changes])
    for start, stop in pairwise(lines.tolist()):
        _, numerator, denominator = changes[int(np.searchsorted(starts, start, side="right")) - 1]
        compound = denominator >= 8 and numerator % 3 == 0
        beat = GRID * 4 // denominator * (3 if compound else 1)
        step = beat if coarseness == 0 else (stop - start) // 2 if (stop - start) % (2 * beat) == 0 else stop - start
        inner.append(np.arange(start, stop, max(1, step)))
    return np.append(np.concatenate(inner), lines[-1])


def _some_line(lines: Ints, generator: np.random.Generator) -> int:
    """The start, or as often any bar line: what is asked may begin after a primer."""
    return int(lines[generator.integers(len(lines) - 1)]) if generator.random() < 0.5 else 0


def _some_tracks(tracks: list[int], generator: np.random.Generator) -> set[int]:
    """Some tracks but not all, mostly one, and of these the first as often as all others together."""
    if len(tracks) < 2:
        return set()
    if generator.random() < 0.6:
        return {tracks[0] if generator.random() < 0.5 else int(generator.choice(tracks[1:]))}
    return set(generator.choice(tracks, int(generator.integers(1, len(tracks))), replace=False).tolist())


def _bars_behind_gaps(count: int, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Mask of the bars that are given: one or two after every gap of up to `GAP_BARS`."""
    given = np.zeros(count, bool)
    bar = 0
    while bar < count:
        bar += int(generator.integers(1, GAP_BARS + 1))
        more = int(generator.integers(1, GIVEN_BARS + 1))
        given[bar : bar + more] = True
        bar += more
    return given

"""Conditions that a musician might ask for, drawn anew each time that training fetches a piece.

A model that is told chords, a density, a melody to harmonise or the bars after a gap learns to compose for them; one
that is told nothing in a fifth of the cases learns to compose freely. So each fetch draws plausible wishes, which the
piece itself grants: its chords a beat, half a bar or a bar at a time, from some bar on; how dense its bars are; some of
its tracks as given; or a bar now and then, as what stands behind a gap (the idea of training to fill in the middle,
Bavarian et al. 2022, arXiv:2207.14255, without moving anything: a recurrent model would forget it on the way). A model
that knows contours is told, in half of the cases, that of the tune.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from symusic import Track

from melody.corpus.augment import held_columns
from melody.corpus.pieces import quantize_on_places
from melody.corpus.store import Split
from melody.music.heard_chords import heard
from melody.music.score import Ints, Score, bars, notes_of
from melody.tokens import EventTokenizer
from melody.tokens.channels import CONTOUR, USUAL_VOICES, wishing
from melody.tokens.conditions import Conditions
from melody.tokens.contour import contour_of
from melody.tokens.contract import Told, columns_in
from melody.tokens.harmony import RATES, SIZES, HarmonyPlan, Rate, harmony_of, pitched_notes, steps_of

TOKENIZER = EventTokenizer()
CHORDS, BASS, DENSITY, STYLE = 0.4, 0.4, 0.3, 0.85  # how often each is asked; the bass where chords are
TRACKS, GAPS = 0.35, 0.25  # how often some tracks are given, and how often bars behind gaps
CONTOURS = 0.5
GAP_BARS, GIVEN_BARS = 8, 2  # at most
HARMONY, STARTED = 0.75, 0.3  # how often the plan of chords is told, and of these how often from some step on


class ConditionTeller:
    """Tells of the pieces of a split what they are read as, and conditions drawn for them.

    A piece of several tracks is told without some of them as often as `silence` says: so a model of bands learns to
    play with whoever is there.
    """

    def __init__(
        self,
        split: Split,
        tokenizer: EventTokenizer,
        limits: tuple[float, float],
        silence: float = 0.0,
        rate: Rate = "beats",
    ) -> None:
        self._silence, self._harmony = silence, HarmonyTeller(split, tokenizer, rate)
        told = CONTOUR.name in (channel.name for channel in tokenizer.channels)
        self._split, self._draw = split, ConditionDraw(limits, tokenizer.voices, told)
        place = {channel.name: column for column, channel in enumerate(tokenizer.channels)}
        foreseen = [channel.name for channel in wishing(tokenizer.voices)]
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
        table = self._draw.table(ids, generator, int(self._split.styles[piece])).values
        drawn = table[TOKENIZER.ticks(ids)]
        values = [read[:, self._stored], drawn[:, self._told], self._harmony.drawn(piece, ids, generator)]
        columns = np.concatenate([self._columns, self._harmony.columns])
        return Told(ids, columns, np.concatenate(values, axis=1), table)


class HarmonyTeller:
    """Tells of the pieces of a split their plan of chords, that of all tracks; alone, all of it."""

    def __init__(self, split: Split, tokenizer: EventTokenizer, rate: Rate) -> None:
        self.columns = columns_in(tokenizer.channels, "harmony")
        names = list(SIZES)
        self._which = [names.index(tokenizer.channels[column].name) for column in self.columns]
        self._split, self._rate = split, rate
        self._stored, self._places = held_columns(tokenizer, split)
        self._found: dict[int, HarmonyPlan] = {}

    def draw(self, piece: int, generator: np.random.Generator) -> Told:
        """A piece with all of its plan."""
        ids, read = self._split.piece(piece)
        values = [read[:, self._stored], self._values(self._plan(piece), ids)]
        return Told(ids, np.concatenate([self._places, self.columns]), np.concatenate(values, axis=1))

    def drawn(self, piece: int, ids: NDArray[np.integer], generator: np.random.Generator) -> NDArray[np.int16]:
        """The channels (T, H) beside ids of a piece: told from some step on, or not at all."""
        if not len(self.columns):
            return np.zeros((len(ids), 0), np.int16)
        if generator.random() >= HARMONY:
            return np.zeros((len(ids), len(self.columns)), np.int16)
        plan = self._plan(piece)
        if generator.random() < STARTED:
            plan = replace(plan, first=int(generator.integers(len(plan.steps))))
        return self._values(plan, ids)

    def _plan(self, piece: int) -> HarmonyPlan:
        if piece not in self._found:
            self._found[piece] = harmony_of(TOKENIZER.decode(self._split.piece(piece)[0]), self._rate)
        return self._found[piece]

    def _values(self, plan: HarmonyPlan, ids: NDArray[np.integer]) -> NDArray[np.int16]:
        table = plan.table()
        return table[np.minimum(TOKENIZER.ticks(ids), len(table) - 1)][:, self._which]


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
    contours: bool = False  # whether that of the tune may be told

    def __call__(self, ids: NDArray[np.integer], generator: np.random.Generator, style: int = 0) -> NDArray[np.int16]:
        """The channels `wishing` (T, F) beside the ids (T,) of a piece of a style (0: none)."""
        return self.table(ids, generator, style).values[TOKENIZER.ticks(ids)]

    def table(self, ids: NDArray[np.integer], generator: np.random.Generator, style: int = 0) -> Conditions:
        """The same, tick by tick of the piece."""
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
        if self.contours and generator.random() < CONTOURS:
            start = _some_line(lines, generator)
            table.tell(CONTOUR.name, contour_of(score)[start:], start, int(lines[-1]))
        return table

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


def _edges(score: Score, lines: Ints, coarseness: int) -> Ints:
    """Ticks at which chords may change: each beat (0), each half of a bar (1) or each bar line (2)."""
    if coarseness == 2:
        return lines
    return np.array([*(tick for bar in steps_of(score, RATES[coarseness]) for tick in bar), lines[-1]])


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

"""Four voices on a grid of sixteenths, as events: a tokenization for the benchmark JSB-16, where a step is a sixteenth.

A piece reads::

    BOS Length_61  S_67 B_55 T_59 A_62 Wait_4  S_69 B_54 Wait_2  A_64 Wait_2 ... EOS

First its length in quarters, then at each step where a voice changes the new pitch (or rest) of those that do, then the
steps until the next change. So a chorale costs a third of the tokens that one pitch for each voice and step would. A
voice that repeats its pitch is one held note, as the benchmark's grid has it. `Walk` is the parsed form of such tokens:
what may follow (a mask), and the context channels.

The tune comes first; the other voices of a step may come in any of the `ORDERS`, told in a channel: in each a grid has
exactly one spelling. One model that has learned all orders is as many models of the next step, which err differently:
their mean knows more than each (Uria, Murray & Larochelle 2014, arXiv:1310.1757). The first order is the one to use
where there is but one: the outer voices come first, as the inner ones follow from them.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from symusic import Track

from melody.errors import LimitExceeded
from melody.jsb16.tune_book import TOLD, TuneBook, TuneReader
from melody.music.quantize import quantize
from melody.music.score import GRID, Notes, Score, end_tick, notes_of, set_notes
from melody.tokens.channels import Channel, recalling
from melody.tokens.intervals import IntervalView, interval_view
from melody.tokens.repetition import Recall
from melody.tokens.vocabulary import Vocabulary

Ids = NDArray[np.int32]
Grid = NDArray[np.int64]  # (steps, 4): the pitch of each voice from the soprano down, 0 where it rests

SCORE_ORDER = "SATB"  # of tracks, and of the columns of a grid
NAMES = "SBTA"  # of tokens and channels
ORDERS = ("SBTA", "SATB", "STAB", "SBAT", "SABT", "STBA")
VOICES = len(NAMES)
COLUMNS = [SCORE_ORDER.index(voice) for voice in NAMES]  # of a grid; back again it is the same
BASS = NAMES.index("B")
STEP = GRID // 4  # ticks
QUARTER, BAR = 4, 16  # steps
LOWEST, HIGHEST = 36, 84  # pitches of a choir, C2 to C6
LONGEST_WAIT = BAR
MOST_QUARTERS = 255
FAR_QUARTERS = 16  # left, from which on the end is simply far away
NEW = VOICES + 1  # of the channel "written": a wait; before it 1 to 4: a voice
OLDEST, WIDEST = BAR + 1, 12  # an age in steps, and a melodic interval in semitones, beyond which all is one
REST = 129  # of a pitch channel
CHOIR = 52  # the program "Choir Aahs"

READ = (
    Channel("order", 1 + len(ORDERS)),
    Channel("position", 1 + BAR),  # step in a bar that began with the piece
    Channel("quarters_left", 2 + FAR_QUARTERS, plan="length"),  # a piece could be known by its exact length
    Channel("steps_left_in_bar", 1 + BAR, plan="length"),  # of the bars that end with the piece
    Channel("written", 1 + NEW),  # what was written last
    Channel("waited", 1 + LONGEST_WAIT),
    *(Channel(f"voice_{voice}", 1 + REST, moves="pitch") for voice in NAMES),
    *(Channel(f"age_{voice}", 2 + OLDEST) for voice in NAMES),  # steps since its pitch began
    *(Channel(f"move_{voice}", 2 + 2 * WIDEST) for voice in NAMES),  # the interval by which it came there
    *(Channel(f"over_bass_{voice}", 1 + 12) for voice in NAMES if voice != "B"),  # pitch class above it
)


@cache
def vocabulary() -> Vocabulary:
    """The tokens by type: Pad, Begin, End, Length, Wait, and one type for each voice (its rest, then its pitches)."""
    pitches = ["rest", *range(LOWEST, HIGHEST + 1)]
    groups = {
        "Pad": ["PAD"],
        "Begin": ["BOS"],
        "End": ["EOS"],
        "Length": [f"Length_{quarters}" for quarters in range(1, MOST_QUARTERS + 1)],
        "Wait": [f"Wait_{steps}" for steps in range(1, LONGEST_WAIT + 1)],
        **{voice: [f"{voice}_{pitch}" for pitch in pitches] for voice in NAMES},
    }
    ids: dict[str, range] = {}
    for name, group in groups.items():
        start = sum(map(len, ids.values()))
        ids[name] = range(start, start + len(group))
    return Vocabulary(tuple(token for group in groups.values() for token in group), ids)


CHANNELS = READ + TOLD + recalling(len(vocabulary()))


class VoicesTokenizer:
    """The tokenizer; it has no options. See `melody.tokens.contract.Tokenizer`."""

    name = "voices"
    channels = CHANNELS

    @property
    def config(self) -> dict[str, object]:
        """Settings that name this tokenizer in a store."""
        return {"name": self.name}

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens by id."""
        return vocabulary()

    def reader(self, tunes: TuneReader | None = None, order: int = 0) -> "Walk":
        """A fresh reader of a piece in an order of the voices, told of the `tunes` of others where there are any."""
        return Walk(tunes, order)

    def telling(self, names: Sequence[str]) -> "VoicesTokenizer":
        """The same: its channels cannot be chosen."""
        return self

    def encode(self, score: Score) -> Ids:
        """The ids (T,) of a score of four single voices on the grid. Raises `LimitExceeded` for any other."""
        return self.spell(grid_of(score))

    def spell(self, grid: Grid, order: int = 0) -> Ids:
        """The ids (T,) of a grid (steps, 4), in one of the orders. Raises `LimitExceeded` for what has no token."""
        check_grid(grid)
        grid = grid[:, COLUMNS]
        places = [NAMES.index(voice) for voice in ORDERS[order]]
        ranges = self.vocabulary.ids
        ids = [ranges["Begin"][0], ranges["Length"][len(grid) // QUARTER - 1]]
        changed = np.ones(grid.shape, bool)
        changed[1:] = grid[1:] != grid[:-1]
        steps = np.flatnonzero(changed.any(axis=1)).tolist()
        for step, after in zip(steps, [*steps[1:], len(grid)], strict=True):
            ids += [token_of(voice, int(grid[step, voice])) for voice in places if changed[step, voice]]
            waits, rest = divmod(after - step, LONGEST_WAIT)
            ids += [ranges["Wait"][-1]] * waits + [ranges["Wait"][rest - 1]] * bool(rest)
        return np.array([*ids, ranges["End"][0]], np.int32)

    def decode(self, ids: NDArray[np.integer] | Sequence[int]) -> Score:
        """The score of ids that obey the grammar; EOS may be missing."""
        return score_of(self.grid(ids))

    def grid(self, ids: NDArray[np.integer] | Sequence[int]) -> Grid:
        """The grid (steps, 4) of ids that obey the grammar, in whichever order."""
        walk = Walk()
        rows: list[list[int]] = []
        for token in ids:
            walk.read(int(token))
            rows += [list(walk.pitches)] * (walk.step - len(rows))
        return np.array(rows, np.int64).reshape(-1, VOICES)[:, COLUMNS]

    def is_lossless(self, score: Score) -> bool:
        """Return True where these tokens keep all of a score that `quantize` keeps."""
        return bool(self.decode(self.encode(score)) == quantize(score))

    def voice_steps(self, ids: NDArray[np.integer]) -> int:
        """Number of voices times steps of a piece, which its length tells: the unit of the benchmark."""
        return VOICES * QUARTER * (1 + int(ids[1]) - self.vocabulary.ids["Length"].start)

    def tune_book(self, grids: Sequence[Grid]) -> TuneBook:
        """Grids as a book of tunes, by which `Walk` tells what other pieces did."""
        return TuneBook([grid[:, COLUMNS] for grid in grids])

    def steps_of(self, ids: Ids) -> NDArray[np.int64]:
        """To which step with tokens each one belongs (T,), from 0: the same ones in every order of the voices."""
        return np.cumsum(np.append(0, _is(ids, "Wait")[:-1]))

    def context(self, ids: Ids, tunes: TuneReader | None = None, order: int = 0) -> NDArray[np.int16]:
        """The context channels (T, C) after each token; without `tunes` nothing is told of other pieces."""
        walk = self.reader(tunes, order)
        result = np.empty((len(ids), len(CHANNELS)), np.int16)
        for row, token in zip(result, ids.tolist(), strict=True):
            walk.read(token)
            row[:] = walk.context
        return result

    def transposition(self, ids: Ids) -> tuple[int, int]:
        """The lowest and highest number of semitones by which all pitches have a token."""
        pitches = [int(p) for voice in NAMES for p in ids[_is(ids, voice)] - self.vocabulary.ids[voice].start if p]
        return (1 - min(pitches), HIGHEST - LOWEST + 1 - max(pitches)) if pitches else (0, 0)

    def intervals(self, widest: int | None) -> IntervalView | None:
        """Relation of each voice's pitches to what all voices sing, up to so many semitones (None: not asked)."""
        tokens = [self.vocabulary.ids[voice][1:] for voice in NAMES]
        names = [f"voice_{voice}" for voice in NAMES]
        return interval_view(tokens, LOWEST, CHANNELS, names, widest) if widest else None

    def shift_tables(self, shifts: list[int]) -> tuple[NDArray[np.int32], list[NDArray[np.int16]]]:
        """Lookup tables that transpose: ids (S, V) and, per channel, values (S, size), one row a shift in semitones.

        A pitch that would leave the range stays where it is; `transposition` says which shifts are safe.
        """
        from melody.tokens.transpose import shift_channels

        ids = np.tile(np.arange(len(self.vocabulary), dtype=np.int32), (len(shifts), 1))
        for row, shift in zip(ids, shifts, strict=True):
            for voice in NAMES:
                span = self.vocabulary.ids[voice][1:]
                row[span.start : span.stop] += np.where(
                    [span.start <= token + shift < span.stop for token in span], shift, 0
                )
        return ids, shift_channels(CHANNELS, shifts)


class Walk:
    """State of a piece after the tokens read so far: where it is, what sounds, and what may follow."""

    def __init__(self, tunes: TuneReader | None = None, order: int = 0) -> None:
        self._order = order
        self._voices = [NAMES.index(voice) for voice in ORDERS[order]]
        self.step = 0
        self.steps = 0  # of the whole piece; 0 before its length is told
        self.pitches = [0] * VOICES
        self._ages = [0] * VOICES
        self._moves = [0] * VOICES
        self._last = 0  # 0: nothing yet, 1 to 4: a voice, NEW: a wait
        self._waited = 0
        self._begun = self._ended = False
        self._recall = Recall()
        self._tunes = tunes

    def read(self, token: int) -> None:
        """Read one token."""
        self._recall.read(token)
        kind = vocabulary().kind_of[token]
        value = token - vocabulary().ids[kind].start
        if kind == "Length":
            self.steps = QUARTER * (value + 1)
        elif kind == "Wait":
            self._wait(value + 1)
        elif kind in NAMES:
            self._sing(NAMES.index(kind), LOWEST + value - 1 if value else 0)
        else:
            self._begun, self._ended = True, kind == "End"

    def _wait(self, steps: int) -> None:
        self.step += steps
        self._ages = [min(OLDEST, age + steps) for age in self._ages]
        self._last, self._waited = NEW, steps
        if self._tunes:
            self._tunes.wait(steps)

    def _sing(self, voice: int, pitch: int) -> None:
        before = self.pitches[voice]
        self._moves[voice] = 1 + WIDEST + int(np.clip(pitch - before, -WIDEST, WIDEST)) if before and pitch else 0
        self.pitches[voice], self._ages[voice], self._last = pitch, 0, 1 + voice
        if self._tunes:
            self._tunes.sing(voice, pitch)

    @property
    def context(self) -> list[int]:
        """The values of `CHANNELS`; those of `READ` are 0 before the length and after the end."""
        past = [*(self._tunes.context if self._tunes else [0] * len(TOLD)), *self._recall.context]
        if not self.steps or self._ended:
            return [0] * len(READ) + past
        left = self.steps - self.step
        begun = self.step or self._last  # before the first pitch nothing sounds, and nothing rests
        bass = self.pitches[BASS]
        upper = [pitch for voice, pitch in enumerate(self.pitches) if voice != BASS]
        return [
            1 + self._order,
            1 + self.step % BAR,
            1 + min(FAR_QUARTERS, left // QUARTER),
            1 + left % BAR,
            self._last,
            self._waited,
            *(1 + pitch if pitch else REST if begun else 0 for pitch in self.pitches),
            *(1 + age if begun else 0 for age in self._ages),
            *self._moves,
            *(1 + (pitch - bass) % 12 if pitch and bass else 0 for pitch in upper),
            *past,
        ]

    @property
    def _to_come(self) -> list[int]:
        """The voices that may still change at this step."""
        told = 1 + self._voices.index(self._last - 1) if 0 < self._last < NEW else 0
        return self._voices[told:]

    def allow(self) -> NDArray[np.bool_]:
        """Mask (V,) of the tokens that may follow: others would say a thing in a second way, or lead past the end."""
        ranges, mask = vocabulary().ids, np.zeros(len(vocabulary()), bool)

        def may(span: range) -> None:
            mask[span.start : span.stop] = True

        left = self.steps - self.step
        if self._ended:
            may(ranges["Pad"])
        elif not self.steps:
            may(ranges["Length" if self._begun else "Begin"])
        elif not left:
            may(ranges["End"])
        elif not self.step and self._to_come:  # at first all voices come in
            may(ranges[NAMES[self._to_come[0]]])
        else:
            for voice in self._to_come:
                may(ranges[NAMES[voice]])
                mask[token_of(voice, self.pitches[voice])] = False
            if self._last < NEW or self._waited == LONGEST_WAIT:
                may(ranges["Wait"][:left])
        return mask


def token_of(voice: int, pitch: int) -> int:
    """The id with which a voice (0 to 3) comes to a pitch, or with 0 to a rest."""
    return vocabulary().ids[NAMES[voice]][1 + pitch - LOWEST if pitch else 0]


def check_grid(grid: Grid) -> None:
    """Raise `LimitExceeded` for a grid that has no tokens."""
    steps, voices = grid.shape
    if voices != VOICES or steps % QUARTER or not 0 < steps <= QUARTER * MOST_QUARTERS:
        raise LimitExceeded(
            f"a grid of {steps} steps and {voices} voices; tokens are for {VOICES} voices and whole quarters, "
            f"up to {MOST_QUARTERS}"
        )
    sounding = grid[grid > 0]
    if len(sounding) and not LOWEST <= sounding.min() <= sounding.max() <= HIGHEST:
        raise LimitExceeded(f"pitches {sounding.min()} to {sounding.max()}; tokens are for {LOWEST} to {HIGHEST}")


# ---- scores and grids -----------------------------------------------------------------------------------------------


def grid_of(score: Score) -> Grid:
    """The grid (steps, 4) of a score, to the next full quarter. Raises `LimitExceeded` where it does not fit one."""
    score = quantize(score)
    end = -(-end_tick(score) // GRID) * GRID
    if len(score.tracks) != VOICES:
        raise LimitExceeded(f"{len(score.tracks)} tracks with notes; a grid has {VOICES} voices")
    grid = np.zeros((end // STEP, VOICES), np.int64)
    for voice, notes in enumerate(map(notes_of, score.tracks)):
        first, last = notes.onset, notes.onset + notes.duration
        if (first % STEP).any() or (last % STEP).any() or (first[1:] < last[:-1]).any():
            raise LimitExceeded(f"{SCORE_ORDER[voice]}: a grid has one note a voice at a time, on sixteenths")
        for start, stop, pitch in zip(first // STEP, last // STEP, notes.pitch, strict=True):
            grid[start:stop, voice] = pitch
    return grid


def score_of(grid: Grid) -> Score:
    """The quantised score of a grid (steps, 4): four choir tracks, in 4/4, a repeated pitch as one held note."""
    score = Score(GRID)
    for voice in range(grid.shape[1]):
        edges = np.flatnonzero(np.diff(grid[:, voice], prepend=-1, append=-1))
        pitch = grid[edges[:-1], voice]
        track = Track(SCORE_ORDER[voice], CHOIR)
        notes = Notes(edges[:-1] * STEP, np.diff(edges) * STEP, pitch, np.full(len(pitch), 82))
        set_notes(track, notes.take(pitch > 0))
        score.tracks.append(track)
    return quantize(score)


def _is(ids: Ids, kind: str) -> NDArray[np.bool_]:
    span = vocabulary().ids[kind]
    return (ids >= span.start) & (ids < span.stop)

"""The harmonist: a small LSTM that draws the harmony of a piece, step by step (`melody.tokens.harmony`).

    each step  x = the chord before + those 2, 4 and 8 bars ago + place in the bar + steps left + mode
                   + steps until the phrase ends and since it began
               h, c = LSTM(x, h, c);  y = h + x
               p(root) = softmax(R y)
               p(quality | root) = softmax(Q (y + root));  p(bass | chord) = softmax(B (y + root + quality))
               at the end of a phrase p(length of the next one) = softmax(P y)

Roots and basses count from the tonic. Where notes are given, a tune or any other, chords are drawn by how well they fit
them as well: `PARTICLES` plans grow side by side, each weighed by how likely it makes those notes (a particle filter,
Gordon et al. 1993), and so a chord may prepare for a note that is yet to come. `melody.tokens.closing` has what plans
end with. `melody.learning.harmony_model` trains the weights. Where no notes are given the core draws; of several plans
the likeliest stays, which spoils fewer progressions than a low temperature does, and brings fewer tonics (sample and
rank, Adiwardana et al. 2020, arXiv:2001.09977).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melody.music.chords import OCTAVE, QUALITIES
from melody.music.key import Key
from melody.music.score import Notes
from melody.music.tensors import tensors_of
from melody.native.library import core
from melody.tokens.closing import MOST_TRIES, TONIC, closes, closing_qualities, falls_of
from melody.tokens.harmony import HarmonyPlan, Steps
from melody.tokens.native_harmonist import NativeHarmonist
from melody.tokens.small_lstm import WIDTH, SmallLstm, log_softmax, logsum, pick, sigmoid

ROOTS, KINDS = 1 + OCTAVE, 1 + len(QUALITIES)  # 0: no chord
NOT_YET = ROOTS  # a root before the piece
AGO = (2, 4, 8)  # bars
MOST_PLACES, MOST_LEFT, MOST_SINCE = 12, 32, 24  # steps
LENGTHS = 32  # steps of a phrase, at most
UNKNOWN = LENGTHS  # steps until the phrase ends
PARTICLES = 32
FIT = 1.0  # how much given notes weigh against the harmonist's own mind
SURE = 0.25  # temperature of chords for a tune alone, and of how well they fit it: nearly the best ones that there are
TEMPERATURE = 0.7  # of chords, unless a bundle says otherwise: what is unlikely each time spoils a progression

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
TABLES: dict[str, int] = {  # whose rows make x
    "root": ROOTS + 1,
    "kind": KINDS,
    "bass": 1 + OCTAVE,
    **{f"root_{bars}": ROOTS + 1 for bars in AGO},
    **{f"kind_{bars}": KINDS for bars in AGO},
    "place": 1 + MOST_PLACES,
    "places": 1 + MOST_PLACES,
    "until": 1 + LENGTHS,
    "since": 1 + MOST_SINCE,
    "left": 1 + MOST_LEFT,  # 0: open
    "minor": 2,
}
_FIRST = np.cumsum([0, *list(TABLES.values())[:-1]])  # row of each, one below the other
SHAPES: dict[str, tuple[int, ...]] = {
    **{name: (size, WIDTH) for name, size in TABLES.items()},
    "weight_ih": (4 * WIDTH, WIDTH),
    "weight_hh": (4 * WIDTH, WIDTH),
    "bias": (4 * WIDTH,),
    "to_root": (ROOTS, WIDTH),
    "to_root_bias": (ROOTS,),
    "of_root": (ROOTS, WIDTH),
    "to_kind": (KINDS - 1, WIDTH),
    "to_kind_bias": (KINDS - 1,),
    "of_kind": (KINDS, WIDTH),
    "to_bass": (OCTAVE, WIDTH),  # over the root
    "to_bass_bias": (OCTAVE,),
    "to_length": (LENGTHS, WIDTH),  # of the next phrase, less one
    "to_length_bias": (LENGTHS,),
    "tones": (KINDS, OCTAVE),  # by kind: how often a tune's note stands so far above the root
}


@dataclass(frozen=True)
class Ground:
    """Facts about steps before their chords are known: places in bars, bars, and the key."""

    place: Ints  # (S,): of each step in its bar
    bar: Ints  # (S,)
    key: Key
    ends: bool  # whether the piece ends with them

    @classmethod
    def of(cls, bars: Sequence[Sequence[int]], key: Key, ends: bool) -> "Ground":
        """The ground of bars, each with the ticks of its steps."""
        place = [place for steps in bars for place in range(len(steps))]
        bar = [number for number, steps in enumerate(bars) for _ in steps]
        return cls(np.array(place, np.int64), np.array(bar, np.int64), key, ends)

    def __len__(self) -> int:
        return len(self.place)

    @cached_property
    def rows(self) -> Ints:
        """The rows (S, 4) of the tables place, places, left and minor."""
        places = np.bincount(self.bar)[self.bar] if len(self.bar) else self.bar
        left = np.minimum(len(self) - np.arange(len(self)), MOST_LEFT) if self.ends else np.zeros(len(self), np.int64)
        minor = np.full(len(self), int(self.key.mode == "minor"))
        return np.stack([np.minimum(self.place, MOST_PLACES), np.minimum(places, MOST_PLACES), left, minor], axis=1)

    @cached_property
    def ago(self) -> Ints:
        """The step (S, AGO) that stands so many bars ago at the same place; -1 where none does."""
        at = {place: step for step, place in enumerate(zip(self.bar.tolist(), self.place.tolist(), strict=True))}
        rows = [
            [at.get((bar - bars, place), -1) for bars in AGO]
            for bar, place in zip(self.bar.tolist(), self.place.tolist(), strict=True)
        ]
        return np.array(rows, np.int64).reshape(-1, len(AGO))

    @property
    def table(self) -> Ints:
        """Rows of tables and steps ago (S, 7), as the core has them."""
        return np.concatenate([self.rows, self.ago], axis=1)


def relative(steps: Steps, tonic: int) -> Ints:
    """Steps as (root, kind, bass) over the tonic (S, 3)."""
    chord, bass = steps[:, 0].astype(np.int64) - 1, steps[:, 1].astype(np.int64) - 1
    quality, root = np.divmod(chord, OCTAVE)
    there = chord >= 0
    found = np.stack([1 + (root - tonic) % OCTAVE, 1 + quality, 1 + (bass - tonic) % OCTAVE], axis=1)
    return found * there[:, None]


def absolute(codes: Ints, tonic: int) -> Steps:
    """The steps of (root, kind, bass) over a tonic; the inverse of `relative`."""
    root, kind, bass = codes.T
    value = 1 + (root - 1 + tonic) % OCTAVE + OCTAVE * (kind - 1)
    steps = np.stack([value, 1 + (bass - 1 + tonic) % OCTAVE], axis=1) * (root > 0)[:, None]
    return np.asarray(steps, np.int16)


@dataclass(frozen=True)
class Wanted:
    """Parts of a plan that are known before it is drawn."""

    codes: Ints  # (S, 3), as `relative` has them
    known: NDArray[np.bool_]  # (S,): whether the chord is
    last: NDArray[np.bool_]  # (S,): whether a phrase's last note begins in it; where `phrased`
    phrased: NDArray[np.bool_]  # (S,): whether that is known
    tones: Floats  # (S, 12): how much each pitch class over the tonic sounds in given notes, at most 1 together
    copied: Ints  # (S,): the step whose chord is this one's too; -1: none
    may_close: NDArray[np.bool_]  # (S,): whether the tonic may close there (`melody.tokens.closing`); none: it need not
    cadence: float = 0.0  # how much more given phrases close by a falling fifth, ln

    @property
    def table(self) -> Ints:
        """All that is known (S, 8) but notes, as the core has it."""
        return np.column_stack([self.codes, self.known, self.last, self.phrased, self.copied, self.may_close])

    @classmethod
    def nothing(cls, count: int) -> "Wanted":
        """So many steps of which nothing is known."""
        known, last, phrased, may_close = np.zeros((4, count), bool)
        codes, tones = np.zeros((count, 3), np.int64), np.zeros((count, OCTAVE), np.float32)
        return cls(codes, known, last, phrased, tones, np.full(count, -1), may_close)


@dataclass(frozen=True)
class Harmonist:
    """The weights, see `SHAPES`."""

    weights: Mapping[str, Floats]

    @classmethod
    def of(cls, tensors: Mapping[str, NDArray[Any]]) -> "Harmonist":
        """A harmonist of these weights. Raises `ValueError` where one is missing or of another shape."""
        return cls(tensors_of("harmonist", tensors, SHAPES))

    def draw(
        self,
        ground: Ground,
        asked: Wanted,
        generator: np.random.Generator | None,
        temperature: float = TEMPERATURE,
        fit: float = FIT,
        plans: int = 1,
    ) -> tuple[Ints, NDArray[np.bool_]]:
        """Return the chords (S, 3) of all steps, and (S,) in which phrases' last notes begin.

        Without a generator the likeliest ones follow. `fit` is how much given notes weigh. Where none are given, and
        `plans` is more than 1, so many are drawn at a temperature of 1, and the likeliest stays.
        """
        drawn = ~asked.known
        behind = asked.known & (np.cumsum(drawn) > 0)
        weighed = generator is not None and bool((asked.tones.any(axis=1) & drawn).any() or behind.any())
        temperature = 1.0 if plans > 1 and not weighed else temperature
        if generator is not None and not weighed and (library := core()) is not None:
            rows = self._native.draw(library, ground.table, asked.table, generator, temperature, plans)
            return rows[:, :3].astype(np.int64), rows[:, 3] > 0
        if generator is None or weighed:
            return _Drawing(self, ground, asked, generator, (temperature, fit), PARTICLES if weighed else 1).run()
        free = replace(asked, may_close=np.zeros_like(drawn))
        found: list[tuple[float, tuple[Ints, NDArray[np.bool_]]]] = []
        for _ in range(plans):
            for _ in range(MOST_TRIES):
                drawing = _Drawing(self, ground, free, generator, (temperature, fit), 1)
                plan = drawing.run()
                if closes(plan[0], asked.may_close, ground.key.mode == "minor"):
                    break
            found.append((float(drawing.likely[0]), plan))
        return max(found, key=lambda one: one[0])[1]

    @cached_property
    def table(self) -> Floats:
        """All `TABLES`, one below the other."""
        return np.concatenate([self.weights[name] for name in TABLES])

    @cached_property
    def _native(self) -> NativeHarmonist:
        lstm = SmallLstm(self.table, *(self.weights[name] for name in ("weight_ih", "weight_hh", "bias")))
        return NativeHarmonist(lstm, self.weights, _FIRST.tolist())

    @cached_property
    def fits(self) -> Floats:
        """Log-likelihood (ROOTS, KINDS - 1, 12) of a given pitch class over the tonic under each chord."""
        tones = np.log(np.maximum(self.weights["tones"], 1e-4))
        result = np.empty((ROOTS, KINDS - 1, OCTAVE), np.float32)
        result[0] = tones[0]
        for root in range(OCTAVE):
            result[1 + root] = np.roll(tones[1:], root, axis=1)
        return result


class _Drawing:
    """Plans that grow side by side."""

    def __init__(
        self,
        harmonist: Harmonist,
        ground: Ground,
        asked: Wanted,
        generator: np.random.Generator | None,
        weighs: tuple[float, float],  # temperature of chords, and how much given notes weigh
        count: int,
    ) -> None:
        self.weights, self.table, self.fits = harmonist.weights, harmonist.table, harmonist.fits
        self.ground, self.asked = ground, asked
        self.generator, (self.temperature, self.fit) = generator, weighs
        steps, may_close = len(ground), np.flatnonzero(asked.may_close)
        self.close = int(may_close[-1]) if len(may_close) else steps  # from where on only the tonic comes
        home = [TONIC * (KINDS - 1) + quality for quality in closing_qualities(ground.key.mode == "minor")]
        self.away = ~np.isin(np.arange(ROOTS * (KINDS - 1)), home)
        self.codes = np.zeros((count, steps, 3), np.int64)
        self.last = np.zeros((count, steps), bool)
        self.h = self.c = self.y = np.zeros((count, WIDTH), np.float32)
        self.ahead = np.full(count, UNKNOWN)  # steps until the phrase ends
        self.since = np.zeros(count, np.int64)
        self.opening = np.zeros((count, LENGTHS), np.float32)  # logits of the length of the phrase under way
        self.weight = np.zeros(count)  # logarithms
        self.likely = np.zeros(count)  # ln p of the chords drawn

    def run(self) -> tuple[Ints, NDArray[np.bool_]]:
        self.opening = self._phrase_logits()
        for step in range(len(self.ground)):
            self._advance(step)
            self._choose_chord(step)
            if self.generator is not None and len(self.weight) > 1:
                self._resample()
            self._pass_end(step)
        sure = self.generator is None or len(self.weight) == 1
        best = int(self.weight.argmax()) if sure else pick(self.weight[None], self.generator)[0]
        return self.codes[best], self.last[best]

    def _advance(self, step: int) -> None:
        """Move the LSTM to a step."""
        self._foresee_end(step)
        rows = self._rows(step)
        x = self.table[rows + _FIRST].sum(axis=1)
        gates = x @ self.weights["weight_ih"].T + self.h @ self.weights["weight_hh"].T + self.weights["bias"]
        gates = gates.reshape(-1, 4, WIDTH)
        show = sigmoid(gates)  # all at once: calls cost more than numbers
        self.c = show[:, 1] * self.c + show[:, 0] * np.tanh(gates[:, 2])
        self.h = show[:, 3] * np.tanh(self.c)
        self.y = self.h + x

    def _rows(self, step: int) -> Ints:
        """The rows (N, TABLES) of x, in the order of `TABLES`."""
        rows = np.empty((len(self.weight), len(TABLES)), np.int64)
        rows[:, :3] = self.codes[:, step - 1] if step else (NOT_YET, 0, 0)
        for place, at in enumerate(self.ground.ago[step].tolist(), 3):
            rows[:, place] = self.codes[:, at, 0] if at >= 0 else NOT_YET
            rows[:, place + len(AGO)] = self.codes[:, at, 1] if at >= 0 else 0
        rows[:, -6:-4] = self.ground.rows[step, :2]
        rows[:, -4] = np.minimum(self.ahead, UNKNOWN)
        rows[:, -3] = np.minimum(self.since, MOST_SINCE)
        rows[:, -2:] = self.ground.rows[step, 2:]
        return rows

    def _foresee_end(self, step: int) -> None:
        """Find out in how many steps the phrase under way ends, where it is known or can be drawn."""
        asked = self.asked
        if asked.phrased[step]:
            known = asked.last[step:] & asked.phrased[step:]
            ahead = int(known.argmax()) if known.any() else UNKNOWN
            unsure = ~asked.phrased[step : step + ahead]
            self.ahead = np.full(len(self.weight), UNKNOWN if unsure.any() else ahead)
        elif (self.ahead == UNKNOWN).any():
            logits = np.where(np.arange(LENGTHS) < self.since[:, None], -np.inf, self.opening)
            logits[np.isinf(logits).all(axis=1)] = 0
            self.ahead = pick(logits, self.generator) - np.where(self.since < LENGTHS, self.since, 0)

    def _pass_end(self, step: int) -> None:
        self.last[:, step] = self.asked.last[step] if self.asked.phrased[step] else self.ahead == 0
        ended = self.last[:, step]
        self.since = np.where(ended, 0, self.since + 1)
        if ended.any():
            self.opening = np.where(ended[:, None], self._phrase_logits(), self.opening)
        self.ahead = np.where(ended | (self.ahead == UNKNOWN), UNKNOWN, self.ahead - 1)

    def _phrase_logits(self) -> Floats:
        return np.asarray(self.y @ self.weights["to_length"].T + self.weights["to_length_bias"])

    def _choose_chord(self, step: int) -> None:
        asked, source = self.asked, int(self.asked.copied[step])
        if asked.known[step]:
            self.codes[:, step] = asked.codes[step]
            if len(self.weight) > 1 and not asked.known[:step].all():  # it stands behind what is drawn
                root, kind, _ = asked.codes[step]
                self.weight += self._chord_logits()[:, root * (KINDS - 1) + max(0, kind - 1)]
            return
        if source >= 0:
            self.codes[:, step] = self.codes[:, source]
            return
        chords = self._chord_logits()  # (N, ROOTS * (KINDS - 1))
        heard = asked.tones[step]
        if heard.any():
            before = logsum(chords)
            chords = chords + self.fit * (self.fits @ heard).ravel()
            chords[:, : KINDS - 1] = -np.inf  # what sounds there is to be harmonised
            if asked.cadence and step and asked.last[step]:
                chords += asked.cadence * falls_of(self.codes[:, step - 1], KINDS - 1)
            self.weight += logsum(chords) - before
        if step >= self.close:
            before, chords = logsum(chords), np.where(self.away, -np.inf, chords)
            self.weight += logsum(chords) - before
        chosen = pick(chords, self.generator)
        root, kind = np.divmod(chosen, KINDS - 1)
        kind = np.where(root > 0, 1 + kind, 0)
        own = self.y + self.weights["of_root"][root] + self.weights["of_kind"][kind]
        basses = own @ self.weights["to_bass"].T + self.weights["to_bass_bias"]
        over = pick(basses, self.generator)
        row = np.arange(len(root))
        self.likely += chords[row, chosen] - logsum(chords)
        self.likely += np.where(root > 0, basses[row, over] - logsum(basses), 0)
        bass = np.where(root > 0, 1 + (root - 1 + over * (step < self.close)) % OCTAVE, 0)
        self.codes[:, step] = np.stack([root, kind, bass], axis=1)

    def _chord_logits(self) -> Floats:
        """ln p of each root and quality (N, ROOTS * (KINDS - 1)), at the temperature."""
        roots = log_softmax((self.y @ self.weights["to_root"].T + self.weights["to_root_bias"]) / self.temperature)
        own = self.y[:, None] + self.weights["of_root"]  # (N, ROOTS, WIDTH)
        kinds = log_softmax((own @ self.weights["to_kind"].T + self.weights["to_kind_bias"]) / self.temperature)
        result: Floats = (roots[:, :, None] + kinds).reshape(len(roots), -1)
        return result

    def _resample(self) -> None:
        """Let plans that fit go on in place of those that do not, where few fit."""
        assert self.generator is not None
        p = np.exp(self.weight - self.weight.max())
        p /= p.sum()
        if 2 / (p**2).sum() > len(p):
            return
        places = (np.arange(len(p)) + self.generator.random()) / len(p)
        kept = np.minimum(np.searchsorted(np.cumsum(p), places), len(p) - 1)
        for name in ("codes", "last", "h", "c", "y", "ahead", "since", "opening"):
            setattr(self, name, getattr(self, name)[kept])
        self.weight = np.zeros(len(p))


def plan_of(edges: Ints, codes: Ints, last: NDArray[np.bool_], ground: Ground) -> HarmonyPlan:
    """The plan of drawn chords between `edges`; a phrase's last note lasts two steps, or up to the end."""
    starts = np.flatnonzero(last)
    stops = np.minimum(starts + 2, len(codes))
    ends = tuple(zip(edges[starts].tolist(), edges[stops].tolist(), strict=True))
    lines = (*edges[:-1][ground.place == 0].tolist(), int(edges[-1]))
    return HarmonyPlan(edges, absolute(codes, ground.key.tonic), ends, lines=lines)


def tones_in(notes: Notes, edges: Ints) -> Floats:
    """The share (S, 12) of each step for which each pitch class sounds."""
    result = np.zeros((len(edges) - 1, OCTAVE), np.float32)
    for onset, duration, pitch in zip(notes.onset.tolist(), notes.duration.tolist(), notes.pitch.tolist(), strict=True):
        first, after = np.searchsorted(edges, [onset, onset + duration], side="right") - 1
        for step in range(max(0, int(first)), min(int(after), len(result) - 1) + 1):
            inside = min(onset + duration, int(edges[step + 1])) - max(onset, int(edges[step]))
            result[step, pitch % OCTAVE] += max(0, inside) / (edges[step + 1] - edges[step])
    return result

"""The decode loop: one step of the engine and one token a row, until every row has reached its end.

Each row has its own reader and its own random numbers, and the engine's result for a row does not depend on its
neighbours. So a take is the same whether it is drawn alone or among others.

A row about to break the rule given as `veto` goes back to a bar line and draws again with its next random numbers:

    bar   5    6    7    8
          |    |    |    |---x      about to copy too long
          |    |    |    |->        attempts 1 to 3 draw bar 8 again,
          |    |    |->             4 to 6 bars 7 and 8,
          |->                       7 to 9 bars 5 to 8; then it goes on, obeying, until it is past bar 8

So it always ends. Tokens that may still be taken back are held until they are `REACH` bars old.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from melody.engine import Carry, Engine, reorder
from melody.errors import MelodyError
from melody.generation.decoders.samplers import Sampling, choose, log_probability
from melody.generation.rules.copying import NoLongCopy
from melody.generation.rules.rules import Rule, narrowed
from melody.tokens import Reader

MAX_TOKENS = 1_000_000  # of one take: a bound on run-away pieces, not on music
TRIES = 9  # attempts to get past a bar in which the veto spoke
REACH = 4  # bars that a row can go back
_BLOCK = 256  # tokens of a prefix whose logits are at hand together


@dataclass
class Prefix:
    """What has been read so far: the reader, the engine's carry (batch 1), and the logits (V,) of the next token."""

    reader: Reader
    carry: Carry
    logits: NDArray[np.float32]
    nats: float = 0.0  # of what was read, after the first token, without the grammar


@dataclass
class Continuation:
    """New tokens, and their -ln p under the model within the grammar, one a token."""

    ids: list[int]
    nats: list[float]


def read_prefix(engine: Engine, reader: Reader, ids: Sequence[int]) -> Prefix:
    """Let a fresh reader and the engine read `ids` (at least BOS)."""
    carry = engine.initial_carry(1)
    nats = 0.0
    for start in range(0, len(ids), _BLOCK):
        block = []
        for token in ids[start : start + _BLOCK]:
            reader.read(int(token))
            logits, carry = engine.step(np.array([token]), reader.context[None], carry)
            block.append(logits[0].copy())
        nats += _nats(np.stack(block), ids[start + 1 : start + 1 + len(block)])
    return Prefix(reader, carry, block[-1], nats)


def _nats(logits: NDArray[np.float32], targets: Sequence[int]) -> float:
    """-ln p of the targets (N,) under the first N rows of logits (M, V), all at once: that costs next to nothing."""
    rows = logits[: len(targets)]
    top = rows.max(axis=1)
    chosen = rows[np.arange(len(rows)), targets]
    return float((np.log(np.exp(rows - top[:, None]).sum(axis=1)) + top - chosen).sum())


@dataclass(frozen=True)
class Mark:
    """A bar line to which a row can go back: what a `Prefix` holds, and how many tokens it had drawn."""

    reader: Reader
    carry: Carry
    logits: NDArray[np.float32]
    drawn: int


@dataclass
class Row:
    """A take on its way."""

    number: int
    reader: Reader
    generator: np.random.Generator
    held: list[tuple[int, float]] = field(default_factory=list)  # (token, nats) not yet yielded
    drawn: int = 0  # tokens, those held included
    marks: deque[Mark] = field(default_factory=deque)  # of the last `REACH` bar lines
    farthest: int = -1  # bar to which it has come
    tries: int = 0  # times it went back from there

    def keep(self, token: int, nats: float) -> None:
        """Go on by a token."""
        self.reader.read(token)
        self.held.append((token, nats))
        self.drawn += 1
        if self.drawn > MAX_TOKENS:
            raise MelodyError(f"a take grew past {MAX_TOKENS:,} tokens without an end; ask for fewer bars")

    def mark(self, carry: Carry, logits: NDArray[np.float32]) -> None:
        """Remember this bar line; the oldest one is forgotten where there are more than `REACH`."""
        if self.marks and self.marks[-1].drawn == self.drawn:
            return
        if len(self.marks) == REACH:
            self.marks.popleft()
        self.marks.append(Mark(self.reader.copy(), carry, logits.copy(), self.drawn))
        if self.reader.bar > self.farthest:
            self.farthest, self.tries = self.reader.bar, 0

    def go_back(self) -> Mark:
        """Return to a bar line: the nearest on the first attempts, then farther ones."""
        bars_back = min(1 << self.tries * 3 // TRIES, len(self.marks))
        self.tries += 1
        for _ in range(bars_back - 1):
            self.marks.pop()
        mark = self.marks[-1]
        self.reader = mark.reader.copy()
        del self.held[len(self.held) - (self.drawn - mark.drawn) :]
        self.drawn = mark.drawn
        return mark

    def release(self, everything: bool) -> Iterator[tuple[int, int, float]]:
        """Yield and forget the tokens that will not be taken back."""
        still_held = 0 if everything or not self.marks else self.drawn - self.marks[0].drawn
        count = len(self.held) - still_held
        for token, nats in self.held[:count]:
            yield self.number, token, nats
        del self.held[:count]


def sample(
    engine: Engine,
    prefix: Prefix,
    rules: Sequence[Rule],
    sampling: Sampling,
    generators: Sequence[np.random.Generator],
    veto: NoLongCopy | None = None,
) -> list[Continuation]:
    """One continuation up to its end for each generator, drawn side by side."""
    results = [Continuation([], []) for _ in generators]
    for row, token, nats in stream(engine, prefix, rules, sampling, generators, veto):
        results[row].ids.append(token)
        results[row].nats.append(nats)
    return results


def stream(
    engine: Engine,
    prefix: Prefix,
    rules: Sequence[Rule],
    sampling: Sampling,
    generators: Sequence[np.random.Generator],
    veto: NoLongCopy | None = None,
) -> Iterator[tuple[int, int, float]]:
    """Yield (row, token, nats) as they are drawn, the one that ends a row (see `Reader.ends_with`) included.

    `veto` is one of the rules: one that a row obeys only after it has tried to do without.
    """
    draw = _Draw(rules, sampling, veto)
    rows = [Row(number, prefix.reader.copy(), generator) for number, generator in enumerate(generators)]
    carry = reorder(prefix.carry, np.zeros(len(rows), np.int64))
    logits = np.repeat(prefix.logits[None], len(rows), axis=0)
    while rows:
        tokens, going = [], []
        for place, row in enumerate(rows):
            if veto is not None and (row.reader.kind == "Bar" or not row.drawn):
                row.mark(reorder(carry, np.array([place])), logits[place])
            while (drawn := draw(row, logits[place])) is None:
                mark = row.go_back()
                logits[place] = mark.logits
                carry = _with_row(carry, place, mark.carry)
            done = row.reader.ends_with(drawn[0])
            row.keep(*drawn)
            tokens.append(drawn[0])
            yield from row.release(everything=done)
            if not done:
                going.append(place)
        if not going:
            return
        if len(going) < len(rows):
            rows = [rows[place] for place in going]
            tokens = [tokens[place] for place in going]
            carry = reorder(carry, np.array(going))
        logits, carry = engine.step(np.array(tokens), np.array([row.reader.context for row in rows]), carry)


def _with_row(carry: Carry, place: int, row: Carry) -> Carry:
    """The carry with another row, itself of batch 1, at a place."""
    result = tuple(part.copy() for part in carry)
    for part, new in zip(result, row, strict=True):
        part[place] = new[0]
    return result


class _Draw:
    """Draws a token for a row, or None where it had better go back."""

    def __init__(self, rules: Sequence[Rule], sampling: Sampling, veto: NoLongCopy | None) -> None:
        self.rules = rules
        self.sampling = sampling
        self.veto = veto
        self.others = [rule for rule in rules if rule is not veto]

    def __call__(self, row: Row, logits: NDArray[np.float32]) -> tuple[int, float] | None:
        lawful = row.reader.allow()
        token = self._choose(row, lawful, logits, self.others)
        if self._forbidden(row.reader, token):
            if row.reader.vocabulary.kind_of[token] == "Pitch" and row.tries < TRIES and self.sampling.temperature > 0:
                return None
            token = self._choose(row, lawful, logits, self.rules)
        return token, -log_probability(logits, token, lawful)

    def _choose(self, row: Row, lawful: NDArray[np.bool_], logits: NDArray[np.float32], rules: Sequence[Rule]) -> int:
        (running,) = narrowed(lawful, row.reader, rules).nonzero()  # a small part of the vocabulary
        return int(running[choose(logits[running], self.sampling, row.generator)])

    def _forbidden(self, reader: Reader, token: int) -> bool:
        return self.veto is not None and self.veto.forbids(reader, token)

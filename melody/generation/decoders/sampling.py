"""Sampling: one step of the engine and one token a row, until every row has reached its end.

Each row has its own reader and its own random numbers, and the engine's result for a row does not depend on its
neighbours. So a take is the same whether it is drawn alone or among others.

A row about to break a rule that asks for it (see `melody.generation.rules.contract.GoesBack`) goes back to a bar line
and draws again with its next random numbers:

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
from melody.generation.decoders.contract import Continuation, check_length
from melody.generation.decoders.native_loop import native_loop
from melody.generation.prefix import Prefix
from melody.generation.prepared import Prepared
from melody.generation.rules.contract import GoesBack, Rule, narrowed, redirected, redirecting
from melody.generation.sampling import Sampling, choose, log_probability
from melody.generation.seeds import Seed
from melody.tokens import Reader

BATCH = 16  # rows drawn side by side
TRIES = 9  # attempts to get past a bar in which such a rule spoke
REACH = 4  # bars that a row can go back


@dataclass(frozen=True)
class BarMark:
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
    marks: deque[BarMark] = field(default_factory=deque)  # of the last `REACH` bar lines
    farthest: int = -1  # bar to which it has come
    tries: int = 0  # times it went back from there

    def keep(self, token: int, nats: float) -> None:
        """Go on by a token."""
        self.reader.read(token)
        self.held.append((token, nats))
        self.drawn += 1
        check_length(self.drawn)

    def mark(self, carry: Carry, logits: NDArray[np.float32]) -> None:
        """Remember this bar line; the oldest one is forgotten where there are more than `REACH`."""
        if self.marks and self.marks[-1].drawn == self.drawn:
            return
        if len(self.marks) == REACH:
            self.marks.popleft()
        self.marks.append(BarMark(self.reader.copy(), carry, logits.copy(), self.drawn))
        if self.reader.bar > self.farthest:
            self.farthest, self.tries = self.reader.bar, 0

    def go_back(self) -> BarMark:
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


class Sampled:
    """The decoder that draws tokens one by one."""

    def decode(self, prepared: Prepared, engine: Engine, seeds: Sequence[Seed]) -> list[Continuation]:
        """Return a continuation for each seed, drawn in groups."""
        drawn: list[Continuation] = []
        for start in range(0, len(seeds), BATCH):
            group = seeds[start : start + BATCH]
            generators = [seed.generator() for seed in group]
            drawn += sample(engine, prepared.start(group), prepared.rules, prepared.settings.sampling, generators)
        return drawn


def sample(
    engine: Engine,
    prefixes: Sequence[Prefix],
    rules: Sequence[Rule],
    sampling: Sampling,
    generators: Sequence[np.random.Generator],
) -> list[Continuation]:
    """Return a continuation up to its end for each prefix and its generator, drawn side by side."""
    loop = native_loop(engine, prefixes, rules, sampling, generators)
    if loop is not None:
        return loop.continuations()
    results = [Continuation([], []) for _ in generators]
    for row, token, nats in stream(engine, prefixes, rules, sampling, generators):
        results[row].ids.append(token)
        results[row].nats.append(nats)
    return results


def stream(
    engine: Engine,
    prefixes: Sequence[Prefix],
    rules: Sequence[Rule],
    sampling: Sampling,
    generators: Sequence[np.random.Generator],
) -> Iterator[tuple[int, int, float]]:
    """Yield (row, token, nats) as they are drawn, the one that ends a row (see `Reader.ends_with`) included.

    The native engine draws a note, or what leads to it, before it yields.
    """
    loop = native_loop(engine, prefixes, rules, sampling, generators)
    if loop is not None:
        yield from loop.drawn()
        return
    draw = _Draw(rules, sampling)
    pairs = zip(prefixes, generators, strict=True)
    rows = [Row(number, prefix.reader.copy(), generator) for number, (prefix, generator) in enumerate(pairs)]
    carry: Carry = tuple(map(np.concatenate, zip(*(prefix.carry for prefix in prefixes), strict=True)))
    logits = np.stack([prefix.logits for prefix in prefixes])
    while rows:
        tokens, going = [], []
        for place, row in enumerate(rows):
            if draw.retried and (row.reader.kind == "Bar" or not row.drawn):
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

    def __init__(self, rules: Sequence[Rule], sampling: Sampling) -> None:
        self.rules = rules
        self.sampling = sampling
        self.retried = [rule for rule in rules if isinstance(rule, GoesBack)]
        self.redirecting = redirecting(rules)
        self.others = [rule for rule in rules if not isinstance(rule, GoesBack)]

    def __call__(self, row: Row, logits: NDArray[np.float32]) -> tuple[int, float] | None:
        lawful = row.reader.allow()
        token = self._choose(row, lawful, logits, self.others)
        broken = [rule for rule in self.retried if rule.forbids(row.reader, token)]
        if broken:
            kind = row.reader.vocabulary.kind_of[token]
            if any(kind in rule.back_at for rule in broken) and row.tries < TRIES and self.sampling.temperature > 0:
                return None
            token = self._choose(row, lawful, logits, self.rules)
        return token, -log_probability(logits, token, lawful)

    def _choose(self, row: Row, lawful: NDArray[np.bool_], logits: NDArray[np.float32], rules: Sequence[Rule]) -> int:
        mask = narrowed(lawful, row.reader, rules)
        if self.redirecting:
            logits = redirected(logits, lawful, mask, row.reader, self.redirecting)
        (running,) = mask.nonzero()  # a small part of the vocabulary
        return int(running[choose(logits[running], self.sampling, row.generator)])

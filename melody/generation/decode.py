"""The decode loop: one step of the engine and one token a row, until every row has reached its end.

Each row has its own reader and its own random numbers, and the engine's result for a row does not depend on its
neighbours. So a take is the same whether it is drawn alone or among others.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from melody.engine import Carry, Engine, reorder
from melody.errors import MelodyError
from melody.generation.rules import Rule, narrowed
from melody.generation.sampling import Sampling, choose, log_probability
from melody.tokens import Reader

MAX_TOKENS = 1_000_000  # of one take: a bound on run-away pieces, not on music


@dataclass
class Prefix:
    """What has been read so far: the reader, the engine's carry (batch 1), and the logits (V,) of the next token."""

    reader: Reader
    carry: Carry
    logits: NDArray[np.float32]


@dataclass
class Continuation:
    """New tokens, and their -ln p under the model within the grammar, one a token."""

    ids: list[int]
    nats: list[float]


def read_prefix(engine: Engine, reader: Reader, ids: Sequence[int]) -> Prefix:
    """Let a fresh reader and the engine read `ids` (at least BOS)."""
    carry = engine.initial_carry(1)
    logits = np.empty((1, 0), np.float32)
    for token in ids:
        reader.read(int(token))
        logits, carry = engine.step(np.array([token]), reader.context[None], carry)
    return Prefix(reader, carry, logits[0])


def sample(
    engine: Engine,
    prefix: Prefix,
    rules: Sequence[Rule],
    sampling: Sampling,
    generators: Sequence[np.random.Generator],
) -> list[Continuation]:
    """One continuation up to EOS for each generator, drawn side by side."""
    results = [Continuation([], []) for _ in generators]
    for row, token, nats in stream(engine, prefix, rules, sampling, generators):
        results[row].ids.append(token)
        results[row].nats.append(nats)
    return results


def stream(
    engine: Engine,
    prefix: Prefix,
    rules: Sequence[Rule],
    sampling: Sampling,
    generators: Sequence[np.random.Generator],
) -> Iterator[tuple[int, int, float]]:
    """Yield (row, token, nats) as they are drawn, EOS included."""
    end = prefix.reader.ids["End"][0]
    rows = list(range(len(generators)))
    readers = [prefix.reader.copy() for _ in rows]
    carry = reorder(prefix.carry, np.zeros(len(rows), np.int64))
    logits = np.repeat(prefix.logits[None], len(rows), axis=0)
    for _ in range(MAX_TOKENS):
        tokens = []
        for place, row in enumerate(rows):
            token, nats = _draw(readers[place], logits[place], rules, sampling, generators[row])
            readers[place].read(token)
            tokens.append(token)
            yield row, token, nats
        going = [place for place, token in enumerate(tokens) if token != end]
        if not going:
            return
        if len(going) < len(rows):
            rows = [rows[place] for place in going]
            readers = [readers[place] for place in going]
            tokens = [tokens[place] for place in going]
            carry = reorder(carry, np.array(going))
        logits, carry = engine.step(np.array(tokens), np.stack([reader.context for reader in readers]), carry)
    raise MelodyError(f"a take grew past {MAX_TOKENS:,} tokens without an end; ask for fewer bars")


def _draw(
    reader: Reader,
    logits: NDArray[np.float32],
    rules: Sequence[Rule],
    sampling: Sampling,
    generator: np.random.Generator,
) -> tuple[int, float]:
    lawful = reader.allow()
    token = choose(np.where(narrowed(lawful, reader, rules), logits, -np.inf), sampling, generator)
    return token, -log_probability(np.where(lawful, logits, -np.inf), token)

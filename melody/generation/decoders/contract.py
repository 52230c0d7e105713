"""The contract of decoders: from a prepared composition to tokens, one continuation for each seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from melody.engine import Engine
from melody.errors import MelodyError
from melody.generation.prepared import Prepared
from melody.generation.seeds import Seed

MAX_TOKENS = 1_000_000  # of one take: a bound on run-away pieces, not on music


@dataclass
class Continuation:
    """New tokens, and their -ln p under the model within the grammar, one a token."""

    ids: list[int]
    nats: list[float]


def check_length(tokens: int) -> None:
    """Raise `MelodyError` for a take that does not end."""
    if tokens > MAX_TOKENS:
        raise MelodyError(f"a take grew past {MAX_TOKENS:,} tokens without an end; ask for fewer bars")


class Decoder(Protocol):
    """A way to find tokens. It has no state: all it needs is in its arguments."""

    def decode(self, prepared: Prepared, engine: Engine, seeds: Sequence[Seed]) -> list[Continuation]:
        """Return a continuation for each seed, up to its end."""

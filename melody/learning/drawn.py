"""Music that teachers compose for their student, to be learned beside the corpus.

Sequence-level distillation (Kim & Rush 2016, arXiv:1606.07947): a small model learns from music that nobody has
learned, and from what its teachers think at each place of it. They compose as they think: from all of the probability,
without the rules of their style. Each piece is as long as one of the training pieces, chosen by chance, and in its
style. It is told to the student as the corpus is, but not transposed: teachers choose keys themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melody.bundle import Bundle, open_bundle
from melody.config import DataConfig, TrainConfig
from melody.corpus import AugmentedSource, shift_tables
from melody.corpus.augment import Fetched
from melody.corpus.draw_conditions import ConditionTeller, density_limits
from melody.corpus.draw_form import Plans
from melody.corpus.store import Split
from melody.engine import open_engine
from melody.errors import ConfigError, MelodyError
from melody.generation.decoders import DECODERS
from melody.generation.prepared import prepare
from melody.generation.sampling import Sampling
from melody.generation.seeds import Seed
from melody.generation.settings import Settings
from melody.learning.sources import Sources
from melody.music.score import note_count
from melody.tokens.harmony import RATES

LEAST_BARS, MOST_BARS = 4, 64
OF_STUDENTS = 2**33  # seeds from here on are those of pieces that are drawn for a student


@dataclass(frozen=True)
class Joined:
    """Several sources as one, their pieces one after the other (`melody.training.lanes.PieceSource`)."""

    parts: Sequence[AugmentedSource]

    @property
    def lengths(self) -> NDArray[Any]:
        """Tokens of each piece, shape (P,)."""
        return np.concatenate([part.lengths for part in self.parts])

    @property
    def notes(self) -> NDArray[Any]:
        """Notes of each piece, shape (P,)."""
        return np.concatenate([part.notes for part in self.parts])

    def fetch(self, piece: int, generator: np.random.Generator) -> Fetched:
        """Return a piece, as its source has it this time."""
        ends = [*accumulate(map(len, self.parts))]
        place = int(np.searchsorted(ends, piece, side="right"))
        return self.parts[place].fetch(piece - ([0, *ends])[place], generator)


def with_drawn(sources: Sources, config: TrainConfig) -> "AugmentedSource | Joined":
    """The pieces that a configuration trains on: with those its teachers compose, where it asks for some.

    Raises `MelodyError` where its teachers compose nothing.
    """
    count = getattr(config.objective, "drawn", 0)
    if not count:
        return sources.learnt
    if not sources.kind.composes:
        raise ConfigError(f"objective.drawn: models of {sources.tokenizer.name} compose nothing; leave it out")
    teachers = [_composing(name) for name in getattr(config.objective, "teachers", ())]
    split = drawn(teachers, sources, count, config.data.seed)
    return Joined([sources.learnt, as_corpus(split, sources, config.data)])


def drawn(teachers: Sequence[Bundle], sources: Sources, count: int, seed: int) -> Split:
    """Pieces that teachers compose in turn, always the same ones of a seed."""
    train, tokenizer = sources.learnt.split, sources.tokenizer
    bar = tokenizer.vocabulary.ids["Bar"][0]
    generator = np.random.default_rng([OF_STUDENTS, seed])
    found: list[tuple[NDArray[np.uint16], int]] = []
    engines = [open_engine(teacher) for teacher in teachers]
    for number, like in enumerate(generator.integers(len(train), size=count).tolist()):
        bars = int(np.clip(np.count_nonzero(train.piece(like)[0] == bar), LEAST_BARS, MOST_BARS))
        style = int(train.styles[like])
        settings = Settings(
            bars=bars,
            style=sources.store.styles[style - 1] if style else None,
            style_rules=False,
            sampling=Sampling(top_p=1.0),
        )
        turn = number % len(teachers)
        prepared = prepare(teachers[turn], engines[turn], None, settings)
        (take,) = DECODERS["sampling"].decode(prepared, engines[turn], [Seed(OF_STUDENTS + seed, 1 + number)])
        ids = np.array([*prepared.ids, *take.ids], np.uint16)
        found.append((ids, style))
    return _split_of(found, [note_count(tokenizer.decode(ids)) for ids, _ in found])


def _split_of(pieces: Sequence[tuple[NDArray[np.uint16], int]], notes: Sequence[int]) -> Split:
    """A split in memory, whose channels are read anew each time."""
    lengths = np.array([len(ids) for ids, _ in pieces], np.int64)
    ids = np.concatenate([ids for ids, _ in pieces])
    return Split(
        shards={0: (ids, np.zeros((len(ids), 0), np.int16))},
        shard=np.zeros(len(pieces), np.int64),
        starts=np.cumsum([0, *lengths[:-1]]),
        lengths=lengths,
        notes=np.array(notes, np.int32),
        shifts=np.zeros((len(pieces), 2), np.int8),
        styles=np.array([style for _, style in pieces], np.int8),
        names=[f"drawn {number}" for number in range(len(pieces))],
        channels=(),
    )


def as_corpus(split: Split, sources: Sources, data: DataConfig) -> AugmentedSource:
    """The pieces of a split, told as those of the corpus are."""
    learnt = sources.learnt
    tables = shift_tables(sources.tokenizer, split)
    limits = density_limits(learnt.split)
    tokenizer: Any = sources.tokenizer
    teller = ConditionTeller(split, tokenizer, limits, data.silence, data.harmony or RATES[0])
    plans = Plans(split, apart=tables.parts > 0).drawn
    return replace(learnt, split=split, tables=tables, transpose=False, teller=teller, forms=plans)


def _composing(name: str) -> Bundle:
    """A teacher that composes. Raises `ConfigError` for a run."""
    try:
        return open_bundle(name)
    except MelodyError as error:
        raise ConfigError(
            f"objective.drawn: {name} is no model that composes; export the run, or leave drawn out"
        ) from error

"""Likelihood of pieces under a model, in nats per note: -ln p(all tokens, end included | BOS) over the number of notes.

Unlike nats per token it compares tokenizers, as long as each is lossless. The model is asked within the grammar: a mask
that follows from the tokens so far alone costs nothing. The plan is the piece's own (its length and key), which is what
a musician gives; `plan=False` hides it, for comparison with models that are told nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melody.bundle import Bundle
from melody.engine import Engine
from melody.engine.nats import nats_read_by
from melody.music.score import Score
from melody.tokens import Plan

BATCH = 16


@dataclass(frozen=True)
class Likelihood:
    """Cost of held-out pieces."""

    pieces: int
    notes: int
    tokens: int  # predicted ones: all but BOS
    nats: float
    raw_nats: float  # without the grammar's mask

    @property
    def nats_per_note(self) -> float:
        """The figure that compares models and tokenizers."""
        return self.nats / max(1, self.notes)

    @property
    def nats_per_token(self) -> float:
        """Bound to this tokenizer."""
        return self.nats / max(1, self.tokens)


def likelihood_of(
    pieces: Sequence[NDArray[np.integer]], notes: int, bundle: Bundle, engine: Engine, plan: bool = True
) -> Likelihood:
    """The likelihood of pieces of ids (BOS to EOS) with `notes` notes together."""
    order = sorted(range(len(pieces)), key=lambda index: len(pieces[index]))  # like lengths side by side
    nats = raw = 0.0
    for start in range(0, len(order), BATCH):
        batch = [np.asarray(pieces[index]) for index in order[start : start + BATCH]]
        for masked, unmasked in token_nats(batch, bundle, engine, plan):
            nats, raw = nats + float(masked.sum()), raw + float(unmasked.sum())
    return Likelihood(len(pieces), notes, sum(len(ids) - 1 for ids in pieces), nats, raw)


def token_nats(
    pieces: Sequence[NDArray[np.integer]], bundle: Bundle, engine: Engine, plan: bool | Plan = True
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """For each piece the nats (T - 1,) of its tokens after BOS, within the grammar and without it.

    The model is told each piece's own plan, none, or one that is given.
    """
    tokenizer = bundle.tokenizer
    plans = [plan if isinstance(plan, Plan) else tokenizer.plan_of(ids) if plan else Plan() for ids in pieces]
    readers = [tokenizer.reader(one) for one in plans]
    return [(within[0], without[0]) for within, without in nats_read_by(pieces, readers, engine)]


def nats_per_bar(score: Score, bundle: Bundle, engine: Engine) -> list[dict[str, Any]]:
    """Measure how surprising a model finds each bar of a score: rows of bar (from 1), notes and nats per note."""
    from melody.generation.primer.primer_view import view_primer

    vocabulary = bundle.tokenizer.vocabulary
    ids = np.array([*view_primer(score, bundle).ids, vocabulary.ids["End"][0]])
    nats = token_nats([ids], bundle, engine)[0][0]
    kinds = [vocabulary.kind_of[token] for token in ids[1:].tolist()]
    bar = np.cumsum([kind == "Bar" for kind in kinds])
    is_note = np.array([kind in ("Pitch", "Drum") for kind in kinds])
    rows = []
    for number in range(1, int(bar.max()) + 1):
        notes = int(is_note[bar == number].sum())
        rows.append({"bar": number, "notes": notes, "nats per note": float(nats[bar == number].sum()) / max(1, notes)})
    return rows

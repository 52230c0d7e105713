"""Likelihood of pieces under a model, in nats per note: -ln p(all tokens, end included | BOS) over the number of notes.

Unlike nats per token it compares tokenizers, as long as each is lossless. The model is asked within the grammar: a mask
that follows from the tokens so far alone costs nothing. The plan is the piece's own (its length and key), which is what
a musician gives; `plan=False` hides it, for comparison with models that are told nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melody.bundle import Bundle
from melody.engine import Engine
from melody.engine.nats import nats_read_by
from melody.music.score import Score
from melody.tokens import Plan
from melody.tokens.channels import layout_of
from melody.tokens.harmony import harmony_of
from melody.tokens.native_reader import reader_for
from melody.tokens.plan_finding import plan_of_piece

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
    pieces: Sequence[NDArray[np.integer]],
    notes: int,
    bundle: Bundle,
    engine: Engine,
    plan: bool | Callable[[NDArray[np.integer]], Plan] = True,
) -> Likelihood:
    """The likelihood of pieces of ids (BOS to EOS) with `notes` notes together; `plan` as `token_nats` has it."""
    order = sorted(range(len(pieces)), key=lambda index: len(pieces[index]))  # like lengths side by side
    nats = raw = 0.0
    for start in range(0, len(order), BATCH):
        batch = [np.asarray(pieces[index]) for index in order[start : start + BATCH]]
        for masked, unmasked in token_nats(batch, bundle, engine, plan):
            nats, raw = nats + float(masked.sum()), raw + float(unmasked.sum())
    return Likelihood(len(pieces), notes, sum(len(ids) - 1 for ids in pieces), nats, raw)


def token_nats(
    pieces: Sequence[NDArray[np.integer]],
    bundle: Bundle,
    engine: Engine,
    plan: bool | Plan | Callable[[NDArray[np.integer]], Plan] = True,
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """For each piece the nats (T - 1,) of its tokens after BOS, within the grammar and without it.

    The model is told each piece's own plan, none, one that is given, or one that is found for each.
    """
    tokenizer = bundle.tokenizer
    find = tokenizer.plan_of if plan is True else plan if callable(plan) else lambda _: plan or Plan()
    layout, plans = layout_of(tokenizer.names), [find(ids) for ids in pieces]
    readers = [reader_for(layout, one) or tokenizer.reader(one) for one in plans]  # in C, where it is there
    return [(within[0], without[0]) for within, without in nats_read_by(pieces, readers, engine)]


def with_form(bundle: Bundle) -> Callable[[NDArray[np.integer]], Plan]:
    """Return a function that finds a piece's own plan, that of its bars too (`melody.tokens.plan`)."""
    tokenizer = bundle.tokenizer
    apart = tokenizer.parts > 0
    return lambda ids: replace(tokenizer.plan_of(ids), form=plan_of_piece(ids.tolist(), apart=apart).plan)


def with_chords(bundle: Bundle) -> Callable[[NDArray[np.integer]], Plan]:
    """Return a function that finds a piece's own plan, and the chords that sound in it (`melody.tokens.harmony`)."""
    tokenizer = bundle.tokenizer

    def found(ids: NDArray[np.integer]) -> Plan:
        chords = harmony_of(tokenizer.decode(ids), bundle.harmony_rate)
        return replace(tokenizer.plan_of(ids), harmony=chords.table())

    return found


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

"""Stochastic beam search: as many takes as wanted, drawn from the model, and no two alike.

Drawing without replacement by perturbed log-probabilities (Kool, van Hoof & Welling 2019, arXiv:1903.06059): give every
finished piece its ln p plus Gumbel noise, and the W largest are W draws without replacement, in this order. The maximum
over all pieces that begin alike is Gumbel too, so it can be drawn first and handed down: a beam of the W largest maxima
finds the same pieces without knowing the others. The first of them is an ordinary sample.

p is what `sample` draws from: the model within grammar and rules, after temperature, top-k, nucleus and min-p.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melody.engine import Engine, reorder
from melody.errors import MelodyError, UsageError
from melody.generation.decoders.contract import MAX_TOKENS, Continuation
from melody.generation.prefix import Prefix
from melody.generation.prepared import Prepared
from melody.generation.rules.contract import Redirects, Rule, narrowed, redirected, redirecting
from melody.generation.sampling import Sampling, shaped
from melody.generation.seeds import Seed
from melody.tokens import Reader

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Branch:
    """Tokens drawn so far, their nats under the model, their ln p as drawn, and the maximum over all they lead to."""

    ids: tuple[int, ...]
    nats: tuple[float, ...]
    log_p: float
    maximum: float
    done: bool = False


class StochasticBeamSearch:
    """The decoder that draws takes together, so that no two are alike."""

    def decode(self, prepared: Prepared, engine: Engine, seeds: Sequence[Seed]) -> list[Continuation]:
        """Return as many different continuations as there are seeds; they depend on the first one's seed."""
        settings, (prefix,) = prepared.settings, prepared.start(seeds[:1])
        generator = Seed(seeds[0].seed, take=0).generator()
        width, sampling = settings.beam_width, settings.sampling
        return stochastic_beam_search(engine, prefix, prepared.rules, width, sampling, generator, len(seeds))


def stochastic_beam_search(
    engine: Engine,
    prefix: Prefix,
    rules: Sequence[Rule],
    width: int,
    sampling: Sampling,
    generator: np.random.Generator,
    count: int = 1,
) -> list[Continuation]:
    """The first `count` of `width` different continuations, in the order in which they were drawn.

    They depend on the generator and the width, not on the count.
    """
    if width < 1 or count > width:
        raise UsageError(f"`beam_width` must be at least the number of takes ({count}), got {width}")
    going, finished = [Branch((), (), 0.0, 0.0)], list[Branch]()
    turns = redirecting(rules)
    readers, carry, logits = [prefix.reader], prefix.carry, prefix.logits[None]
    for _ in range(MAX_TOKENS):
        grown: list[tuple[Branch, int]] = [(branch, -1) for branch in finished]
        for row, (branch, reader) in enumerate(zip(going, readers, strict=True)):
            grown += [(b, row) for b in _grow(branch, reader, logits[row], rules, turns, width, sampling, generator)]
        grown = sorted(grown, key=lambda pair: -pair[0].maximum)[:width]
        finished = [branch for branch, _ in grown if branch.done]
        under_way = [(branch, row) for branch, row in grown if not branch.done]
        if not under_way:
            return [Continuation(list(branch.ids), list(branch.nats)) for branch in finished[:count]]
        going, parents = [branch for branch, _ in under_way], [row for _, row in under_way]
        readers = [readers[row].copy() for row in parents]
        for reader, branch in zip(readers, going, strict=True):
            reader.read(branch.ids[-1])
        tokens = np.array([branch.ids[-1] for branch in going])
        logits, carry = engine.step(tokens, np.stack([r.context for r in readers]), reorder(carry, np.array(parents)))
    raise MelodyError(f"a take grew past {MAX_TOKENS:,} tokens without an end; ask for fewer bars")


def _grow(
    branch: Branch,
    reader: Reader,
    logits: NDArray[Any],
    rules: Sequence[Rule],
    turns: Sequence[Redirects],
    width: int,
    sampling: Sampling,
    generator: np.random.Generator,
) -> list[Branch]:
    """The branch with each of the `width` next tokens of the largest maxima; the first keeps the branch's own."""
    lawful = reader.allow()
    mask = narrowed(lawful, reader, rules)
    moved = redirected(logits, lawful, mask, reader, turns)
    running = np.flatnonzero(mask)
    weights = shaped(moved[running].astype(np.float64), sampling)
    running, weights = running[weights > -np.inf], weights[weights > -np.inf]
    log_p = branch.log_p + weights - np.logaddexp.reduce(weights)
    maxima = _with_maximum(log_p + generator.gumbel(size=len(log_p)), branch.maximum)
    nats = np.logaddexp.reduce(logits[lawful].astype(np.float64)) - logits[running]
    rows = zip(running.tolist(), nats.tolist(), log_p.tolist(), maxima.tolist(), strict=True)
    best = sorted(rows, key=lambda row: -row[-1])[:width]
    return [
        Branch((*branch.ids, token), (*branch.nats, cost), p, maximum, reader.ends_with(token))
        for token, cost, p, maximum in best
    ]


def _with_maximum(drawn: Floats, maximum: float) -> Floats:
    """Gumbel variables given that the largest of them is `maximum`, from free ones (Kool et al., appendix B.3)."""
    with np.errstate(divide="ignore"):  # the largest itself: ln(1 - 1)
        v = maximum - drawn + np.log1p(-np.exp(drawn - drawn.max()))
    result: Floats = maximum - np.maximum(0.0, v) - np.log1p(np.exp(-np.abs(v)))
    return result

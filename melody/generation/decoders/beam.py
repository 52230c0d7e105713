"""Beam search: the likeliest continuations, deterministically.

At each step every hypothesis is extended by every token that may follow and the best W stay; one that has reached its
end is set aside. Hypotheses of different lengths are compared by log-probability over ``((5 + length) / 6) ** alpha``
(Wu et al. 2016, arXiv:1609.08144); alpha 0 compares plain log-probabilities.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from melody.engine import Engine, reorder
from melody.errors import MelodyError, UsageError
from melody.generation.decoders.contract import MAX_TOKENS, Continuation
from melody.generation.prefix import Prefix
from melody.generation.prepared import Prepared
from melody.generation.rules.contract import Redirects, Rule, narrowed, redirected, redirecting
from melody.generation.seeds import Seed
from melody.tokens import Reader


@dataclass(frozen=True)
class Hypothesis:
    """Tokens drawn so far with their nats and the sum of these; `score` is the normalised log-probability."""

    ids: tuple[int, ...]
    nats: tuple[float, ...]
    total: float
    alpha: float
    done: bool = False

    @property
    def score(self) -> float:
        """Return the number that the search maximises."""
        return -self.total / length_norm(len(self.ids), self.alpha)

    def extended(self, token: int, nats: float, done: bool) -> "Hypothesis":
        """The hypothesis with one more token."""
        return Hypothesis((*self.ids, token), (*self.nats, nats), self.total + nats, self.alpha, done)


def length_norm(length: int, alpha: float) -> float:
    """Wu et al.'s length penalty."""
    return float(((5 + length) / 6) ** alpha)


class BeamSearch:
    """The decoder that finds the likeliest takes: the best first, whatever the seed."""

    def decode(self, prepared: Prepared, engine: Engine, seeds: Sequence[Seed]) -> list[Continuation]:
        """Return as many of the best continuations as there are seeds."""
        settings, (prefix,) = prepared.settings, prepared.start(seeds[:1])
        width, penalty = settings.beam_width, settings.length_penalty
        return beam_search(engine, prefix, prepared.rules, width, penalty, count=len(seeds))


def beam_search(
    engine: Engine, prefix: Prefix, rules: Sequence[Rule], width: int, length_penalty: float = 0.0, count: int = 1
) -> list[Continuation]:
    """The `count` best finished continuations of a search of `width` hypotheses, the best first."""
    if width < 1 or count > width:
        raise UsageError(f"`beam_width` must be at least the number of takes ({count}), got {width}")
    going = [Hypothesis((), (), 0.0, length_penalty)]
    finished: list[Hypothesis] = []
    turns = redirecting(rules)
    readers, carry, logits = [prefix.reader], prefix.carry, prefix.logits[None]
    for _ in range(MAX_TOKENS):
        scores = np.stack([_log_probabilities(r, row, rules, turns) for r, row in zip(readers, logits, strict=True)])
        extended, parents = _best(going, readers, scores, width)
        finished += [h for h in extended if h.done]
        kept = [place for place, h in enumerate(extended) if not h.done]
        finished = sorted(finished, key=lambda h: -h.score)[:width]
        going = [extended[place] for place in kept]
        if not going or _settled(finished, going, count):
            return [Continuation(list(h.ids), list(h.nats)) for h in finished[:count]]
        parents = parents[kept]
        readers = [_advanced(readers[parent], h.ids[-1]) for parent, h in zip(parents, going, strict=True)]
        tokens = np.array([h.ids[-1] for h in going])
        logits, carry = engine.step(tokens, np.stack([r.context for r in readers]), reorder(carry, parents))
    raise MelodyError(f"a hypothesis grew past {MAX_TOKENS:,} tokens without an end; ask for fewer bars")


def _log_probabilities(
    reader: Reader, logits: NDArray[np.float32], rules: Sequence[Rule], turns: Sequence[Redirects]
) -> NDArray[np.float64]:
    """ln p (V,) of each token within the grammar; -inf for those the rules forbid."""
    lawful = reader.allow()
    mask = narrowed(lawful, reader, rules)
    moved = redirected(logits, lawful, mask, reader, turns)
    within = np.where(lawful, logits, -np.inf).astype(np.float64)
    top = within.max()
    return np.where(mask, moved.astype(np.float64) - top - np.log(np.exp(within - top).sum()), -np.inf)


def _best(
    going: list[Hypothesis], readers: Sequence[Reader], scores: NDArray[np.float64], width: int
) -> tuple[list[Hypothesis], NDArray[np.int64]]:
    """The best `width` extensions and the hypothesis each came from; equal ones in order of row and id."""
    totals = np.array([-h.total for h in going])[:, None] + scores
    order = np.argsort(-totals, axis=None, kind="stable")[:width]
    order = order[totals.ravel()[order] > -np.inf]
    parents, tokens = np.divmod(order, scores.shape[1])
    chosen = zip(parents.tolist(), tokens.tolist(), strict=True)
    return [going[p].extended(t, -float(scores[p, t]), readers[p].ends_with(t)) for p, t in chosen], parents


def _settled(finished: list[Hypothesis], going: list[Hypothesis], count: int) -> bool:
    """Return True where no hypothesis under way can still overtake the last of the `count` best.

    A log-probability only falls; so without a length penalty the best one under way bounds all to come.
    """
    if len(finished) < count or going[0].alpha > 0:
        return False
    return finished[count - 1].score >= max(h.score for h in going)


def _advanced(reader: Reader, token: int) -> Reader:
    result = reader.copy()
    result.read(token)
    return result

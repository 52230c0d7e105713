"""A count model of tokens, which any network has to beat: back-off n-grams, interpolated as Witten & Bell do.

    p_n(token | n tokens before) = (count + T p_{n-1}) / (all + T)

where `all` counts these n tokens in the training music, `count` how often the token followed, and T how many different
ones did (Witten & Bell 1991, doi:10.1109/18.87000); below all orders every token is alike. Contexts are kept as 64-bit
hashes in sorted arrays. The model sees each piece as it was written, without transpositions, and is told no plan.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

ORDERS = 6  # tokens before, at most: one or two notes; longer ones hardly come back

Hashes = NDArray[np.uint64]
_WEIGHTS = np.random.default_rng(0).integers(2**63, size=ORDERS + 1, dtype=np.uint64) * np.uint64(2) + np.uint64(1)


class _Counts(NamedTuple):
    contexts: Hashes  # in order
    all: NDArray[np.int64]  # how often each stands
    different: NDArray[np.int64]  # how many tokens follow it
    pairs: Hashes  # contexts with their tokens, in order
    times: NDArray[np.int64]  # how often each stands


@dataclass(frozen=True)
class CountModel:
    """Counts for contexts of 0 to `ORDERS` tokens."""

    vocabulary_size: int
    counts: list[_Counts]

    def nats(self, pieces: Sequence[NDArray[np.integer]]) -> NDArray[np.float64]:
        """Nats of all tokens after the first of each piece, for each longest context: shape (ORDERS + 1,)."""
        probability = np.full(sum(len(ids) - 1 for ids in pieces), 1 / self.vocabulary_size)
        result = []
        for order, counts in enumerate(self.counts):
            context, pair, known = _hashes(pieces, order)
            all_ = _look_up(context, counts.contexts, counts.all)
            different = _look_up(context, counts.contexts, counts.different)
            count = _look_up(pair, counts.pairs, counts.times)
            finer = (count + different * probability) / np.maximum(1, all_ + different)
            probability = np.where(known & (all_ > 0), finer, probability)
            result.append(-np.log(probability).sum())
        return np.array(result)

    def following(self, before: Sequence[int]) -> NDArray[np.float64]:
        """p (V,) of what follows these tokens, by the longest context that is known."""
        result = np.full(self.vocabulary_size, 1 / self.vocabulary_size)
        tokens = np.arange(self.vocabulary_size)
        for order, counts in enumerate(self.counts):
            if order > len(before):
                break
            context = _context_of(before[len(before) - order :])
            all_ = int(_look_up(context, counts.contexts, counts.all)[0])
            if not all_:
                break
            different = int(_look_up(context, counts.contexts, counts.different)[0])
            pairs = context + (tokens.astype(np.uint64) + np.uint64(1)) * _WEIGHTS[0]
            result = (_look_up(pairs, counts.pairs, counts.times) + different * result) / (all_ + different)
        return result


def _context_of(before: Sequence[int]) -> Hashes:
    """The hash (1,) of tokens as a context, as `_hashes` makes it."""
    ids = np.array(before[::-1], np.uint64) + np.uint64(1)
    hashed: Hashes = (ids * _WEIGHTS[1 : 1 + len(ids)]).sum(keepdims=True, dtype=np.uint64)
    return hashed


def learn(pieces: Sequence[NDArray[np.integer]], vocabulary_size: int) -> CountModel:
    """The count model of training pieces, each ids (T,) from BOS to EOS."""
    return CountModel(vocabulary_size, [_counted(pieces, order) for order in range(ORDERS + 1)])


def _counted(pieces: Sequence[NDArray[np.integer]], order: int) -> _Counts:
    context, pair, known = _hashes(pieces, order)
    context, pair = context[known], pair[known]
    contexts, all_ = np.unique(context, return_counts=True)
    pairs, first, times = np.unique(pair, return_index=True, return_counts=True)
    different = np.bincount(np.searchsorted(contexts, context[first]), minlength=len(contexts))
    return _Counts(contexts, all_, different, pairs, times)


def _hashes(pieces: Sequence[NDArray[np.integer]], order: int) -> tuple[Hashes, Hashes, NDArray[np.bool_]]:
    """For each token after the first of a piece: its context, the two together, and whether so much stands before."""
    ids = np.concatenate([np.asarray(piece, np.uint64) for piece in pieces]) + np.uint64(1)
    place = np.concatenate([np.arange(len(piece)) for piece in pieces])
    context = np.zeros(len(ids), np.uint64)
    for back in range(1, order + 1):
        context[back:] += ids[:-back] * _WEIGHTS[back]
    pair = context + ids * _WEIGHTS[0]
    told = place > 0
    return context[told], pair[told], (place >= order)[told]


def _look_up(keys: Hashes, known: Hashes, values: NDArray[np.int64]) -> NDArray[np.int64]:
    """The value beside each key, 0 where it is unknown."""
    if not len(known):
        return np.zeros(len(keys), np.int64)
    at = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    return np.where(known[at] == keys, values[at], 0)

"""Teaches a model taste (`melody.tokens.taste`): to tell its own continuations from what people wrote.

Pieces of the train split are cut as evaluation cuts held-out ones; of each the bars that followed and those that the
model composes, of several lengths, are told apart by a random forest. A second set begins from nothing. Held-out
pieces are never seen, so that the critic of `melody evaluate` may judge the result. Needs scikit-learn.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from melody.bundle import open_bundle
from melody.bundle.bundle import TASTE
from melody.corpus import open_store
from melody.errors import MelodyError
from melody.evaluation.continuations import NEW, Cut, continued, cuts
from melody.generation import Composer
from melody.learning.added import add_to_bundle
from melody.tokens.bar_statistics import Row
from melody.tokens.plan import Bar, bars_of
from melody.tokens.taste import MISSING, Taste, described

PIECES = 200  # continued, and half as many from nothing
SHORTEST = 4  # bars that are judged
TREES, LEAVES, LEAST_IN_LEAF = 100, 32, 4
FOLDS = 5


class Learned(NamedTuple):
    """Result of teaching: how well the taste tells pieces that it did not learn from, and from how many it learned."""

    auc: float
    pieces: int
    file: Path


def learn_taste(model: str | Path, pieces: int = PIECES, seed: int = 0) -> Learned:
    """Teach a bundle and write its taste into it. Raises `MelodyError` without scikit-learn or with too few pieces."""
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise MelodyError("teaching taste needs scikit-learn: pip install 'melody[train]'") from error
    bundle = open_bundle(model)
    composer, store = Composer(bundle), open_store(bundle.settings.get("corpus", ""))
    cut = cuts(store, bundle, pieces, ("train",))
    if len(cut) < 2 * FOLDS:
        raise MelodyError(f"{bundle.name}: taste is learned from {2 * FOLDS} long pieces or more, there are {len(cut)}")
    rows, human, piece = _examples(composer, cut, np.random.default_rng(seed))
    names = sorted({name for row in rows for name in row})
    values = np.array([[row.get(name, MISSING) for name in names] for row in rows], np.float32)
    fold = np.random.default_rng(seed).permutation(len(cut))[piece] % FOLDS
    scores = np.zeros(len(values))
    for held_out in range(FOLDS):
        here = fold == held_out
        scores[here] = _grown(names, values[~here], human[~here], seed).votes(values[here])
    auc = _auc(scores, human)
    taste = _grown(names, values, human, seed)
    told = {"taste": {"statistics": list(taste.names), "auc": auc, "pieces": len(cut)}}
    return Learned(auc, len(cut), add_to_bundle(bundle.folder, TASTE, taste.arrays(), told))


def _examples(
    composer: Composer, cut: Sequence[Cut], generator: np.random.Generator
) -> tuple[list[Row], NDArray[np.bool_], NDArray[np.int64]]:
    """Statistics of bars, whether people wrote them, and the piece that they are of."""
    rows: list[Row] = []
    human: list[bool] = []
    piece: list[int] = []

    def add(number: int, given: Sequence[Bar], new: Sequence[Bar], written: bool, length: int) -> None:
        if any(new[:length]):
            rows.append(described(given, new[:length]))
            human.append(written)
            piece.append(number)

    for number, one in enumerate(cut):
        length = int(generator.integers(SHORTEST, NEW))
        add(number, one.given, one.followed, True, length)
        add(number, one.given, continued(composer, one, number), False, length)
    for number in range(0, len(cut), 2):
        length, one = int(generator.integers(SHORTEST, NEW)), cut[number]
        add(number, (), [*one.given, *one.followed], True, length)
        take = composer.compose(bars=NEW, seed=number)[0]
        add(number, (), bars_of(composer.bundle.tokenizer.encode(take.score).tolist())[0], False, length)
    return rows, np.array(human), np.array(piece)


def _grown(names: Sequence[str], values: NDArray[np.float32], human: NDArray[np.bool_], seed: int) -> Taste:
    """A forest over statistics (N, names)."""
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(
        TREES, max_leaf_nodes=LEAVES, min_samples_leaf=LEAST_IN_LEAF, random_state=seed
    ).fit(values, human)
    nodes = max(one.tree_.node_count for one in forest.estimators_)
    arrays: dict[str, NDArray[Any]] = {
        name: np.zeros((TREES, nodes)) for name in ("statistic", "threshold", "human")
    } | {name: np.tile(np.arange(nodes), (TREES, 1)) for name in ("left", "right")}
    for row, one in enumerate(forest.estimators_):
        tree, here = one.tree_, np.arange(one.tree_.node_count)
        inner = tree.children_left >= 0
        arrays["left"][row, here] = np.where(inner, tree.children_left, here)
        arrays["right"][row, here] = np.where(inner, tree.children_right, here)
        arrays["statistic"][row, here] = np.where(inner, tree.feature, 0)
        arrays["threshold"][row, here] = np.where(inner, tree.threshold, 0.0)
        shares = tree.value[:, 0, :]
        arrays["human"][row, here] = shares[:, 1] / shares.sum(axis=1)
    return Taste.of(names, arrays)


def _auc(scores: NDArray[np.float64], human: NDArray[np.bool_]) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(human, scores))

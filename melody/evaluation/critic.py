"""A critic: how well a classifier tells our continuations from what really followed; 0.5 is not at all.

A random forest over statistics of form, rhythm and line, cross-validated by piece: the two continuations of a primer
are never divided between what it learns from and what it judges. Beside all statistics, those of form alone and those
of two bars out of their context (cells) tell which of the two gives us away.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from melody.tokens.bar_statistics import Row, change_of, form_of, line_of
from melody.tokens.plan import Bar

TREES, FOLDS, ROUNDS = 300, 5, 3


@dataclass(frozen=True)
class Judged:
    """Result of the critic: the area under the ROC curve, and the statistics that tell most."""

    all: float
    form: float
    cells: float
    telling: list[tuple[str, float]]  # statistics by their importance, the most telling first


def judge(
    given: Sequence[Sequence[Bar]],
    ours: Sequence[Sequence[Bar]],
    theirs: Sequence[Sequence[Bar]],
    trees: int = TREES,
    rounds: int = ROUNDS,
) -> Judged:
    """Judge continuations of the same primers."""
    pieces = np.arange(len(given))
    form = [list(map(form_of, given, side)) for side in (ours, theirs)]
    line = [list(map(line_of, side)) for side in (ours, theirs)]
    change = [list(map(change_of, given, side)) for side in (ours, theirs)]
    whole = [[a | b | c for a, b, c in zip(*rows, strict=True)] for rows in zip(form, line, change, strict=True)]
    cells = [_cells(side) for side in (ours, theirs)]
    everything, telling = _auc(whole[0], whole[1], pieces, pieces, trees, rounds)
    (our_cells, our_pieces), (their_cells, their_pieces) = cells
    return Judged(
        everything,
        _auc(form[0], form[1], pieces, pieces, trees, rounds)[0],
        _auc(our_cells, their_cells, our_pieces, their_pieces, trees, rounds)[0],
        telling,
    )


def told_apart(
    given: Sequence[Sequence[Bar]], ours: Sequence[Sequence[Bar]], theirs: Sequence[Sequence[Bar]], trees: int
) -> float:
    """Return the AUC of all statistics alone, by one small forest: quick enough to look at while a model learns."""
    rows = [
        [form_of(g, new) | line_of(new) | change_of(g, new) for g, new in zip(given, side, strict=True)]
        for side in (ours, theirs)
    ]
    pieces = np.arange(len(given))
    return _auc(rows[0], rows[1], pieces, pieces, trees, rounds=1)[0]


def _cells(side: Sequence[Sequence[Bar]]) -> tuple[list[Row], NDArray[np.int64]]:
    """The statistics of each two bars, and the piece that they are of."""
    places = [(piece, at) for piece, new in enumerate(side) for at in range(0, len(new) - 1, 2)]
    cells = [(piece, side[piece][at : at + 2]) for piece, at in places]
    cells = [(piece, cell) for piece, cell in cells if any(cell)]
    return [line_of(cell) for _, cell in cells], np.array([piece for piece, _ in cells], np.int64)


def _auc(
    ours: Sequence[Row],
    theirs: Sequence[Row],
    our_pieces: NDArray[np.int64],
    their_pieces: NDArray[np.int64],
    trees: int,
    rounds: int,
) -> tuple[float, list[tuple[str, float]]]:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import roc_auc_score

    names = sorted({name for row in (*ours, *theirs) for name in row})
    values = np.array([[row.get(name, 0.0) for name in names] for row in (*ours, *theirs)])
    values = np.nan_to_num(values, nan=-1.0)
    label = np.repeat([1, 0], [len(ours), len(theirs)])
    piece = np.concatenate([our_pieces, their_pieces])
    scores, weights = np.zeros(len(label)), np.zeros(len(names))
    for round_ in range(rounds):
        fold = np.random.default_rng(round_).permutation(int(piece.max()) + 1)[piece] % FOLDS
        for held_out in range(FOLDS):
            forest = RandomForestClassifier(trees, min_samples_leaf=2, random_state=round_)
            forest.fit(values[fold != held_out], label[fold != held_out])
            scores[fold == held_out] += forest.predict_proba(values[fold == held_out])[:, 1]
            weights += forest.feature_importances_ / (rounds * FOLDS)
    order = np.argsort(-weights)[:12]
    return float(roc_auc_score(label, scores)), [(names[i], float(weights[i])) for i in order]

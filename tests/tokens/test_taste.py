"""Taste: a forest votes as its trees say, learns what divides two kinds of bars, and refuses what is no forest."""

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from melody.learning.taste_model import LEAST_IN_LEAF, LEAVES, TREES, _grown
from melody.tokens.plan import DRUM_HIT
from melody.tokens.taste import ARRAYS, Taste, described

NAMES = ("events a bar", "distinct")


def forest(**changes: Any) -> dict[str, np.ndarray]:
    """Two trees: one asks for events (4 at most: human), the other for distinct bars (above a half: mostly human)."""
    arrays = {
        "statistic": [[0, 0, 0], [1, 0, 0]],
        "threshold": [[4, 0, 0], [0.5, 0, 0]],
        "left": [[1, 1, 2], [1, 1, 2]],
        "right": [[2, 1, 2], [2, 1, 2]],
        "human": [[0, 1, 0], [0, 0, 0.75]],
    }
    return {name: np.array(value, np.float32) for name, value in (arrays | changes).items()}


def test_trees_vote():
    taste = Taste.of(NAMES, forest())
    rows = np.array([[4, 1], [5, 1], [3, 0.5], [9, 0]])
    assert taste.votes(rows).tolist() == [0.875, 0.375, 0.5, 0]
    again = Taste.of(NAMES, taste.arrays())
    assert again.votes(rows).tolist() == taste.votes(rows).tolist()


def test_bars_are_judged_by_their_statistics():
    taste = Taste.of(NAMES, forest())
    few, many = ((0, 0, 60, 12, 24),), tuple((place, 0, 60, 12, 6) for place in range(0, 96, 6))
    assert taste.humanity([few], [few, few]) == 0.5  # few events, and one of two bars distinct
    assert taste.humanity([], [many, many]) == 0
    assert described([], [few, ()])["bars given"] == 0
    assert np.isfinite(list(described([few], [(), ()]).values())).all()
    assert described([], [((0, 0, DRUM_HIT + 36, 12, 1),)])["kick"] == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"left": [[0, 1, 2], [1, 1, 2]]}, "lead to later ones"),  # would go round for ever
        ({"left": [[1, 1, 2], [1, 0, 2]]}, "lead to later ones"),
        ({"right": [[3, 1, 2], [2, 1, 2]]}, "not there"),
        ({"statistic": [[2, 0, 0], [1, 0, 0]]}, "not there"),
        ({"statistic": [[-1, 0, 0], [1, 0, 0]]}, "not there"),
        ({"human": [[0, 1], [0, 0.75]]}, "one shape"),
        ({name: np.zeros((1, 1001)) for name in ARRAYS}, "up to 1000 trees"),
        ({"more": [[0]]}, "should hold"),
    ],
)
def test_what_is_no_forest_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        Taste.of(NAMES, forest(**changes))


def test_it_grows_the_forest_that_scikit_learn_grows():
    generator = np.random.default_rng(0)
    values = generator.normal(size=(200, 3)).astype(np.float32)
    human = values[:, 0] + 0.3 * values[:, 1] > 0
    taste = _grown(["a", "b", "c"], values, human, seed=0)
    model = RandomForestClassifier(TREES, max_leaf_nodes=LEAVES, min_samples_leaf=LEAST_IN_LEAF, random_state=0)
    expected = model.fit(values, human).predict_proba(values)[:, 1]
    assert np.allclose(taste.votes(values), expected, atol=1e-6)

"""The rewriter in numpy: it computes what torch trains, in 8 bits nearly so, and refuses what is none."""

import numpy as np
import pytest
import torch
from support.tiny_bundle import tiny_rewriter

from melody.learning.rewriter_model import rewriter_of
from melody.models.masked_transformer import MaskedTransformer
from melody.tokens.cells import HIDDEN, OUTSIDE, VALUES, sizes
from melody.tokens.rewriter import Rewriter


def model(width: int = 24, sees_bars: bool = False) -> MaskedTransformer:
    torch.manual_seed(0)
    made = MaskedTransformer(
        3, VALUES, tuple(sizes(2).values()), width=width, layers=2, heads=2, reach=8, sees_bars=sees_bars
    )
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return made.eval()


def music(length: int = 20) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(1)
    cells = generator.integers(0, VALUES, (length, 3))
    cells[5:9, 1], cells[0] = HIDDEN, OUTSIDE
    ground = np.stack([np.arange(length) % 6, np.full(length, 6), np.full(length, 1)], axis=1)
    return cells, ground


@pytest.mark.parametrize("sees_bars", [False, True])
def test_numpy_computes_what_torch_does(sees_bars: bool) -> None:
    made, (cells, ground) = model(sees_bars=sees_bars), music()
    with torch.no_grad():
        expected = made(torch.from_numpy(cells[None]), torch.from_numpy(ground[None]))[0].numpy()
    np.testing.assert_allclose(rewriter_of(made).logits(cells, ground), expected, atol=2e-5)


@pytest.mark.parametrize("sees_bars", [False, True])
def test_in_order_a_cell_hears_what_came_before_and_what_is_told_of_its_sixteenth_alone(sees_bars: bool) -> None:
    made, (cells, ground) = model(sees_bars=sees_bars), music()
    cells[cells == HIDDEN] = 3
    known = np.random.default_rng(2).random(cells.shape) < 0.5

    def read(heard: np.ndarray, told: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            found: torch.Tensor = made.in_order(*(torch.from_numpy(one[None]) for one in (heard, told, ground)))
        return found[0].numpy()

    before = read(cells, known)
    later = cells.copy()
    later[12:] = (later[12:] + 1) % VALUES
    unknown = np.where(known[12], cells[12], later[12])
    np.testing.assert_array_equal(read(later, known)[:12], before[:12])
    later[12] = unknown  # what is told of the twelfth stays, and nothing else of it is heard there
    np.testing.assert_allclose(read(later, known)[:13], before[:13], atol=1e-5)
    earlier = cells.copy()
    earlier[11, 0] = (earlier[11, 0] + 1) % VALUES
    assert np.abs(read(earlier, known)[12] - before[12]).max() > 1e-3
    told = known.copy()
    told[12] = ~told[12]
    assert np.abs(read(cells, told)[12] - before[12]).max() > 1e-3


def test_eight_bits_are_nearly_the_same() -> None:
    rewriter, (cells, ground) = rewriter_of(model(20)), music()  # a width that no group divides
    arrays = rewriter.arrays()
    assert arrays["stem.weight"].dtype == np.int8
    close, exact = Rewriter.of(arrays).logits(cells, ground), rewriter.logits(cells, ground)
    assert np.abs(close - exact).max() < 0.05 * np.abs(exact).max()


def test_four_bits_are_close_and_come_back_as_they_went() -> None:
    rewriter, (cells, ground) = rewriter_of(model(64)), music()
    arrays = rewriter.arrays()
    assert arrays["head.weight"].shape == (3 * VALUES, 32)
    again = Rewriter.of(arrays)
    for name, weight in rewriter.weights.items():
        assert np.abs(again.weights[name] - weight).max() <= np.abs(weight).max() / 7 * 0.6
    packed = again.arrays()
    assert all(np.array_equal(packed[name], array) for name, array in arrays.items() if array.dtype == np.int8)
    close, exact = again.logits(cells, ground), rewriter.logits(cells, ground)
    assert np.corrcoef(close.ravel(), exact.ravel())[0, 1] > 0.95


def test_a_hidden_cell_hears_both_sides_and_a_hidden_one_says_nothing() -> None:
    made, (cells, ground) = model(), music()
    known = rewriter_of(made)
    before = known.logits(cells, ground)
    for place in (4, 9):  # on either side of the gap
        other = cells.copy()
        other[place, 0] = (other[place, 0] + 1) % VALUES
        assert not np.allclose(known.logits(other, ground)[6], before[6])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda w: w.pop("norm.weight"), "is no rewriter"),
        (lambda w: w.pop("layers.0.up.bias"), "its layers.0.up.bias should be of shape"),
        (lambda w: w.update({"more": np.zeros(2)}), "it holds 'more' too"),
        (lambda w: w.update({"layers.0.bias": np.zeros((5, 17))}), "do not share its width"),
        (lambda w: w.update({"head.bias": np.zeros(3)}), "its head.bias should be of shape"),
        (lambda w: w.update({"stem.weight.scale": np.ones((3, 1, 1))}), "the scales of 'stem.weight'"),
    ],
)
def test_what_is_no_rewriter_is_refused(change, said: str) -> None:
    weights = tiny_rewriter()
    change(weights)
    with pytest.raises(ValueError, match=said):
        Rewriter.of(weights)

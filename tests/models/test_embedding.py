"""The sum of embeddings is the same however it is made."""

import pytest
import torch
from torch import Tensor

from melody.models.embedding import summed

SIZES = (11, 4, 7)


def parts(shape: tuple[int, int]) -> tuple[Tensor, Tensor, list[Tensor]]:
    torch.manual_seed(0)
    tables = [torch.randn(size, 6, requires_grad=True) for size in SIZES]
    context = torch.stack([torch.randint(size, shape) for size in SIZES[1:]], dim=2)
    return torch.randint(SIZES[0], shape), context, tables


@pytest.mark.parametrize("shared", [False, True])
def test_windows_and_single_steps_give_the_same_sums_and_gradients(shared: bool) -> None:
    tokens, context, tables = parts((5, 3))
    shares = torch.rand(1, 3, 2) if shared else None
    together = summed(tokens, context, tables, shares)
    steps = [summed(tokens[time : time + 1], context[time : time + 1], tables, shares) for time in range(5)]
    torch.testing.assert_close(together, torch.cat(steps), atol=1e-6, rtol=1e-6)
    weights = torch.randn(5, 3, 6)
    at_once = torch.autograd.grad((together * weights).sum(), tables)
    one_by_one = torch.autograd.grad((torch.cat(steps) * weights).sum(), tables)
    for left, right in zip(at_once, one_by_one, strict=True):
        torch.testing.assert_close(left, right, atol=1e-5, rtol=1e-5)


def test_a_channel_without_a_share_is_not_heard() -> None:
    tokens, context, tables = parts((4, 3))
    alone = summed(tokens, context[:, :, :0], tables[:1])
    torch.testing.assert_close(summed(tokens, context, tables, torch.zeros(1, 3, 2)), alone)

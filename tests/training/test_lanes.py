"""Lanes: every token once a pass, in windows from which a run can go on."""

from pathlib import Path

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.counting import CHANNELS, LENGTHS, VALID, VOCABULARY, Counting, configuration

from melody.training import train
from melody.training.lanes import Lanes, Window


def windows_by_lane(windows: list[Window], lane: int) -> list[list[int]]:
    """The targets of a lane, one list for each piece."""
    pieces: list[list[int]] = []
    for window in windows:
        if window.reset[lane]:
            pieces.append([])
        pieces[-1] += window.targets[lane][window.mask[lane]].tolist()
    return [piece for piece in pieces if piece]


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.integers(2, 40), min_size=1, max_size=12),
    batch_size=st.integers(1, 5),
    window=st.integers(1, 9),
    pass_=st.integers(0, 3),
)
def test_every_token_is_a_target_once_a_pass(lengths: list[int], batch_size: int, window: int, pass_: int) -> None:
    lanes = Lanes(Counting(lengths, augment=False), batch_size, window)
    windows = list(lanes.windows(pass_))
    assert len(windows) == lanes.windows_in_pass()
    read = [piece for lane in range(batch_size) for piece in windows_by_lane(windows, lane)]
    expected = [((piece + 1 + np.arange(length - 1)) % VOCABULARY).tolist() for piece, length in enumerate(lengths)]
    assert sorted(read) == sorted(expected)


def test_targets_follow_tokens_and_padding_is_zero() -> None:
    for window in Lanes(Counting(LENGTHS), 4, 8).windows(0):
        assert torch.equal(window.targets[window.mask], (window.tokens[window.mask] + 1) % VOCABULARY)
        assert torch.equal(window.context[window.mask][:, 0], window.tokens[window.mask] % CHANNELS[0])
        for part in (window.tokens, window.targets, window.context):
            assert not part[~window.mask].any()
        steps = window.tokens[:, 1:][window.mask[:, 1:]] - window.tokens[:, :-1][window.mask[:, 1:]]
        assert set((steps % VOCABULARY).tolist()) <= {1}  # no window holds two pieces


def test_a_position_is_all_it_takes_to_go_on() -> None:
    lanes = Lanes(Counting(LENGTHS), 4, 8, seed=3)
    whole = list(lanes.windows(2))
    for first in range(len(whole) + 1):
        rest = list(Lanes(Counting(LENGTHS), 4, 8, seed=3).windows(2, first))
        assert len(rest) == len(whole) - first
        for one, other in zip(rest, whole[first:], strict=True):
            parts = set(one.__dataclass_fields__) - {"condition"}
            assert all(torch.equal(getattr(one, name), getattr(other, name)) for name in parts)


def test_passes_and_seeds_differ_in_order_and_augmentation() -> None:
    lanes = Lanes(Counting(LENGTHS), 2, 8)
    first, second, other = next(lanes.windows(0)), next(lanes.windows(1)), next(Lanes(lanes.source, 2, 8, 1).windows(0))
    assert not torch.equal(first.tokens, second.tokens)
    assert not torch.equal(first.tokens, other.tokens)
    assert lanes.deal(0) != lanes.deal(1)


def test_lanes_are_about_equally_long() -> None:
    lanes = Lanes(Counting(np.random.default_rng(0).integers(50, 900, 300).tolist()), 32, 128)
    filled = [lanes.windows_of_pieces()[lane].sum() for lane in lanes.deal(0)]
    assert max(filled) - min(filled) <= 1


def test_ranks_share_the_lanes_of_one_process() -> None:
    whole = list(Lanes(Counting(LENGTHS), 4, 8).windows(1))
    shares = [list(Lanes(Counting(LENGTHS), 4, 8, 0, rank, 2).windows(1)) for rank in range(2)]
    for window, *parts in zip(whole, *shares, strict=True):
        assert torch.equal(window.tokens, torch.cat([part.tokens for part in parts]))
        assert torch.equal(window.reset, torch.cat([part.reset for part in parts]))


class Short(Counting):
    """Pieces of which only the first tokens come, as where some tracks are left out."""

    def fetch(self, piece: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        ids, context = super().fetch(piece, generator)
        return ids[:4], context[:4]


def test_windows_that_shorter_pieces_leave_empty_are_no_harm(tmp_path: Path) -> None:
    result = train(configuration(max_passes=2), Short(LENGTHS), VALID, VOCABULARY, CHANNELS, tmp_path)
    assert result.exit_code == 0
    assert np.isfinite(result.best_nats_per_note)

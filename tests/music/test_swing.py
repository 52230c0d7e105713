"""Swing: late by the share that is asked, in order, and only where it makes sense."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from melody.errors import UsageError
from melody.music.swing import Swing, parse_swing


@given(st.floats(50, 75), st.sampled_from([8, 16]), st.integers(0, 95), st.integers(0, 95))
def test_notes_keep_their_order_and_pairs_their_length(share: float, unit: int, one: int, other: int):
    swing = Swing(share, unit)
    if one > other:
        one, other = other, one
    ends = [place + swing.late(place, (4, 4)) for place in (one, other)]
    assert ends[0] < ends[1] or one == other
    assert swing.late(one // swing.pair * swing.pair, (4, 4)) == 0


def test_the_second_of_a_pair_comes_at_its_share():
    assert 12 + Swing(66.0).late(12, (4, 4)) == pytest.approx(24 * 0.66)
    assert 6 + Swing(58.0, 16).late(6, (4, 4)) == pytest.approx(12 * 0.58)
    assert Swing(50.0).late(12, (4, 4)) == 0


def test_triplets_and_beats_of_three_stay():
    assert Swing(66.0).late(12, (4, 4), triplets=[0]) == 0
    assert Swing(66.0).late(12, (6, 8)) == 0
    assert Swing(58.0, 16).late(6, (6, 8)) > 0


def test_it_is_read_as_people_write_it():
    assert parse_swing("62") == (62.0, 8)
    assert parse_swing(" 58% / 16") == (58.0, 16)
    with pytest.raises(UsageError, match="write the share in percent"):
        parse_swing("a lot")

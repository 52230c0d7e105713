"""What is recalled: the token that followed the last time, from the past alone, and at the same cost at any length."""

import numpy as np
import pytest

from melody.tokens.channels import RECALLED, layout_of
from melody.tokens.events import EventTokenizer
from melody.tokens.reader import Plan, Reader
from melody.tokens.repetition import LEAST, LENGTHS, MEMORY, Recall, recalls

PHRASE = [5, 3, 8, 1, 9, 2, 7, 4, 6, 10, 12, 11]


def brute_force(ids: list[int], place: int) -> int:
    """1 + the token after the latest earlier passage of `LEAST` tokens like those up to `place`; 0: none."""
    last = ids[place + 1 - LEAST : place + 1]
    for start in range(place - LEAST, -1, -1):
        if ids[start : start + LEAST] == last:
            return 1 + ids[start + LEAST]
    return 0


def test_a_phrase_that_comes_back_is_recalled() -> None:
    found = recalls([*PHRASE, 0, *PHRASE])
    assert not found[: len(PHRASE) + LEAST].any()
    assert found[len(PHRASE) + LEAST : -1, 0].tolist() == [1 + token for token in PHRASE[LEAST:]]
    assert found[-1, :3].tolist() == [1 + 0, 2, 2]  # then came the 0; twelve tokens agree, for the second time


def test_where_nothing_was_followed_yet_the_latest_passage_counts() -> None:
    generator = np.random.default_rng(1)
    ids = generator.integers(0, 2, 400).tolist()
    found, expected = recalls(ids)[:, 0], [brute_force(ids, place) if place >= LEAST else 0 for place in range(400)]
    assert [bool(value) for value in found] == [bool(value) for value in expected]
    assert np.mean(found == expected) > 0.5  # elsewhere a longer match went on


def test_the_future_is_not_known() -> None:
    ids = (PHRASE * 4)[:40]
    other = [*ids[:20], *([1] * 20)]
    assert np.array_equal(recalls(ids)[:20], recalls(other)[:20])


def test_longer_passages_are_told_apart() -> None:
    long = np.random.default_rng(0).permutation(500).tolist()
    lengths = recalls(long + long)[:, 1]
    assert lengths[500 + LEAST - 2 : 500 + LEAST + 4].tolist() == [0, 1, 1, 1, 1, 2]
    assert lengths[-1] == len(LENGTHS)


def test_a_loop_is_known_by_how_often_it_came_and_how_short_it_is() -> None:
    short, long = recalls(PHRASE * 6), recalls(list(range(20, 116)) * 2)
    assert short[len(PHRASE) :: len(PHRASE)][1:, 2].tolist() == [2, 3, 4, 5]
    assert long[-1, 2] == 2
    assert set(short[-20:, 3].tolist()) == {1 + int(2 * np.log2(12))}
    assert set(long[-20:, 3].tolist()) == {1 + int(2 * np.log2(96))}


def test_a_copy_goes_its_own_way() -> None:
    one = Recall()
    for token in [*PHRASE, 0, *PHRASE[:9]]:
        one.read(token)
    other = one.copy()
    other.read(99)
    assert other.context == (0, 0, 0, 0)
    assert one.context[:3] == (1 + PHRASE[9], 1, 2)
    one.read(PHRASE[9])
    assert one.context[:3] == (1 + PHRASE[10], 1, 2)


def test_a_piece_without_end_does_not_grow() -> None:
    memory = Recall()
    for token in np.random.default_rng(0).integers(0, 50, 5 * MEMORY).tolist():
        memory.read(token)
        assert memory.context[0] <= 50
    assert len(memory._tokens) < 2 * MEMORY >= len(memory._places)
    for token in [*PHRASE, 60, *PHRASE]:
        memory.read(token)
    assert memory.context[0] == 61


@pytest.mark.parametrize("splits", [(), (3, 30)])
def test_the_reader_tells_what_a_whole_piece_is_told(splits: tuple[int, ...]) -> None:
    tokens = EventTokenizer.vocabulary
    note = [tokens.ids["Pitch"][60], tokens.ids["Duration"][11]]
    bar = [tokens.ids["Bar"][0]]
    for position, pitch in ((0, 0), (12, 2), (24, 4), (36, 5)):
        bar += [tokens.ids["Position"][position], note[0] + pitch, note[1]]
    start = [tokens.ids["Begin"][0], tokens.ids["Track"][0], tokens.ids["Program"][0], bar[0]]
    start += [tokens.ids["TimeSignature"][0], tokens.ids["Position"][0], tokens.ids["Tempo"][0]]
    start += [tokens.ids["Track"][0], tokens.ids["Velocity"][9], *bar[2:]]
    ids = start + bar * 3
    reader, rows = Reader(tokens, Plan()), []
    for place, token in enumerate(ids):
        if place in splits:
            reader = reader.copy()
        reader.read(token)
        rows.append(reader.context[-4:].tolist())
    assert rows == recalls(ids).tolist()
    assert layout_of().column[RECALLED] == len(layout_of().names) - 4
    assert sum(row[0] > 0 for row in rows) > len(bar)

"""Voices on a grid as tokens: nothing is lost, one spelling for each grid, and channels that know no future."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from melody.corpus.chorale import read_chorale
from melody.errors import LimitExceeded
from melody.jsb16.tokenizer import (
    CHANNELS,
    HIGHEST,
    LONGEST_WAIT,
    LOWEST,
    ORDERS,
    VOICES,
    Grid,
    VoicesTokenizer,
    Walk,
    grid_of,
    score_of,
)
from melody.music.quantize import quantize
from melody.tokens.channels import RECALLED

TOKENIZER = VoicesTokenizer()
VOCABULARY = TOKENIZER.vocabulary
orders = st.integers(0, len(ORDERS) - 1)


@st.composite
def grids(draw: st.DrawFn, lowest: int = LOWEST, highest: int = HIGHEST) -> Grid:
    """Voices of held notes and rests over 1 to 24 quarters, some held beyond the longest wait."""
    quarters = draw(st.integers(1, 24))
    pitch = st.one_of(st.just(0), st.integers(lowest, highest))
    lengths = st.integers(1, 3 * LONGEST_WAIT)
    voices = []
    for _ in range(VOICES):
        notes = draw(st.lists(st.tuples(pitch, lengths), min_size=1, max_size=30))
        line = np.repeat([p for p, _ in notes], [length for _, length in notes])
        voices.append(np.resize(line, 4 * quarters))
    return np.stack(voices, axis=1).astype(np.int64)


@given(grids(), orders)
def test_each_token_of_a_grid_may_follow_those_before(grid: Grid, order: int):
    walk = Walk(order=order)
    for token in TOKENIZER.spell(grid, order).tolist():
        assert walk.allow()[token]
        walk.read(token)
    assert walk.step == walk.steps == len(grid)


@given(grids())
def test_decoding_gives_the_notes_of_the_grid(grid: Grid):
    assert TOKENIZER.decode(TOKENIZER.spell(grid)) == score_of(grid)


@given(grids(), orders)
def test_a_grid_comes_back(grid: Grid, order: int):
    assert np.array_equal(TOKENIZER.grid(TOKENIZER.spell(grid, order)), grid)


@given(grids(), orders)
def test_each_order_tells_the_same_in_each_step(grid: Grid, order: int):
    ids, others = TOKENIZER.spell(grid), TOKENIZER.spell(grid, order)
    steps, other_steps = TOKENIZER.steps_of(ids), TOKENIZER.steps_of(others)
    assert np.array_equal(steps, other_steps)
    assert np.array_equal(ids[np.lexsort((ids, steps))], others[np.lexsort((others, steps))])


def test_the_tune_comes_first():
    assert len(set(ORDERS)) == len(ORDERS)
    assert {order[0] for order in ORDERS} == {"S"}
    assert {"".join(sorted(order)) for order in ORDERS} == {"ABST"}


def test_first_of_all_the_outer_voices_come_first():
    ids = TOKENIZER.spell(np.tile([67, 62, 59, 55], (4, 1)).astype(np.int64))
    assert [VOCABULARY.tokens[token] for token in ids] == [
        "BOS",
        "Length_1",
        "S_67",
        "B_55",
        "T_59",
        "A_62",
        "Wait_4",
        "EOS",
    ]


@given(grids())
def test_voice_steps_are_what_the_grid_holds(grid: Grid):
    assert TOKENIZER.voice_steps(TOKENIZER.spell(grid)) == grid.size


def test_only_what_stands_on_the_grid_is_kept_without_loss():
    chorale = quantize(read_chorale("bach/bwv269.mxl"))
    assert TOKENIZER.is_lossless(score_of(grid_of(chorale)))
    assert not TOKENIZER.is_lossless(chorale)  # its key, its meter, its repeated notes


@given(st.randoms(use_true_random=False), st.integers(1, 12), orders)
def test_what_the_mask_lets_through_is_the_one_spelling_of_a_grid(random, quarters: int, order: int):
    walk, ids = Walk(order=order), []
    while not ids or ids[-1] != VOCABULARY.ids["End"][0]:
        allowed = np.flatnonzero(walk.allow()).tolist()
        wanted = VOCABULARY.ids["Length"][quarters - 1]
        ids.append(wanted if wanted in allowed else random.choice(allowed))
        walk.read(ids[-1])
    assert TOKENIZER.spell(TOKENIZER.grid(ids), order).tolist() == ids


@given(grids(), st.data(), orders)
def test_another_future_changes_no_channel_of_the_past(grid: Grid, data: st.DataObject, order: int):
    step = data.draw(st.integers(0, len(grid) - 1))
    other = grid.copy()
    other[step:] = np.where(grid[step:] == LOWEST, HIGHEST, LOWEST)
    ids, others = TOKENIZER.spell(grid, order), TOKENIZER.spell(other, order)
    same = int(np.argmin(np.append(ids[: len(others)] == others[: len(ids)], False)))
    context, other_context = (TOKENIZER.context(spelled, order=order) for spelled in (ids, others))
    assert np.array_equal(context[:same], other_context[:same])


@given(grids(LOWEST + 6, HIGHEST - 6), st.integers(-6, 6))
def test_the_tables_transpose_as_a_transposed_grid_reads(grid: Grid, semitones: int):
    ids = TOKENIZER.spell(grid)
    least, greatest = TOKENIZER.transposition(ids)
    moved = TOKENIZER.spell(np.where(grid > 0, grid + semitones, 0))
    tokens, channels = TOKENIZER.shift_tables([semitones])
    context = TOKENIZER.context(ids)
    assert not grid.any() or least <= semitones <= greatest
    assert np.array_equal(tokens[0][ids], moved)
    shifted = np.stack([table[0][context[:, column]] for column, table in enumerate(channels)], axis=1)
    recalled = [channel.name for channel in CHANNELS].index(RECALLED)  # no table moves it: a fetch finds it anew
    after = context[:, recalled].astype(int) - 1
    shifted[:, recalled] = np.where(after >= 0, 1 + tokens[0][after], 0)
    assert np.array_equal(shifted, TOKENIZER.context(moved))


@settings(max_examples=50)
@given(grids(), orders)
def test_channels_stay_below_their_sizes(grid: Grid, order: int):
    context = TOKENIZER.context(TOKENIZER.spell(grid, order), order=order)
    assert context.min() >= 0
    assert (context.max(axis=0) < [channel.size for channel in CHANNELS]).all()


def test_a_chorale_is_read_as_its_voices_sound():
    score = quantize(read_chorale("bach/bwv269.mxl"))
    grid = grid_of(score)
    assert np.array_equal(grid_of(TOKENIZER.decode(TOKENIZER.encode(score))), grid)
    assert grid[0].tolist() == [int(track.notes[0].pitch) for track in score.tracks]


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (np.full((8, 3), 60), "3 voices"),
        (np.full((6, 4), 60), "6 steps"),
        (np.full((0, 4), 60), "0 steps"),
        (np.full((8, 4), HIGHEST + 1), f"pitches {HIGHEST + 1}"),
    ],
)
def test_what_has_no_token_is_refused_by_name(grid: Grid, message: str):
    with pytest.raises(LimitExceeded, match=message):
        TOKENIZER.spell(grid)

"""What other pieces did under the same tune: found in any key, never by looking ahead, and never in oneself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_jsb16_tokenizer import grids

from melody.corpus import AugmentedSource, TokenStore, shift_tables
from melody.corpus.store import StoredPiece, write_store
from melody.jsb16.tokenizer import ORDERS, READ, Grid, VoicesTokenizer
from melody.jsb16.told import DRAWS, NONE, Tunes
from melody.jsb16.tune_book import BEATS, NOTES, RESTS, TOLD, WIDEST, TuneBook, TuneReader

TOKENIZER = VoicesTokenizer()
NAMES = [channel.name.removeprefix("tune_") for channel in TOLD]
TUNE = [67, 69, 71, 72, 74, 71, 67, 66, 67, 71, 69, 67, 62, 64, 66, 67]  # a note a beat

NOTE = st.tuples(st.sampled_from([60, 62, 64]), st.integers(1, 2))  # pitch and steps


def four_voices(tune: list[int], below: tuple[int, int, int] = (5, 9, 12), steps: int = 4) -> Grid:
    """A grid of notes of so many steps, whose other voices follow the tune at a distance."""
    soprano = np.repeat(tune, steps)
    return np.stack([soprano, *(soprano - distance for distance in below)], axis=1).astype(np.int64)


def found_by(ids: np.ndarray, reader: TuneReader) -> np.ndarray:
    """Of the channels those that tell of other pieces (T, F)."""
    return TOKENIZER.context(ids, reader)[:, len(READ) : len(READ) + len(TOLD)]


def told(piece: Grid, book: list[Grid], without: tuple[int, ...] = ()) -> dict[str, np.ndarray]:
    """The channels by name, each (T,)."""
    found = found_by(TOKENIZER.spell(piece), TuneReader(TOKENIZER.tune_book(book), without))
    return dict(zip(NAMES, found.T, strict=True))


def test_a_tune_in_another_key_tells_what_comes():
    other = four_voices([pitch - 4 for pitch in TUNE], below=(4, 8, 12))
    found = told(four_voices(TUNE), [other])
    ids = TOKENIZER.spell(four_voices(TUNE))
    soprano = TOKENIZER.vocabulary.ids["S"]
    places = [place for place, token in enumerate(ids[:-1].tolist()) if token in soprano][NOTES[1] :]
    waits = [place - 1 for place in places[1:]]  # a wait, after which the soprano comes to its next note
    moves = np.diff([int(ids[place]) for place in places])
    assert (found["move_0"][waits] == 1 + WIDEST + moves).all()
    assert (found["wait"][waits] == 1 + 4).all()
    assert (found["begin"][waits] == 1 + 0b1111).all()
    assert (found["next_move"][places[:-1]] == 1 + WIDEST + moves).all()
    assert (np.diff(found["rank"][places]) >= 0).all()  # ever more agrees
    assert found["rank"][places[-1]] == 1 + NOTES.index(12)


def test_the_other_voices_decide_between_equal_tunes():
    piece = four_voices(TUNE, below=(3, 7, 12))
    like, unlike = four_voices(TUNE, below=(3, 7, 12)), four_voices(TUNE, below=(5, 9, 14))
    for book in ([like, unlike], [unlike, like]):
        found = told(piece, book)
        assert (
            found["share"][-20:-2] == found["share"].max()
        ).all()  # but for the last wait, after which all has ended
        assert (found["move_1"][-3], found["move_3"][-3]) == (1 + WIDEST, 1 + WIDEST)  # they sing the same


def test_a_tune_with_passing_notes_agrees_from_beat_to_beat():
    piece = four_voices(TUNE)
    adorned = piece.copy()
    adorned[2::4, 0] += 1  # in the middle of every beat
    assert told(piece, [adorned])["rank"][-3] == 1 + max(rank for rank, beats in enumerate(BEATS) if beats < len(TUNE))


def test_a_rest_there_is_told_as_a_rest():
    silent = four_voices(TUNE)
    silent[:, 3] = 0  # the bass, which comes second
    found = told(four_voices(TUNE), [silent])
    assert set(found["move_1"][found["rank"] > 0]) == {RESTS}


def test_nothing_is_found_where_no_tune_agrees():
    for book in ([], [four_voices([60] * 16)], [four_voices(TUNE[::-1], steps=3)]):
        assert not any(values.any() for values in told(four_voices(TUNE), book).values())
    found = told(four_voices([60] * 24), [four_voices([60] * 24)])  # a tune that stands still is none
    assert not found["rank"].any()


@settings(max_examples=40)
@given(grids(), st.lists(grids(), max_size=3), st.data())
def test_another_future_changes_nothing_told_of_the_past(piece: Grid, book: list[Grid], data: st.DataObject):
    step = data.draw(st.integers(0, len(piece) - 1))
    other = piece.copy()
    other[step:] = np.where(piece[step:] == 36, 84, 36)
    ids, others = TOKENIZER.spell(piece), TOKENIZER.spell(other)
    same = int(np.argmin(np.append(ids[: len(others)] == others[: len(ids)], False)))
    index = TOKENIZER.tune_book([*book, piece, other])
    one, two = (found_by(which, TuneReader(index)) for which in (ids, others))
    assert np.array_equal(one[:same], two[:same])


@settings(max_examples=40)
@given(grids(42, 78), st.lists(grids(42, 78), min_size=1, max_size=3), st.integers(-6, 6))
def test_in_another_key_the_same_is_told(piece: Grid, book: list[Grid], semitones: int):
    moved = np.where(piece > 0, piece + semitones, 0)
    index = TOKENIZER.tune_book([*book, piece])
    if (piece[:, 0] > 0).all():  # an interval from a rest is none
        one, two = (found_by(TOKENIZER.spell(which), TuneReader(index)) for which in (piece, moved))
        assert np.array_equal(one, two)


@settings(max_examples=40)
@given(grids(), st.lists(grids(), max_size=3))
def test_channels_stay_below_their_sizes(piece: Grid, book: list[Grid]):
    found = found_by(TOKENIZER.spell(piece), TuneReader(TOKENIZER.tune_book([*book, piece])))
    assert found.min(initial=0) >= 0
    assert (found.max(axis=0) < [channel.size for channel in TOLD]).all()


def longest(tune: np.ndarray, others: list[np.ndarray]) -> int:
    """How many of the last intervals and durations of a tune stand in other tunes, before a note."""

    def steps(line: np.ndarray) -> list[tuple[int, int]]:
        onsets = np.flatnonzero(np.diff(line, prepend=-1))
        return list(zip(np.diff(line[onsets]).tolist(), np.diff(onsets).tolist(), strict=True))

    own = steps(tune)
    for count in range(len(own), 0, -1):
        for line in others:
            theirs = steps(line)
            if any(theirs[at : at + count] == own[-count:] for at in range(len(theirs) - count + 1)):
                return count
    return 0


@settings(max_examples=40)
@given(
    st.lists(st.lists(st.tuples(st.sampled_from([60, 62, 64]), st.integers(1, 2)), min_size=8, max_size=40), min_size=2)
)
def test_the_rank_is_that_of_the_longest_passage(tunes: list[list[tuple[int, int]]]):
    lines = [np.repeat([pitch for pitch, _ in tune], [length for _, length in tune]) for tune in tunes]
    piece, *others = [np.stack([line] * 4, axis=1).astype(np.int64) for line in lines]
    reader = TuneReader(TuneBook(others))
    onsets = np.flatnonzero(np.diff(lines[0], prepend=-1))
    for start, end in zip(onsets.tolist(), [*onsets[1:].tolist(), len(piece)], strict=True):
        for voice in range(4):
            reader.sing(voice, int(piece[start, voice]))
        count = longest(lines[0][: start + 1], lines[1:])
        by_notes = sum(count >= notes for notes in NOTES)
        assert reader.context[0] >= by_notes  # by beats it may be more
        if start % 4 and start < 4 * BEATS[0]:
            assert reader.context[0] == by_notes
        reader.wait(end - start)


def test_a_book_wants_pieces_with_steps():
    with pytest.raises(ValueError, match="without a step"):
        TuneBook([np.zeros((0, 4), np.int64)])


# ---- in training ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> TokenStore:
    """Three pieces to train on, of which two sing one tune; a third one of it is held out."""
    leaps = [60, 66, 61, 69, 60, 70, 62, 71, 63, 60, 69, 70, 60, 68, 61, 72]
    music = {
        "train": [four_voices(TUNE), four_voices([pitch + 3 for pitch in TUNE]), four_voices(leaps)],
        "valid": [four_voices([pitch - 2 for pitch in TUNE])],
    }
    pieces = {split: [stored(f"{split}{i}", grid) for i, grid in enumerate(some)] for split, some in music.items()}
    return write_store(tmp_path_factory.mktemp("tunes") / "store", "tunes", TOKENIZER, pieces, {})


def stored(name: str, grid: Grid) -> StoredPiece:
    ids = TOKENIZER.spell(grid)
    return StoredPiece(name, ids.astype(np.uint16), TOKENIZER.context(ids)[:, : len(READ)], 64, (0, 0))


def test_a_training_piece_finds_others_by_chance_and_never_itself(store: TokenStore):
    train = store.split("train")
    tunes, generator = Tunes(TOKENIZER, train), np.random.default_rng(0)

    def finds(piece: int) -> bool:
        return bool(tunes.draw(piece, generator).values[:, len(READ) :].any())

    assert not any(finds(2) for _ in range(50))  # no other piece sings its tune
    found = np.mean([finds(0) for _ in range(400)])
    parts = np.mean([tunes._find(0, number)[1][:, len(READ) :].any() for number in range(DRAWS)])
    assert 0 < parts < 1
    assert found == pytest.approx((1 - NONE) * parts, abs=0.1)


def test_a_training_piece_comes_in_every_order_of_the_voices(store: TokenStore):
    train = store.split("train")
    tunes, generator, spelled = Tunes(TOKENIZER, train), np.random.default_rng(0), {}
    for _ in range(200):
        ids, _, context, *_ = tunes.draw(0, generator)
        order = int(context[1, 0]) - 1
        spelled[order] = ids
        assert np.array_equal(context[:, : len(READ)], TOKENIZER.context(ids, order=order)[:, : len(READ)])
    grid = TOKENIZER.grid(train.piece(0)[0].astype(np.int32))
    assert {order: ids.tolist() for order, ids in spelled.items()} == {
        order: TOKENIZER.spell(grid, order).tolist() for order in range(len(ORDERS))
    }


def test_a_held_out_piece_finds_all_training_pieces_always(store: TokenStore):
    train, valid = store.split("train"), store.split("valid")
    tunes, generator = Tunes(TOKENIZER, train).of_held_out(valid), np.random.default_rng(0)
    book = TOKENIZER.tune_book([TOKENIZER.grid(train.piece(place)[0].astype(np.int32)) for place in range(3)])
    ids = valid.piece(0)[0].astype(np.int32)
    expected = found_by(ids, TuneReader(book))
    assert expected.any()
    for _ in range(20):
        drawn, _, context, *_ = tunes.draw(0, generator)
        assert np.array_equal(drawn, ids)
        assert np.array_equal(context[:, len(READ) :], expected)


def test_what_is_told_stands_beside_the_tokens_it_belongs_to(store: TokenStore):
    train, valid = store.split("train"), store.split("valid")
    tunes = Tunes(TOKENIZER, train).of_held_out(valid)
    source = AugmentedSource(valid, shift_tables(TOKENIZER, valid), transpose=False, teller=tunes)
    ids, context = source.fetch(0, np.random.default_rng(0))
    book = TOKENIZER.tune_book([TOKENIZER.grid(train.piece(place)[0].astype(np.int32)) for place in range(3)])
    assert np.array_equal(context, TOKENIZER.context(ids, TuneReader(book)))


def test_the_same_generator_draws_the_same(store: TokenStore):
    train = store.split("train")
    one, two = Tunes(TOKENIZER, train), Tunes(TOKENIZER, train)
    two.draw(1, np.random.default_rng(5))  # what was drawn before does not matter
    for seed in range(20):
        first, second = (tunes.draw(0, np.random.default_rng(seed)) for tunes in (one, two))
        assert all(np.array_equal(*pair) for pair in zip(first, second, strict=True))

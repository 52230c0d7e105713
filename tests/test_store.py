"""The token store and augmentation: what goes in comes out, damage is found, transposing ids is transposing music."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from symusic import KeySignature, TimeSignature, Track

from melody.corpus import AugmentedSource, Split, TokenStore, shift_tables
from melody.corpus.store import StoredPiece, write_store
from melody.errors import MelodyError
from melody.score import Notes, Score, note_count, quantize, set_notes, transpose
from melody.tokens import EventTokenizer

TOKENIZER = EventTokenizer()
NOTHING_HIDDEN = np.zeros(len(TOKENIZER.channels), bool)


def score(seed: int) -> Score:
    """Four pitched tracks and drums, a few bars of random notes."""
    generator = np.random.default_rng(seed)
    result = Score(24)
    result.time_signatures = [TimeSignature(0, 3, 4)]
    result.key_signatures = [KeySignature(0, int(generator.integers(-5, 7)), seed % 2)]
    for drums in (False, False, False, False, True):
        track = Track("", 0, drums)
        onset = np.sort(generator.integers(0, 200, 20))
        columns = (onset, generator.integers(1, 60, 20), generator.integers(40, 80, 20), generator.integers(1, 127, 20))
        set_notes(track, Notes(*columns))
        result.tracks.append(track)
    return quantize(result)


def stored(seed: int, shifts: tuple[int, int] = (-3, 4)) -> StoredPiece:
    ids = TOKENIZER.encode(score(seed))
    return StoredPiece(f"piece {seed}", ids.astype(np.uint16), TOKENIZER.context(ids), note_count(score(seed)), shifts)


@pytest.fixture
def store(tmp_path: Path) -> TokenStore:
    splits = {"train": [stored(0), stored(1), stored(2, (0, 0))], "valid": [stored(3)], "test": []}
    return write_store(tmp_path / "store", "random", TOKENIZER, splits, {"dropped": []})


@pytest.fixture
def train(store: TokenStore) -> Split:
    return store.split("train")


# ---- the store ------------------------------------------------------------------------------------------------------


def test_what_goes_in_comes_out(store: TokenStore, train: Split) -> None:
    assert [store.name, store.splits, store.vocabulary_hash] == [
        "random",
        ["train", "valid"],
        TOKENIZER.vocabulary.hash,
    ]
    assert len(train) == len(train.lengths) == 3
    assert train.names == ["piece 0", "piece 1", "piece 2"]
    for index in range(3):
        piece = stored(index, tuple(train.shifts[index].tolist()))
        ids, context = train.piece(index)
        np.testing.assert_array_equal(ids, piece.ids)
        np.testing.assert_array_equal(context, piece.context)
        assert train.notes[index] == piece.notes
    assert len(store.split("test")) == 0


def test_dtypes_and_memory_mapping(train: Split) -> None:
    assert isinstance(train.ids, np.memmap)
    assert isinstance(train.context, np.memmap)
    kinds = [a.dtype for a in (train.ids, train.context, train.starts, train.notes, train.shifts)]
    assert kinds == [np.uint16, np.int16, np.int64, np.int32, np.int8]
    with pytest.raises(ValueError, match="read-only"):
        train.ids[0] = 0


def test_counts_stand_in_store_json(store: TokenStore, train: Split) -> None:
    counts = store.info["splits"]["train"]
    assert counts == {"pieces": 3, "tokens": len(train.ids), "notes": int(train.notes.sum())}
    assert [channel["name"] for channel in store.info["channels"]] == [c.name for c in TOKENIZER.channels]


def test_a_changed_file_is_found(store: TokenStore) -> None:
    store.verify()
    path = store.folder / "train.ids.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")
    with pytest.raises(MelodyError, match=r"train\.ids\.npy"):
        store.verify()


@pytest.mark.parametrize("name", ["train.ids.npy", "train.context.npy", "train.pieces.npz", "train.names.json"])
@pytest.mark.parametrize("size", [0, 20])
def test_a_truncated_file_is_refused(store: TokenStore, name: str, size: int) -> None:
    path = store.folder / name
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(MelodyError, match="damaged"):
        store.split("train")


def test_what_is_no_store_is_refused(tmp_path: Path, store: TokenStore) -> None:
    with pytest.raises(MelodyError, match="melody prepare"):
        TokenStore.open(tmp_path / "nowhere")
    with pytest.raises(MelodyError, match="no split 'tset'"):
        store.split("tset")
    (store.folder / "store.json").write_text(json.dumps(store.info | {"format": 99}))
    with pytest.raises(MelodyError, match="format 99"):
        TokenStore.open(store.folder)


def test_nothing_is_overwritten_unasked(tmp_path: Path, store: TokenStore) -> None:
    with pytest.raises(MelodyError, match="--force"):
        write_store(store.folder, "other", TOKENIZER, {"train": [stored(5)]}, {})
    assert TokenStore.open(store.folder).name == "random"
    assert write_store(store.folder, "other", TOKENIZER, {"train": [stored(5)]}, {}, force=True).name == "other"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "song.txt").write_text("la")
    with pytest.raises(MelodyError, match="no token store"):
        write_store(tmp_path / "mine", "other", TOKENIZER, {}, {}, force=True)


def test_a_failure_leaves_the_old_store_and_nothing_else(tmp_path: Path, store: TokenStore) -> None:
    broken = StoredPiece("broken", np.zeros(3, np.uint16), np.zeros((3, 1), np.int16), 1, (0, 0))
    with pytest.raises(ValueError, match="dimension"):
        write_store(store.folder, "other", TOKENIZER, {"train": [stored(5), broken]}, {}, force=True)
    assert TokenStore.open(store.folder).name == "random"
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


# ---- augmentation ---------------------------------------------------------------------------------------------------


@given(piece=st.integers(0, 1), semitones=st.integers(-3, 4))
def test_shifted_tokens_are_the_tokens_of_the_transposed_score(
    piece: int, semitones: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ids, context = _source(tmp_path_factory).shifted(piece, semitones, NOTHING_HIDDEN)
    expected = TOKENIZER.encode(transpose(score(piece), semitones) if semitones else score(piece))
    np.testing.assert_array_equal(ids, expected)
    np.testing.assert_array_equal(context, TOKENIZER.context(expected))


_SOURCES: list[AugmentedSource] = []


def _source(factory: pytest.TempPathFactory) -> AugmentedSource:
    if not _SOURCES:
        place = factory.mktemp("augment") / "store"
        split = write_store(place, "x", TOKENIZER, {"train": [stored(0), stored(1)]}, {}).split("train")
        _SOURCES.append(AugmentedSource(split, shift_tables(TOKENIZER, split)))
    return _SOURCES[0]


def test_every_allowed_transposition_is_drawn_and_no_other(train: Split) -> None:
    source = AugmentedSource(train, shift_tables(TOKENIZER, train))
    generator = np.random.default_rng(0)
    drawn = {source.fetch(0, generator)[0].tobytes() for _ in range(200)}
    assert drawn == {source.shifted(0, n, NOTHING_HIDDEN)[0].tobytes() for n in range(-3, 5)}
    assert len({source.fetch(2, generator)[0].tobytes() for _ in range(20)}) == 1  # shifts (0, 0)


def test_without_augmentation_the_stored_piece_comes(train: Split) -> None:
    source = AugmentedSource(train, shift_tables(TOKENIZER, train), transpose=False)
    ids, context = source.fetch(1, np.random.default_rng(0))
    np.testing.assert_array_equal(ids, train.piece(1)[0])
    np.testing.assert_array_equal(context, train.piece(1)[1])
    context[:] = 7  # the caller's own
    assert not (train.piece(1)[1] == 7).all()


def test_length_and_key_are_hidden_independently_and_nothing_else_is(train: Split) -> None:
    plans = [channel.plan for channel in TOKENIZER.channels]
    source = AugmentedSource(train, shift_tables(TOKENIZER, train), transpose=False, plan_dropout=0.5)
    generator = np.random.default_rng(0)
    whole = train.piece(0)[1]
    patterns = set()
    for _ in range(100):
        context = source.fetch(0, generator)[1][:, : whole.shape[1]]
        hidden = ~context.any(axis=0) & whole.any(axis=0)
        np.testing.assert_array_equal(context[:, ~hidden], whole[:, ~hidden])
        patterns.add(tuple(sorted({plans[column] for column in np.flatnonzero(hidden)})))
    assert patterns == {(), ("key",), ("length",), ("key", "length")}


def test_the_same_seed_fetches_the_same(train: Split) -> None:
    source = AugmentedSource(train, shift_tables(TOKENIZER, train), plan_dropout=0.3)
    first, second = (source.fetch(0, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])

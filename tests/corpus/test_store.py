"""The token store and augmentation: what goes in comes out, damage is found, transposing ids is transposing music."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from symusic import KeySignature, TimeSignature, Track

from melody.corpus import AugmentedSource, Split, TokenStore, shift_tables
from melody.corpus.pieces import Dropped, Piece
from melody.corpus.shards import Shards
from melody.corpus.store import StoredPiece, StoreRow, check_place, publish, write_store
from melody.errors import MelodyError
from melody.music.quantize import quantize
from melody.music.score import Notes, Score, note_count, notes_of, set_notes, transpose
from melody.tokens import EventTokenizer
from melody.tokens.channels import reading

TOKENIZER = EventTokenizer()
READ = reading()
KEY = {"channels": len(READ)}
CHANNELS = [{"name": channel.name} for channel in READ]
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


def stored(seed: int, shifts: tuple[int, int] = (-3, 4)) -> Piece:
    ids = TOKENIZER.encode(score(seed))
    context = TOKENIZER.context(ids)[:, : len(READ)]
    notes = note_count(score(seed))
    return Piece(f"piece {seed}", ids.astype(np.uint16), context, notes, ((40, 80),), shifts, "x", np.arange(seed))


def sharded(folder: Path, splits: dict[str, list[Piece]]) -> TokenStore:
    """A store of these pieces, two or so in a shard."""
    pieces = [piece for members in splits.values() for piece in members]
    with Shards(folder, KEY, most_tokens=900) as shards:
        for piece in pieces[::-1]:
            shards.add(piece.name, "", [piece])
    places = {item: record.entries[0].place for item, record in shards.records.items()}
    rows = {s: [StoreRow(p.name, places[p.name], p.notes, p.shifts) for p in members] for s, members in splits.items()}
    told = {"report": {"dropped": []}, "options": {"seed": 0}}
    return publish(folder, "random", TOKENIZER, rows, shards=shards.numbers, **told)


@pytest.fixture
def store(tmp_path: Path) -> TokenStore:
    splits = {"train": [stored(0), stored(1), stored(2, (0, 0))], "valid": [stored(3)], "test": []}
    return sharded(tmp_path / "store", splits)


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
    assert len(train.shards) > 1
    for ids, context in train.shards.values():
        assert isinstance(ids, np.memmap)
        assert isinstance(context, np.memmap)
        assert (ids.dtype, context.dtype) == (np.uint16, np.int16)
    kinds = [a.dtype for a in (train.starts, train.lengths, train.notes, train.shifts, train.styles)]
    assert kinds == [np.int64, np.int64, np.int32, np.int8, np.int8]
    with pytest.raises(ValueError, match="read-only"):
        train.piece(0)[0][0] = 0


def test_counts_stand_in_store_json(store: TokenStore, train: Split) -> None:
    counts = store.info["splits"]["train"]
    assert counts == {"pieces": 3, "tokens": int(train.lengths.sum()), "notes": int(train.notes.sum())}
    assert [channel["name"] for channel in store.info["channels"]] == [c.name for c in READ]


def test_a_changed_file_is_found(store: TokenStore) -> None:
    store.verify()
    path = store.folder / "shards" / "00001.ids"
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")
    TokenStore.open(store.folder)  # of the right size
    with pytest.raises(MelodyError, match=r"00001\.ids"):
        store.verify()


@pytest.mark.parametrize("part", ["ids", "context", "grams", "jsonl", "index"])
@pytest.mark.parametrize("size", [0, 20, None])
def test_a_file_that_is_cut_off_or_gone_is_refused(store: TokenStore, part: str, size: int | None) -> None:
    path = store.folder / (store.info["index"] if part == "index" else f"shards/00000.{part}")
    path.unlink() if size is None else path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(MelodyError, match=f"{path.name}.*damaged"):
        TokenStore.open(store.folder)


def test_damage_after_opening_is_refused(store: TokenStore) -> None:
    (store.folder / store.info["index"]).write_bytes(b"PK")
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


def test_what_stands_at_a_place_decides(tmp_path: Path, store: TokenStore) -> None:
    assert check_place(tmp_path / "nowhere", {"seed": 0}, force=False) is None
    there = check_place(store.folder, {"seed": 0}, force=False)
    assert there
    assert there.info == store.info
    with pytest.raises(MelodyError, match=r"seed 0, not 1.*`force`"):
        check_place(store.folder, {"seed": 1}, force=False)
    assert check_place(store.folder, {"seed": 1}, force=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "song.txt").write_text("la")
    for force in (False, True):
        with pytest.raises(MelodyError, match="no token store"):
            check_place(tmp_path / "mine", {}, force)


def test_a_store_that_changes_is_whole_at_any_time(store: TokenStore) -> None:
    old = {index: store.split("train").piece(index)[0].tolist() for index in range(3)}
    opened = store.split("train")
    with Shards(store.folder, KEY, closed=store.shards) as shards:
        shards.add("later", "", [stored(8)])
        shards.flush()
        TokenStore.open(store.folder).verify()  # what is being written is no part of it
        row = StoreRow("later", shards.records["later"].entries[0].place, 1, (0, 0))
    changed = publish(store.folder, "random", TOKENIZER, {"train": [row]}, shards=shards.numbers[-1:], report={})
    np.testing.assert_array_equal(changed.split("train").piece(0)[0], stored(8).ids)
    assert sorted(path.suffix for path in store.folder.rglob("*.*")) == [
        ".context",
        ".grams",
        ".ids",
        ".json",
        ".jsonl",
        ".npz",
    ]
    assert {index: opened.piece(index)[0].tolist() for index in range(3)} == old  # for whoever reads it still


def test_a_store_of_format_2_is_read(tmp_path: Path, train: Split) -> None:
    pieces = [train.piece(index) for index in range(3)]
    np.save(tmp_path / "train.ids.npy", np.concatenate([ids for ids, _ in pieces]))
    np.save(tmp_path / "train.context.npy", np.concatenate([context for _, context in pieces]))
    columns = {"notes": train.notes, "shifts": train.shifts, "styles": train.styles}
    np.savez(tmp_path / "train.pieces.npz", starts=np.cumsum([0, *train.lengths]), **columns)
    (tmp_path / "train.names.json").write_text(json.dumps(train.names))
    (tmp_path / "store.json").write_text(
        json.dumps({"format": 2, "files": {}, "splits": {"train": {"pieces": 3}}, "channels": CHANNELS})
    )
    old = TokenStore.open(tmp_path).split("train")
    assert old.channels == train.channels
    assert (old.names, old.lengths.tolist()) == (train.names, train.lengths.tolist())
    for index, (ids, context) in enumerate(pieces):
        np.testing.assert_array_equal(old.piece(index)[0], ids)
        np.testing.assert_array_equal(old.piece(index)[1], context)
    with pytest.raises(MelodyError, match=r"format 2.*`force`"):
        check_place(tmp_path, {}, force=False)
    (tmp_path / "train.ids.npy").write_bytes(b"")
    with pytest.raises(MelodyError, match="damaged"):
        TokenStore.open(tmp_path).split("train")


def whole(seed: int, width: int = len(READ)) -> StoredPiece:
    piece = stored(seed)
    return StoredPiece(piece.name, piece.ids, piece.context[:, :width], piece.notes, piece.shifts)


def test_pieces_at_hand_are_written_and_nothing_is_overwritten_unasked(tmp_path: Path, store: TokenStore) -> None:
    with pytest.raises(MelodyError, match="`force`"):
        write_store(store.folder, "other", TOKENIZER, {"train": [whole(5)]}, {})
    assert TokenStore.open(store.folder).name == "random"
    other = write_store(store.folder, "other", TOKENIZER, {"train": [whole(5), whole(6)], "test": []}, {}, force=True)
    other.verify()
    assert (other.name, other.splits) == ("other", ["train"])
    np.testing.assert_array_equal(other.split("train").ids, np.concatenate([stored(5).ids, stored(6).ids]))
    assert len(other.split("test").ids) == 0


def test_a_failure_leaves_the_old_store_and_nothing_else(tmp_path: Path, store: TokenStore) -> None:
    with pytest.raises(ValueError, match="shape"):
        write_store(store.folder, "other", TOKENIZER, {"train": [whole(5), whole(6, width=3)]}, {}, force=True)
    TokenStore.open(store.folder).verify()
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


# ---- shards ---------------------------------------------------------------------------------------------------------


def test_what_a_kill_leaves_behind_is_taken_up(tmp_path: Path) -> None:
    """Whatever the length at which each file was cut off, what is taken up is a beginning of what was added."""
    pieces = [stored(seed) for seed in range(4)]
    with Shards(tmp_path, KEY) as shards:
        for piece in pieces:
            shards.add(piece.name, "digest", [piece, Dropped("bad", "no notes")])
    whole = {path: path.read_bytes() for path in (tmp_path / "shards").iterdir()}
    generator = np.random.default_rng(0)
    counts = set()
    for _ in range(30):
        for path, data in whole.items():
            cut = int(generator.integers(len(data) + 1)) if generator.random() < 0.4 else len(data)
            path.write_bytes(data[:cut])
        with Shards(tmp_path, KEY) as shards:
            known = list(shards.records)
            assert known == [piece.name for piece in pieces[: len(known)]]
            for piece in pieces:
                if piece.name not in shards.records:
                    shards.add(piece.name, "digest", [piece, Dropped("bad", "no notes")])
            for piece in pieces:
                record = shards.records[piece.name]
                shards.flush()
                np.testing.assert_array_equal(shards.ids(record.entries[0].place), piece.ids)
                np.testing.assert_array_equal(shards.grams(record.entries[0]), piece.grams)
                assert record.dropped == (Dropped("bad", "no notes"),)
        counts.add(len(known))
        for path in (tmp_path / "shards").iterdir():
            path.unlink()
    assert {0, 4} < counts


def test_what_was_read_otherwise_is_passed_over(tmp_path: Path) -> None:
    with Shards(tmp_path, KEY) as shards:
        shards.add("x", "", [stored(0)])
    with Shards(tmp_path, KEY | {"ngram": 5}) as shards:
        assert not shards.records
        shards.add("y", "", [stored(1)])
        assert shards.numbers == [1]
    with Shards(tmp_path, KEY, forgotten=[0]) as shards:
        assert not shards.records


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
        split = sharded(place, {"train": [stored(0), stored(1)]}).split("train")
        _SOURCES.append(AugmentedSource(split, shift_tables(TOKENIZER, split)))
    return _SOURCES[0]


def test_every_allowed_transposition_is_drawn_and_no_other(train: Split) -> None:
    source = AugmentedSource(train, shift_tables(TOKENIZER, train))
    generator = np.random.default_rng(0)
    drawn = {source.fetch(0, generator)[0].tobytes() for _ in range(200)}
    assert drawn == {source.shifted(0, n, NOTHING_HIDDEN)[0].tobytes() for n in range(-3, 5)}
    assert len({source.fetch(2, generator)[0].tobytes() for _ in range(20)}) == 1  # shifts (0, 0)


@pytest.mark.parametrize("steps", [-40, -2, 0, 3, 40])
def test_a_louder_piece_is_the_same_piece_louder(tmp_path: Path, steps: int) -> None:
    """By as many bins as leave each note one; its context is that of such a score."""
    quiet = score(0)
    for track in quiet.tracks:
        notes = notes_of(track)
        set_notes(track, notes._replace(velocity=40 + notes.velocity % 32))
    ids = TOKENIZER.encode(quantize(quiet))
    context = TOKENIZER.context(ids)[:, : len(READ)]
    piece = Piece("quiet", ids.astype(np.uint16), context, note_count(quiet), ((40, 80),), (0, 0), "x", np.arange(3))
    split = sharded(tmp_path / "store", {"train": [piece]}).split("train")
    source = AugmentedSource(split, shift_tables(TOKENIZER, split), levels=[(TOKENIZER.vocabulary.ids["Velocity"], 2)])
    ids, context = source.shifted(0, 0, NOTHING_HIDDEN, steps=[steps])
    plain, moved = TOKENIZER.decode(split.piece(0)[0]), TOKENIZER.decode(ids)
    before, after = (np.concatenate([notes_of(track).velocity for track in one.tracks]) for one in (plain, moved))
    expected = 4 * min(max(steps, -(int(before.min()) // 4)), 31 - int(before.max()) // 4)
    assert set((after - before).tolist()) == {expected}
    np.testing.assert_array_equal(context, TOKENIZER.context(TOKENIZER.encode(moved)))
    generator = np.random.default_rng(0)
    drawn = {source.fetch(0, generator)[0].tobytes() for _ in range(100)}
    assert drawn == {source.shifted(0, 0, NOTHING_HIDDEN, steps=[n])[0].tobytes() for n in range(-2, 3)}


def test_without_augmentation_the_stored_piece_comes(train: Split) -> None:
    source = AugmentedSource(train, shift_tables(TOKENIZER, train), transpose=False)
    ids, context = source.fetch(1, np.random.default_rng(0))
    np.testing.assert_array_equal(ids, train.piece(1)[0])
    np.testing.assert_array_equal(context[:, : len(READ)], train.piece(1)[1])
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

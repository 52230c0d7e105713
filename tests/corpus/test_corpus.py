"""Corpora: folders end to end, duplicates, clusters and splits, and the chorale recipe."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from symusic import KeySignature, TimeSignature, Track

from melody.corpus import TokenStore, prepare
from melody.corpus.duplicates import clusters, draw_split, fingerprint, interval_grams
from melody.corpus.limits import allowed_shifts, pitch_limits
from melody.corpus.pieces import Dropped, Piece, music_files, read_file, read_item
from melody.corpus.prepare import drop_duplicates
from melody.corpus.recipe import SPLITS, load_pieces, load_recipe, recipe_folders
from melody.corpus.workers import read_pieces
from melody.errors import ConfigError, MelodyError
from melody.music.quantize import quantize
from melody.music.score import Notes, Score, note_count, notes_of, set_notes, transpose
from melody.tokens import EventTokenizer

CHORALE = Path(__file__).parents[2] / "corpora" / "chorale"


def tune(seed: int, length: int = 40, variation: int = 0) -> Score:
    """A random melody with a bass; `variation` changes some of its last notes."""
    generator = np.random.default_rng(seed)
    pitch = 60 + np.clip(np.cumsum(generator.integers(-4, 5, length)), -20, 20)
    pitch[length - variation :] = 60 + np.arange(variation) % 7
    result = Score(480)
    result.time_signatures = [TimeSignature(0, 4, 4)]
    result.key_signatures = [KeySignature(0, 0, 0)]
    for name, notes in (("tune", pitch), ("bass", np.full(length // 4, 40))):
        track = Track(name, 0, False)
        step = 480 * length // len(notes)
        onset = np.arange(len(notes)) * step
        set_notes(track, Notes(onset, np.full(len(notes), step), notes, np.full(len(notes), 80)))
        result.tracks.append(track)
    return result


# ---- duplicates -----------------------------------------------------------------------------------------------------


@given(st.integers(0, 50), st.integers(-12, 12))
def test_a_fingerprint_survives_transposition_velocity_and_order_of_tracks(seed: int, semitones: int) -> None:
    score = quantize(tune(seed))
    other = transpose(score, semitones)
    other.tracks = [other.tracks[1], other.tracks[0]]
    set_notes(other.tracks[0], notes_of(other.tracks[0])._replace(velocity=np.full(10, 20)))
    assert fingerprint(other) == fingerprint(score)


def test_a_fingerprint_tells_one_changed_note() -> None:
    score = quantize(tune(1))
    other = score.copy()
    notes = notes_of(score.tracks[0])
    notes.pitch[-1] += 1
    set_notes(other.tracks[0], notes)
    assert fingerprint(other) != fingerprint(score)


def test_drums_are_not_transposed_away() -> None:
    def drums(pitch: int) -> Score:
        result = Score(24)
        track = Track("", 0, True)
        set_notes(track, Notes(*(np.array([value]) for value in (0, 6, pitch, 80))))
        result.tracks.append(track)
        return result

    assert fingerprint(drums(36)) != fingerprint(drums(38))


def test_interval_grams_by_hand() -> None:
    score = quantize(tune(0, length=8))
    pitch = notes_of(score.tracks[0]).pitch
    assert len(interval_grams(score, 6)) == 2
    assert len(interval_grams(score, len(pitch))) == 0
    np.testing.assert_array_equal(interval_grams(score, 6), interval_grams(transpose(score, 5), 6))


def test_versions_of_a_tune_form_a_cluster() -> None:
    scores = [tune(0), tune(1), tune(0, variation=12), tune(2), transpose(tune(1, variation=5), 3)]
    labels = clusters([interval_grams(quantize(score), 6) for score in scores])
    assert labels.tolist() == [0, 1, 0, 2, 1]


def test_clusters_are_chains() -> None:
    grams = [np.arange(0, 10), np.arange(20, 30), np.arange(5, 25), np.arange(40, 44), np.zeros(0, np.int64)]
    assert clusters(grams).tolist() == [0, 0, 0, 1, 2]  # the third shares half with each of the first two


# ---- splits ---------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 30), min_size=1, max_size=200), st.integers(0, 5))
def test_a_drawn_split_never_separates_a_cluster(numbers: list[int], seed: int) -> None:
    labels = np.unique(np.array(numbers), return_inverse=True)[1]
    drawn = draw_split(labels, seed)
    assert drawn == draw_split(labels, seed)
    for cluster in set(labels.tolist()):
        assert len({split for split, label in zip(drawn, labels, strict=True) if label == cluster}) == 1
    assert set(drawn) == ({"train", "valid", "test"} if labels.max() >= 2 else {"train"})


def test_a_drawn_split_of_single_pieces_is_90_5_5() -> None:
    drawn = draw_split(np.arange(200), 0)
    assert [drawn.count(split) for split in SPLITS] == [180, 10, 10]
    assert drawn != draw_split(np.arange(200), 1)


# ---- transposition limits -------------------------------------------------------------------------------------------


def piece(*ranges: tuple[int, int], name: str = "x", print_: str = "") -> Piece:
    empty = np.zeros(0, np.int64)
    return Piece(name, empty.astype(np.uint16), empty.astype(np.int16), 1, ranges, (-40, 40), print_ or name, empty)


def test_each_track_stays_within_its_range() -> None:
    train = [piece((60, 70), (40, 50)), piece((62, 75), (38, 48))]
    limits = pitch_limits(train, "tracks")
    assert limits == [(60, 75), (38, 50)]
    assert [allowed_shifts(p, limits, 6) for p in train] == [(0, 0), (0, 0)]
    assert allowed_shifts(piece((64, 70), (41, 46)), limits, 6) == (-3, 4)
    assert allowed_shifts(piece((50, 80), (41, 46)), limits, 6) == (0, 0)  # itself out of range: stays as it is


def test_all_tracks_share_the_range_of_a_folder_and_drums_do_not_count() -> None:
    limits = pitch_limits([piece((60, 70), (0, 127)), piece((30, 90))], "corpus")
    assert limits == [(30, 90)]
    assert allowed_shifts(piece((34, 70), (0, 127), (50, 60)), limits, 6) == (-4, 6)


def test_of_duplicates_the_first_is_kept() -> None:
    pieces = [piece(name="a", print_="1"), piece(name="b", print_="2"), piece(name="c", print_="1")]
    kept, dropped = drop_duplicates(pieces)
    assert [p.name for p in kept] == ["a", "b"]
    assert dropped == [Dropped("c", "duplicate", "the same notes as a")]
    given_split = {"a": "train", "b": "train", "c": "test"}
    assert [p.name for p in drop_duplicates(pieces, given_split)[0]] == ["a", "b", "c"]


# ---- reading --------------------------------------------------------------------------------------------------------


def reader(name: str, root: Path = Path()) -> dict[str, Score]:
    if name == "broken":
        raise MelodyError("broken: no header")
    if name == "crash":
        raise ZeroDivisionError("of a reader")
    return {name: tune(int(name))} if name != "book" else {"book#1": tune(7), "book#2": Score(24), "book#3": tune(8)}


def test_an_item_may_hold_several_pieces() -> None:
    pieces, dropped = read_pieces(["book", "1"], Path(), reader, 6, workers=1)
    assert [p.name for p in pieces] == ["book#1", "book#3", "1"]
    assert dropped == [Dropped("book#2", "no notes")]


def test_a_bad_piece_costs_one_line() -> None:
    pieces, dropped = read_pieces(["1", "broken", "2", "crash"], Path(), reader, 6, workers=1)
    assert [p.name for p in pieces] == ["1", "2"]
    assert dropped == [
        Dropped("broken", "MelodyError", "broken: no header"),
        Dropped("crash", "reader failed", "ZeroDivisionError: of a reader"),
    ]


def test_in_parallel_as_one_by_one() -> None:
    names = [str(seed) for seed in range(12)]
    alone, together = (read_pieces(names, Path(), reader, 6, workers=workers)[0] for workers in (1, 2))
    assert [p.name for p in together] == names
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one.ids, other.ids)
        np.testing.assert_array_equal(one.context, other.context)
        assert one.fingerprint == other.fingerprint


def test_a_piece_is_tokenized_as_the_tokenizer_does() -> None:
    (result,) = read_item("3", reader, 6)
    assert isinstance(result, Piece)
    np.testing.assert_array_equal(result.ids, EventTokenizer().encode(tune(3)))
    assert result.notes == note_count(tune(3))


# ---- a folder, end to end -------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty tunes, a version of the first, a transposed copy, a damaged file, a hidden one, one that is no music."""
    root = tmp_path / "tunes"
    (root / "deep" / "er").mkdir(parents=True)
    for seed in range(20):
        place = root / "deep" if seed % 2 else root
        tune(seed).dump_midi(place / f"{seed:02}.mid")
    tune(0, variation=8).dump_midi(root / "version.MID")
    transpose(tune(1), 2).dump_midi(root / "zcopy.midi")
    (root / "deep" / "er" / "damaged.mid").write_bytes(b"MThd and no more")
    (root / ".hidden.mid").write_bytes(b"")
    (root / "notes.txt").write_text("not music")
    return root


def test_music_files_are_found_in_order(folder: Path) -> None:
    names = music_files(folder)
    assert names == sorted(names)
    assert len(names) == 23
    assert "deep/er/damaged.mid" in names


def test_a_folder_becomes_a_store(folder: Path, tmp_path: Path) -> None:
    report = prepare(folder, tmp_path / "store", workers=2)
    assert report.pieces == {"train": 19, "valid": 1, "test": 1}
    assert {(d.name, d.reason) for d in report.dropped} == {
        ("deep/er/damaged.mid", "UnreadableFile"),
        ("zcopy.midi", "duplicate"),
    }
    assert (report.clusters, report.shared_clusters, report.differences) == (20, 0, [])
    store = TokenStore.open(tmp_path / "store")
    store.verify()
    home = {name: split for split in store.splits for name in store.split(split).names}
    assert home["00.mid"] == home["version.MID"]
    train = store.split("train")
    for index, name in enumerate(train.names):
        score = EventTokenizer().decode(train.piece(index)[0])
        assert note_count(score) == train.notes[index] == 50, name
    assert store.info["report"]["reasons"] == report.reasons
    assert json.loads(json.dumps(report.to_dict())) == store.info["report"]


def test_a_book_of_abc_tunes_is_many_pieces(tmp_path: Path) -> None:
    tunes = "\n".join(
        f"X:{n}\nT:tune {n}\nM:4/4\nL:1/4\nK:C\n{notes} |" for n, notes in enumerate(["CDEF", "", "GFED"], 1)
    )
    (tmp_path / "book.abc").write_text(tunes)
    (tmp_path / "one.abc").write_text("X:1\nM:3/4\nL:1/4\nK:G\nGAB |")
    report = prepare(tmp_path, tmp_path / "store", workers=1)
    assert [drop.name for drop in report.dropped] == ["book.abc#2"]
    store = TokenStore.open(tmp_path / "store")
    assert sorted(n for s in store.splits for n in store.split(s).names) == ["book.abc#1", "book.abc#3", "one.abc"]


def test_a_giant_book_of_tunes_costs_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("melody.formats.abc.MAX_FILE_BYTES", 20)
    (tmp_path / "book.abc").write_text("X:1\nM:4/4\nL:1/4\nK:C\nCDEF |")
    (dropped,) = read_item("book.abc", partial(read_file, root=tmp_path), 6)
    assert isinstance(dropped, Dropped)
    assert dropped.reason == "LimitExceeded"


def test_the_split_of_a_folder_follows_the_seed(folder: Path, tmp_path: Path) -> None:
    def held_out(place: str, seed: int) -> list[str]:
        prepare(folder, tmp_path / place, workers=1, seed=seed)
        return TokenStore.open(tmp_path / place).split("test").names

    assert held_out("a", 1) == held_out("b", 1) != held_out("c", 2)


def test_prepare_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MelodyError, match=r"neither a folder nor a corpus.*chorale"):
        prepare(tmp_path / "nowhere")
    with pytest.raises(MelodyError, match="no MIDI"):
        prepare(tmp_path)
    (tmp_path / "x.mid").write_bytes(b"no music")
    with pytest.raises(MelodyError, match=r"no piece could be read.*x\.mid"):
        prepare(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


# ---- the chorale recipe ---------------------------------------------------------------------------------------------


def test_the_chorale_recipe_is_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_recipe(recipe_folders()["chorale"]).name == "chorale"


def test_a_recipe_at_hand_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "corpora" / "chorale"
    mine.mkdir(parents=True)
    (mine / "recipe.yaml").write_text((CHORALE / "recipe.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    assert recipe_folders()["chorale"].resolve() == mine


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("ngram: 5", "ngramm: 5"), "ngramm.*did you mean ngram"),
        (("ngram: 5", "ngram: five"), "ngram.*integer"),
        (("reader: chorale", "reader: choral"), "no reader 'choral'"),
    ],
)
def test_a_recipe_with_a_mistake_is_refused_by_name(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    text = (CHORALE / "recipe.yaml").read_text()
    assert change[0] in text
    (tmp_path / "recipe.yaml").write_text(text.replace(*change))
    with pytest.raises(ConfigError, match=message):
        load_recipe(tmp_path)


def test_the_chorale_split_holds_each_piece_once() -> None:
    pieces = load_pieces(CHORALE)
    names = list(pieces.without("hymn/").split_of.values())
    assert [names.count(split) for split in SPLITS] == [236, 75, 77]
    assert not set(pieces.split_of) & set(pieces.left_out)
    for held_out, train in pieces.overlaps.items():
        assert (pieces.split_of[held_out] in ("valid", "test"), pieces.split_of[train]) == (True, "train")


def test_a_piece_in_two_splits_is_refused(tmp_path: Path) -> None:
    split = {"train": ["a"], "valid": ["b", "a"], "test": [], "left_out": {}}
    (tmp_path / "split.json").write_text(json.dumps(split))
    with pytest.raises(ConfigError, match="a stands twice"):
        load_pieces(tmp_path)


def test_the_chorale_split_is_the_canonical_one(data_folder: Path) -> None:
    canonical = json.loads((data_folder / "jsb_split_music21.json").read_text())
    pieces = load_pieces(CHORALE)
    by_split = {split: [n for n, s in pieces.split_of.items() if s == split] for split in SPLITS}
    assert by_split["valid"] == canonical["valid"]
    assert by_split["test"] == canonical["test"]
    assert by_split["train"][:225] == canonical["train"]
    never = {name for key, names in canonical.items() if key.startswith("exclude") for name in names}
    assert never
    assert never <= set(pieces.left_out)


@pytest.mark.slow
def test_the_chorales_are_as_the_recipe_says(tmp_path: Path) -> None:
    report = prepare("chorale", tmp_path / "store")
    assert report.differences == []
    assert report.pieces == {"train": 236, "valid": 75, "test": 77}
    assert set(report.reasons) == set(load_pieces(CHORALE).without("hymn/").left_out.values())
    assert report.remark.startswith("without hymns; for them get https://github.com/mzealey/openhymnal")
    assert (report.clusters, report.shared_clusters) == (232, 50)

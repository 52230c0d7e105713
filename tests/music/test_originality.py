"""Originality: transposition hides no copy, a planted quotation is named, and Bach scores what was published."""

import io
import math
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from symusic import Note, Track
from test_voice_leading import npz_scores

from melody.errors import MelodyError
from melody.generation.rules.copying import CopyReader, NoLongCopy
from melody.music.originality import (
    LENGTH,
    Copy,
    Index,
    build,
    copies,
    counts,
    distinct,
    followed_by,
    line,
    mean_share,
    ngrams,
    piece_share,
    share,
)
from melody.music.score import GRID, Notes, Score, resample, transpose
from melody.storage.untrusted import check_index
from melody.tokens import EventTokenizer, Plan, Reader

EIGHTH = GRID // 2


def melody_of(pitches: list[int], duration: int = EIGHTH, start: int = 0) -> Track:
    track = Track("")
    for index, pitch in enumerate(pitches):
        track.notes.append(Note(start + index * duration, duration, pitch, 80))
    return track


def score_of(*tracks: Track) -> Score:
    score = Score(GRID)
    score.tracks.extend(tracks)
    return score


def random_tune(seed: int, notes: int) -> list[int]:
    return np.random.default_rng(seed).integers(55, 80, notes).tolist()


@pytest.fixture(scope="module", params=["as it is now", "of an earlier version"])
def index(request: pytest.FixtureRequest) -> Index:
    """Ten pieces of two voices in eighths, 16 bars each."""
    pieces = [
        (f"piece {n}", score_of(melody_of(random_tune(n, 128)), melody_of(random_tune(100 + n, 128))))
        for n in range(10)
    ]
    index = build(pieces)
    if request.param == "as it is now":
        return index
    hashes = [ngrams(line(track, GRID), older=True) for _, score in pieces for track in score.tracks]
    return Index.from_bytes(replace(index, hashes=np.concatenate(hashes)).to_bytes())


@given(st.lists(st.integers(30, 90), max_size=30), st.integers(-20, 20))
def test_ngrams_do_not_hear_transposition_but_all_else(pitches, semitones):
    grams = ngrams(line(melody_of(pitches), GRID))
    assert len(grams) == max(0, len(pitches) - LENGTH)
    assert (grams == ngrams(line(melody_of([p + semitones for p in pitches]), GRID))).all()
    if len(grams):
        assert not np.isin(ngrams(line(melody_of(pitches, GRID), GRID)), grams).any()  # another rhythm
        changed = [*pitches[:LENGTH], pitches[LENGTH] + 1, *pitches[LENGTH + 1 :]]
        assert ngrams(line(melody_of(changed), GRID))[0] != grams[0]  # the interval after the eighth note


def test_hashes_never_change():
    # they are kept in bundles: if this fails, every shipped index is void
    scale = line(melody_of([60, 62, 64, 65, 67, 69, 71, 72, 74]), GRID)
    assert ngrams(scale).tolist() == [32548332655]
    assert ngrams(scale, older=True).tolist() == [3435718998]


def test_an_ngram_is_known_by_three_hashes_of_which_the_next_has_two():
    grams = ngrams(line(melody_of(random_tune(5, 40)), GRID)).tolist()
    assert max(grams) < 2**36
    assert all(gram % 2**24 == following >> 12 for gram, following in pairwise(grams))


def test_resolution_rests_and_lower_notes_do_not_matter():
    score = score_of(melody_of(random_tune(1, 20)))
    grams = ngrams(line(score.tracks[0], GRID))
    assert (ngrams(line(resample(score, 480).tracks[0], 480)) == grams).all()
    score.tracks[0].notes.append(Note(0, EIGHTH, 40, 80))
    assert (ngrams(line(score.tracks[0], GRID)) == grams).all()


def test_planted_transposed_quotation_is_found_and_named(index):
    quotation = [pitch + 5 for pitch in random_tune(104, 128)[40:72]]  # bars 6 to 9 of the second voice
    own = random_tune(999, 96)
    score = score_of(melody_of(random_tune(998, 96)), melody_of([*own[:16], *quotation, *own[48:]]))
    assert copies(score, index, 4) == [Copy(track=1, first_bar=3, last_bar=6, piece="piece 4", piece_bar=6)]
    assert copies(score, index, 4.5) == []


def test_a_passage_inside_a_longer_one_is_not_told_again():
    tune = random_tune(1, 64)
    both = build([("a part", score_of(melody_of(tune[8:48]))), ("the whole", score_of(melody_of(tune)))])
    assert copies(score_of(melody_of(tune)), both) == [Copy(0, 1, 8, "the whole", 1)]


def test_passages_do_not_run_across_voices(index):
    repeated = build([("drone", score_of(melody_of([60] * 20), melody_of([55] * 20)))])  # 2.5 bars each
    assert copies(score_of(melody_of([60] * 64)), repeated, 2.6) == []
    assert copies(score_of(melody_of([60] * 64)), repeated, 2.5) != []
    # the end of one voice, then the beginning of the next: two passages
    joined = score_of(melody_of([*random_tune(3, 128)[-32:], *random_tune(103, 128)[:32]]))
    assert {(c.first_bar, c.last_bar, c.piece_bar) for c in copies(joined, index)} == {(1, 4, 13), (5, 8, 1)}


def test_drums_and_new_music_are_no_copies(index):
    drums = melody_of(random_tune(3, 128))
    drums.is_drum = True
    score = score_of(drums, melody_of(random_tune(500, 64)))
    assert copies(score, index, 0) == []
    assert share(score, index) == [0]


def test_share_counts_each_voice_by_its_own(index):
    first, second = melody_of(random_tune(2, 128)), melody_of(random_tune(102, 128))
    assert share(score_of(first, second), index) == [1, 1]
    assert share(score_of(second, first), index) == [0, 0]
    half = melody_of([*random_tune(2, 128)[:60], *random_tune(700, 60)])
    assert share(score_of(half), index) == [pytest.approx(52 / 112, abs=0.03)]
    assert math.isnan(share(score_of(melody_of([60] * LENGTH)), index)[0])
    assert share(score_of(first, second, melody_of(random_tune(1, 20))), index)[2] == 0  # no third voice in training
    assert mean_share([score_of(first, second), score_of(second)], index) == [0.5, 1]


def test_index_comes_back_from_its_bytes(index):
    data = index.to_bytes()
    again = Index.from_bytes(data)
    assert again.pieces == index.pieces
    assert (again.hashes == index.hashes).all()
    assert again.to_bytes() == data
    score = transpose(score_of(melody_of(random_tune(7, 128))), -2)
    assert copies(score, again) == copies(score, index) != []


COLUMNS = ("hashes", "piece", "voice", "bar")


@settings(deadline=None)
@given(st.lists(st.tuples(*(st.integers(0, most) for most in (2**32 - 1, 3, 2, 2**16 - 1))), max_size=40))
def test_any_columns_come_back_and_older_files_are_read(rows):
    types = (np.uint32, np.uint32, np.uint8, np.uint16)
    columns = np.array(rows, np.int64).reshape(-1, 4).T
    older = Index(("a", "b"), *(column.astype(type_) for column, type_ in zip(columns, types, strict=True)))
    parts = np.append(columns[0] % 2**12, [1, 2]).astype(np.uint64)
    known = replace(older, hashes=parts[:-2] << np.uint64(24) | parts[1:-1] << np.uint64(12) | parts[2:])
    oldest, whole = io.BytesIO(), {name: getattr(older, name) for name in COLUMNS}
    np.savez_compressed(oldest, pieces=np.array(["a", "b"]), pitch=np.zeros(len(older), np.uint8), **whole)
    for index, data in ((known, known.to_bytes()), (older, older.to_bytes()), (older, oldest.getvalue())):
        check_index(data)
        again = Index.from_bytes(data)
        assert again.pieces == index.pieces
        assert again.older == (index is older)
        for name, type_ in zip(COLUMNS, types, strict=True):
            column = getattr(again, name)
            assert column.dtype == (type_ if name != "hashes" or again.older else np.uint64)
            assert (column == getattr(index, name)).all()


@pytest.mark.parametrize("damage", [b"", b"nonsense", "half"])
def test_damaged_index_is_refused(index, damage):
    data = index.to_bytes()
    with pytest.raises(MelodyError, match="damaged"):
        Index.from_bytes(data[: len(data) // 2] if damage == "half" else damage)


@given(st.integers(0, 10**9), st.integers(0, 255))
def test_a_changed_byte_is_refused_or_harmless(index, place, value):
    data = bytearray(index.to_bytes())
    data[place % len(data)] = value
    with suppress(MelodyError):
        assert (Index.from_bytes(bytes(data)).hashes == index.hashes).all()


def test_empty_index_knows_nothing():
    empty = Index.from_bytes(build([]).to_bytes())
    score = score_of(melody_of(random_tune(1, 40)))
    assert len(empty) == 0
    assert copies(score, empty, 0) == []
    assert share(score, empty) == [0]


def test_bachs_figures_on_the_test_chorales(data_folder):
    train, test = npz_scores(data_folder, "train"), npz_scores(data_folder, "test")
    index = build((f"train {n}", score) for n, score in enumerate(train))
    assert np.round(100 * np.array(mean_share(test, index)), 1).tolist() == pytest.approx(
        [26.8, 0.8, 0.9, 5.8], abs=0.06
    )
    assert len(index.to_bytes()) < 1_000_000
    # the leaks of the canonical split
    assert copies(test[8], index, 8)[0].piece == "train 55"
    assert copies(test[69], index, 3)[0].piece == "train 124"


@given(
    st.lists(st.tuples(st.integers(30, 90), st.integers(1, 96)), min_size=LENGTH + 1, max_size=LENGTH + 1),
    st.booleans(),
)
def test_an_ngram_is_the_same_when_its_last_pitch_is_only_a_candidate(notes, older):
    pitch, duration = np.array(notes).T
    onset = np.cumsum(duration) - duration
    whole = ngrams(Notes(onset, duration, pitch, np.full(len(pitch), 80)), older)
    candidates = followed_by(duration[:-1], pitch[:-1], np.arange(128), older)
    assert candidates[pitch[-1]] == whole[0]
    assert len(np.unique(candidates)) > (127 if older else 115)  # the first two of three hashes are the same


def test_find_gives_every_row_of_an_ngram(index):
    twice = build([("a", score_of(melody_of([60] * 12))), ("b", score_of(melody_of([72] * 10)))])
    position, row = twice.find(np.concatenate([index.hashes[:1], twice.hashes[:1]]))
    assert (position.tolist(), sorted(row.tolist())) == ([1] * 6, [0, 1, 2, 3, 4, 5])
    assert np.flatnonzero(twice.first).tolist() == [0, 4]


def test_counts_look_in_any_voice_whatever_the_order(index):
    first, second = melody_of(random_tune(2, 128)), melody_of(random_tune(102, 128))
    new, drums = melody_of(random_tune(900, 68)), melody_of(random_tune(2, 128))
    drums.is_drum = True
    assert counts(score_of(second, Track(""), first), index) == [(120, 120), (0, 0), (120, 120)]
    assert counts(score_of(new, drums), index) == [(0, 60), (0, 0)]
    assert piece_share(score_of(new, second), index) == pytest.approx(120 / 180)
    assert math.isnan(piece_share(score_of(drums), index))


def copying_reader(index: Index, max_bars: float) -> CopyReader:
    """A reader at the first bar of a piece of two voices."""
    tokenizer = EventTokenizer()
    reader = Reader(tokenizer.vocabulary, Plan())
    header = tokenizer.header([Track("", 0, False), Track("", 1, False)])
    return CopyReader(reader.read_all([*header, tokenizer.vocabulary.ids["Bar"][0]]), index, max_bars)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 9), st.integers(0, 60), st.integers(9, 60), st.integers(-6, 6), st.sampled_from([1.5, 2.0, 3.0]))
def test_the_rule_speaks_exactly_where_a_copy_grows_too_long(index, piece, start, length, semitones, max_bars):
    quotation = [pitch + semitones for pitch in random_tune(100 + piece, 128)[start : start + length]]
    score = score_of(melody_of([*random_tune(777, 8), *quotation]), melody_of(random_tune(778, 8 + length)))
    rule, reader = NoLongCopy(EventTokenizer.vocabulary), copying_reader(index, max_bars)
    spoken = False
    for token in EventTokenizer().encode(score)[len("BTPTPB") :]:
        mask = rule(reader)
        kind = reader.vocabulary.kind_of[token]
        if kind in ("Pitch", "Duration"):
            assert rule.forbids(reader, int(token)) == (mask is not None and not mask[token])
            spoken |= rule.forbids(reader, int(token))
        reader.read(int(token))
    assert spoken == (copies(score, index, max_bars + 1e-9) != [])


def test_ngrams_that_several_pieces_have_count_once_in_each_voice():
    a, b = random_tune(1, 12), random_tune(2, 12)  # each of 12 notes has four
    once = score_of(melody_of(a), melody_of(b))
    assert distinct([once]) == 8
    assert distinct([once, transpose(once, 3)]) == 8
    assert distinct([once, score_of(melody_of(b))]) == 12  # in another voice it is another
    assert distinct([]) == 0

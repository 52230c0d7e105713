"""The event tokenizer's contract: nothing that quantisation keeps is lost, and every score has exactly one spelling."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.strategies import content, grid_score, rows, scores
from symusic import KeySignature, TimeSignature, Track
from symusic import Score as SymusicScore

from melody.corpus.chorale import read_chorale
from melody.errors import LimitExceeded
from melody.formats.midi.writer import dumps
from melody.music.quantize import quantize
from melody.music.score import GRID, Score, bars, note_count, notes_of, shift_signature, transpose
from melody.tokens import EventTokenizer, obeys
from melody.tokens.reader import key_value
from melody.tokens.vocabulary import KEYS, MAX_TRACKS, METERS, TEMPOS, VELOCITIES

TOKENIZER = EventTokenizer()
CHANNELS = TOKENIZER.channels
VOCABULARY = TOKENIZER.vocabulary
CHORALES = ("bach/bwv269.mxl", "bach/bwv108.6.mxl", "bach/bwv227.3.mxl", "bach/bwv276.mxl", "bach/bwv41.6.mxl")
FILES_OF_AN_ARCHIVE = 20


def names(score: Score) -> str:
    return " ".join(VOCABULARY.describe(TOKENIZER.encode(score).tolist()))


def check_contract(score: Score) -> None:
    """Nothing is lost, the spelling is unique, and it obeys the grammar."""
    ids = TOKENIZER.encode(score)
    assert ids.dtype == np.int32
    decoded = TOKENIZER.decode(ids)
    assert content(decoded) == content(quantize(score))
    assert decoded == quantize(score)
    assert TOKENIZER.encode(decoded).tolist() == ids.tolist()
    assert obeys(VOCABULARY, ids.tolist())


# ---- the contract ---------------------------------------------------------------------------------------------------


@settings(max_examples=200)
@given(scores())
def test_generated_scores_come_back_as_their_quantisation(score: Score) -> None:
    check_contract(score)


@pytest.mark.parametrize("name", CHORALES)
def test_chorales_come_back_as_their_quantisation(name: str) -> None:
    score = read_chorale(name)
    check_contract(score)
    decoded = TOKENIZER.decode(TOKENIZER.encode(score))
    assert [len(t.notes) for t in decoded.tracks] == [len(t.notes) for t in score.tracks]  # four voices stay apart
    assert (bars(decoded) * 20 == bars(score)).all()


@pytest.mark.parametrize(("archive", "folder"), [("pop909", "pop909/aligned"), ("lieder", "lieder/midi")])
def test_real_midi_files_come_back_as_their_quantisation(data_folder: Path, archive: str, folder: str) -> None:
    path = data_folder / f"{archive}.tar.xz"
    if not path.is_file():
        pytest.skip(f"no {path.name} beside the checkout")
    count = 0
    for data in _first_files(path, folder):
        score = SymusicScore.from_midi(data)
        check_contract(score)
        assert note_count(quantize(score)) > 0.9 * note_count(score)
        count += 1
    assert count == FILES_OF_AN_ARCHIVE


def _first_files(path: Path, folder: str) -> list[bytes]:
    found: list[bytes] = []
    with tarfile.open(path) as archive:
        for member in archive:
            if member.name.startswith(folder) and member.name.endswith(".mid"):
                file = archive.extractfile(member)
                found.append(file.read() if isinstance(file, io.BufferedIOBase) else b"")
            if len(found) == FILES_OF_AN_ARCHIVE:
                break
    return found


@settings(max_examples=50)
@given(scores(), scores())
def test_two_scores_share_a_spelling_only_where_they_are_equal(one: Score, other: Score) -> None:
    same = TOKENIZER.encode(one).tolist() == TOKENIZER.encode(other).tolist()
    assert same == (quantize(one) == quantize(other))


def test_a_piece_reads_as_documented() -> None:
    score = grid_score((0, 24, 67, 80), (24, 24, 69, 80), program=52)
    score.tracks.append(Track("", 52))
    score.tracks[1].notes = grid_score((0, 120, 62, 80), (96, 97, 65, 40)).tracks[0].notes
    score.key_signatures = [KeySignature(0, 1, 0)]
    assert names(score) == (
        "BOS Track_0 Program_52 Track_1 Program_52 Bar TimeSignature_4/4 Position_0 Key_1_major Tempo_120 "
        "Track_0 Velocity_82 Pitch_67 Duration_24 Track_1 Velocity_82 Pitch_62 Sustain Duration_24 "
        "Position_24 Track_0 Pitch_69 Duration_24 "
        "Bar Position_0 Track_1 Velocity_42 Pitch_65 Sustain Duration_1 "
        "Bar EOS"  # the last note sounds one tick into it
    )


def test_a_score_without_notes_is_one_empty_bar() -> None:
    assert names(Score(480)) == "BOS Bar TimeSignature_4/4 Position_0 Tempo_120 EOS"
    check_contract(Score(480))


def test_a_pickup_and_a_change_inside_a_bar() -> None:
    score = grid_score((0, 24, 60, 80), (180, 24, 60, 80), drums=True)
    score.time_signatures = [TimeSignature(0, 1, 4), TimeSignature(24, 4, 4), TimeSignature(24 + 96 + 12, 7, 8)]
    assert names(score) == (
        "BOS Track_0 Program_drums Bar TimeSignature_1/4 Position_0 Tempo_120 Track_0 Velocity_82 Drum_60 Duration_24 "
        "Bar TimeSignature_4/4 Bar TimeSignature_1/8 Bar TimeSignature_7/8 Position_48 Drum_60 Duration_24 EOS"
    )


def test_spelling_keeps_the_place_of_tracks_without_notes() -> None:
    score = quantize(grid_score((0, 24, 60, 80)))
    score.tracks.insert(0, Track("", 40))
    decoded = TOKENIZER.decode(TOKENIZER.spell(score))
    assert [(t.program, len(t.notes)) for t in decoded.tracks] == [(40, 0), (0, 1)]
    assert TOKENIZER.header(score.tracks) == TOKENIZER.spell(score)[:5].tolist()


# ---- limits ---------------------------------------------------------------------------------------------------------


def test_too_many_tracks_are_refused_by_name() -> None:
    score = grid_score((0, 24, 60, 80))
    score.tracks = [score.tracks[0].copy() for _ in range(MAX_TRACKS)]
    check_contract(score)
    score.tracks.append(score.tracks[0].copy())
    with pytest.raises(LimitExceeded, match="33 tracks with notes; melody reads up to 32"):
        TOKENIZER.encode(score)


@pytest.mark.parametrize("meter", [(7, 64), (97, 32)])
def test_meters_off_the_grid_are_refused_by_name(meter: tuple[int, int]) -> None:
    score = grid_score((0, 24, 60, 80))
    score.time_signatures = [TimeSignature(0, *meter)]
    with pytest.raises(LimitExceeded, match=f"meter {meter[0]}/{meter[1]}"):
        TOKENIZER.encode(score)


@pytest.mark.parametrize("tick", [10_001 * 96, 2**31 - 1000])
def test_a_far_away_note_is_refused_by_name(tick: int) -> None:
    with pytest.raises(LimitExceeded, match="remove the event that lies far away"):
        TOKENIZER.encode(grid_score((0, 24, 60, 80), (tick, 24, 60, 80)))


@pytest.mark.parametrize("meter", METERS)
def test_every_meter_of_the_vocabulary_can_be_written(meter: tuple[int, int]) -> None:
    score = grid_score((0, 300, 60, 80))
    score.time_signatures = [TimeSignature(0, *meter)]
    assert f"TimeSignature_{meter[0]}/{meter[1]}" in names(score)
    assert TOKENIZER.decode(TOKENIZER.encode(score)) == quantize(score)


@pytest.mark.parametrize(("sharps", "spelled"), [(-128, 4), (-8, 4), (-7, -7), (7, 7), (8, -4), (127, -5)])
def test_a_signature_of_more_than_seven_accidentals_is_spelled_anew(sharps: int, spelled: int) -> None:
    score = grid_score((0, 24, 60, 80))
    score.key_signatures = [KeySignature(0, sharps, 0)]
    for read in (TOKENIZER.decode(TOKENIZER.encode(score)), SymusicScore.from_midi(dumps(score))):
        assert {key.key for key in read.key_signatures} == {spelled}  # in MIDI, in each track


# ---- transposition by table -----------------------------------------------------------------------------------------


def respell(score: Score) -> Score:
    """The score with key signatures in the spelling that transposition keeps to, -5 to 6 sharps."""
    score = score.copy()
    for key in score.key_signatures:
        key.key = shift_signature(shift_signature(key.key, 1), -1)
    return score


@settings(max_examples=50)
@given(scores().map(respell), st.data())
def test_shifted_ids_and_context_are_those_of_the_transposed_score(score: Score, data: st.DataObject) -> None:
    ids = TOKENIZER.encode(score)
    lowest, highest = TOKENIZER.transposition(ids)
    assert lowest <= 0 <= highest
    shift = data.draw(st.integers(max(lowest, -24), min(highest, 24)))
    id_tables, channel_tables = TOKENIZER.shift_tables([0, shift])
    assert id_tables[0].tolist() == list(range(len(VOCABULARY)))
    moved = TOKENIZER.encode(transpose(score, shift))
    assert id_tables[1][ids].tolist() == moved.tolist()
    expected = TOKENIZER.context(moved)
    columns = zip(CHANNELS, expected.T, channel_tables, TOKENIZER.context(ids).T, strict=True)
    for channel, column, table, before in columns:
        if channel.group != "repetition":  # of tokens, which are recalled anew in each transposition
            assert table[1][before].tolist() == column.tolist()
        assert table[0][before].tolist() == before.tolist()


@settings(max_examples=50)
@given(scores())
def test_one_semitone_past_the_range_leaves_midi(score: Score) -> None:
    ids = TOKENIZER.encode(score)
    lowest, highest = TOKENIZER.transposition(ids)
    assume(any(not t.is_drum and len(t.notes) for t in score.tracks))
    for shift in (lowest - 1, highest + 1):
        with pytest.raises(LimitExceeded):
            transpose(score, shift)
    transpose(score, lowest)
    transpose(score, highest)


def test_drums_do_not_move() -> None:
    ids = TOKENIZER.encode(grid_score((0, 24, 36, 80), drums=True))
    assert TOKENIZER.transposition(ids) == (0, 0)
    assert TOKENIZER.shift_tables([5])[0][0][ids].tolist() == ids.tolist()


def test_every_signature_moves_to_the_same_tonic() -> None:
    keys = VOCABULARY.ids["Key"]
    tables, channels = TOKENIZER.shift_tables(list(range(-12, 13)))
    key_channel = [channel.name for channel in CHANNELS].index("key")
    for row, key_table in zip(tables, channels[key_channel], strict=True):
        for index, key in enumerate(KEYS):
            moved = KEYS[row[keys[index]] - keys.start]
            assert key_value(*moved) == key_table[key_value(*key)]


# ---- context --------------------------------------------------------------------------------------------------------


@settings(max_examples=50)
@given(scores(), st.floats(0, 1))
def test_the_context_of_a_prefix_is_the_prefix_of_the_context(score: Score, where: float) -> None:
    ids = TOKENIZER.encode(score)
    plan = TOKENIZER.plan_of(ids)
    whole = TOKENIZER.context(ids)
    cut = int(where * len(ids))
    assert (TOKENIZER.context(ids[:cut], plan) == whole[:cut]).all()
    assert whole.shape == (len(ids), len(CHANNELS))
    assert whole.dtype == np.int16
    assert plan.bars == max(1, len(bars(quantize(score))) - 1)


def channel(score: Score, name: str, token: str) -> list[int]:
    """The values of a channel right after each token of that name or type."""
    ids = TOKENIZER.encode(score)
    column = TOKENIZER.context(ids)[:, [c.name for c in CHANNELS].index(name)]
    return [int(v) for v, t in zip(column, VOCABULARY.describe(ids.tolist()), strict=True) if t.startswith(token)]


def test_context_tells_where_the_music_is() -> None:
    score = grid_score((0, 24, 60, 80), (0, 48, 64, 80), (24, 24, 62, 80), (96, 96, 67, 80))
    score.tracks.append(Track("", 0, True))
    score.tracks[1].notes = grid_score((24, 200, 36, 80)).tracks[0].notes
    score.key_signatures = [KeySignature(0, 0, 1)]
    assert channel(score, "bars_left", "Bar") == [3, 2, 1]
    assert channel(score, "key", "BOS") == [1 + 9 + 12]  # A minor, known from the start
    assert channel(score, "position", "Position") == [1, 25, 1]
    assert channel(score, "meter", "Bar") == [0, *[1 + METERS.index((4, 4))] * 2]
    assert channel(score, "track", "Track") == [0, 0, 1, 2, 1]
    assert channel(score, "voice_0", "Duration") == [61, 65, 63, 63, 68]
    assert (
        channel(score, "voice_1", "Duration") == [0] * 5
    )  # drums do not move with a transposition, as this channel does
    assert channel(score, "bass", "Duration") == [61, 61, 63, 63, 68]  # drums are no bass
    assert channel(score, "sounding", "Duration") == [2, 2, 2, 4, 4]
    assert channel(score, "sounding", "Position") == [1, 2, 3]


# ---- the vocabulary -------------------------------------------------------------------------------------------------


def test_the_vocabulary_is_what_models_were_trained_with() -> None:
    """Bundles hold this order of tokens: a change here makes every model of melody useless."""
    assert len(VOCABULARY) == 1118
    assert VOCABULARY.hash == "4d20716aea0f59adab9d7458ecc9383ab1cf3226fd89bebb79f5584c4f89b1db"
    assert EventTokenizer().vocabulary.hash == VOCABULARY.hash


def test_ids_of_a_type_stand_side_by_side() -> None:
    for kind, span in VOCABULARY.ids.items():
        assert {VOCABULARY.kind_of[index] for index in span} == {kind}
    assert sum(map(len, VOCABULARY.ids.values())) == len(set(VOCABULARY.tokens)) == len(VOCABULARY)
    assert VOCABULARY.tokens[VOCABULARY.ids["Pitch"][60]] == "Pitch_60"
    assert all(VOCABULARY.tokens[index] == token for token, index in VOCABULARY.id_of.items())


def test_values_stand_for_their_bins() -> None:
    assert len(VELOCITIES) == 32
    assert len(TEMPOS) == len(set(TEMPOS)) == 61
    score = grid_score(*((GRID * v, 1, 60, v) for v in range(1, 128)))
    decoded = notes_of(TOKENIZER.decode(TOKENIZER.encode(score)).tracks[0])
    assert np.abs(decoded.velocity - np.arange(1, 128)).max() <= 2


@settings(max_examples=50)
@given(scores())
def test_decoding_gives_scores_of_the_grid(score: Score) -> None:
    decoded = TOKENIZER.decode(TOKENIZER.encode(score))
    assert decoded.tpq == GRID
    assert all(length > 0 for t in decoded.tracks for _, length, _, _ in rows(t))

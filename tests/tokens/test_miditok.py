"""MidiTok behind melody's tokenizer contract: what comes back once comes back for ever, and what is lost is known."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.strategies import content, rows, scores
from symusic import KeySignature, Note, Tempo, TimeSignature, Track

from melody.corpus.chorale import read_chorale
from melody.errors import ConfigError, LimitExceeded, MelodyError, UnreadableFile
from melody.music.quantize import quantize, tempo_of_bin
from melody.music.score import GRID, Score, note_count, transpose

pytest.importorskip("miditok", reason="MidiTok is not installed")

from melody.tokens.miditok import MidiTokTokenizer

KINDS = ("REMI", "TSD", "MMM")
ONE_NOTE = (0, 24, 60, 80)
MIXED = ((0, 4, 4), (96, 6, 8), (168, 2, 2))  # (tick, numerator, denominator)
tokenizer = cache(MidiTokTokenizer)
Row = tuple[int, int, int, int]
Meters = tuple[tuple[int, int, int], ...]


@cache
def chorales() -> tuple[Score, ...]:
    return tuple(read_chorale(name) for name in ("bach/bwv269.mxl", "bach/bwv108.6.mxl", "bach/bwv276.mxl"))


@cache
def merged(kind: str) -> MidiTokTokenizer:
    return MidiTokTokenizer(kind).train_bpe(chorales(), len(tokenizer(kind).vocabulary) + 300)


def piece(
    *tracks: tuple[int, list[tuple[int, int, int, int]]], meters: Meters = ((0, 4, 4),), key: bool = True
) -> Score:
    """Tracks of (program, notes), drums below 0, with a key: what MidiTok keeps unless a test asks for more."""
    score = Score(GRID)
    for program, notes in tracks:
        score.tracks.append(Track("", max(program, 0), program < 0))
        score.tracks[-1].notes.extend([Note(*note) for note in notes])
    score.time_signatures = [TimeSignature(*meter) for meter in meters]
    score.key_signatures = [KeySignature(0, 1, 0)] if key else []
    return score


# ---- the contract ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30)
@given(score=scores())
def test_what_came_back_once_comes_back_unchanged(kind: str, score: Score) -> None:
    once = tokenizer(kind).decode(tokenizer(kind).encode(score))
    assert content(tokenizer(kind).decode(tokenizer(kind).encode(once))) == content(once)
    assert content(quantize(once)) == content(once)
    assert tokenizer(kind).is_lossless(score) == (once == quantize(score))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("merge", [False, True])
def test_chorales_keep_every_note_that_no_merge_of_tracks_hides(kind: str, merge: bool) -> None:
    used = merged(kind) if merge else tokenizer(kind)
    for score in chorales():
        decoded, expected = used.decode(used.encode(score)), quantize(score)
        assert used.is_lossless(score) == (kind == "MMM")
        assert len(decoded.tracks) == (4 if kind == "MMM" else 1)  # four voices of one program
        onsets = {(row[0], row[2]) for track in expected.tracks for row in rows(track)}
        assert {(row[0], row[2]) for track in decoded.tracks for row in rows(track)} == onsets
        assert content(decoded)[:4] == content(expected)[:4]  # meters, keys and tempos


@pytest.mark.parametrize("kind", KINDS)
def test_a_tokenizer_has_what_training_needs(kind: str) -> None:
    used = tokenizer(kind)
    ids = used.encode(chorales()[0])
    assert ids.dtype == np.int32
    assert 0 <= ids.min() <= ids.max() < len(used.vocabulary)
    assert used.vocabulary.describe([ids[0], ids[-1]]) == ["BOS_None", "EOS_None"]
    assert used.name == f"miditok-{kind.lower()}"
    assert len(set(used.vocabulary.tokens)) == len(used.vocabulary) == sum(map(len, used.vocabulary.ids.values()))
    assert used.channels == ()
    assert used.context(ids).shape == (len(ids), 0)
    again = MidiTokTokenizer(**json.loads(json.dumps(used.config)))
    assert again.vocabulary.hash == used.vocabulary.hash
    assert again.encode(chorales()[0]).tolist() == ids.tolist()
    assert used.vocabulary.hash != tokenizer(KINDS[KINDS.index(kind) - 1]).vocabulary.hash


@pytest.mark.parametrize("kind", KINDS)
def test_marks_alone_are_a_piece_without_notes(kind: str) -> None:
    used = tokenizer(kind)
    marks = [used.vocabulary.id_of[f"{name}_None"] for name in ("PAD", "BOS", "EOS")]
    assert note_count(used.decode(marks)) == 0
    assert note_count(used.decode(used.encode(Score(480)))) == 0
    assert used.decode([*marks, *used.encode(chorales()[0]), *marks]) == used.decode(used.encode(chorales()[0]))


def test_a_far_away_note_is_refused_before_it_costs_memory() -> None:
    with pytest.raises(LimitExceeded, match="far away"):
        tokenizer("REMI").encode(piece((0, [(1_000_000_000, 24, 60, 80)])))


# ---- what is kept and what is lost ----------------------------------------------------------------------------------


def changing(tempos: int = 1, keys: int = 1) -> Score:
    score = piece((0, [(24 * i, 24, 60, 80) for i in range(100)]))
    score.tempos = [Tempo(24 * i, qpm=tempo_of_bin(i)) for i in range(tempos)]
    score.key_signatures = [KeySignature(24 * i, i % 15 - 7, i // 15) for i in range(keys)]
    return score


KEPT = {
    "all pitches": piece((0, [(0, 24, pitch, 80) for pitch in range(128)])),
    "all drums": piece((-1, [(0, 24, pitch, 80) for pitch in range(128)])),
    "all velocities": piece((0, [(24 * v, 24, 60, v) for v in range(1, 128)])),
    "every tick": piece((0, [(25 * i, 1 + i, 40 + i, 80) for i in range(24)])),
    "all tempos": changing(tempos=61),
    "all keys": changing(keys=30),
    "programs": piece((5, [ONE_NOTE]), (0, [ONE_NOTE]), (-1, [ONE_NOTE])),
    "a pickup": piece((0, [ONE_NOTE, (24, 24, 62, 80)]), meters=((0, 1, 4), (24, 4, 4))),
    "mixed meters": piece(
        (0, [ONE_NOTE, (97, 50, 61, 80), (176, 8, 62, 80)]), meters=((0, 4, 4), (96, 6, 8), (168, 2, 2))
    ),
    "a bar cut short": piece((0, [ONE_NOTE, (100, 8, 62, 80)]), meters=((0, 4, 4), (96, 1, 32), (99, 7, 16))),
    "a long silence": piece((0, [(96 * 30, 288, 60, 80)])),
}


@pytest.mark.parametrize("what", KEPT)
@pytest.mark.parametrize("kind", KINDS)
def test_kept(kind: str, what: str) -> None:
    assert content(tokenizer(kind).decode(tokenizer(kind).encode(KEPT[what]))) == content(quantize(KEPT[what]))
    assert tokenizer(kind).is_lossless(KEPT[what])


LOST = {  # each with the tokenizations that lose it
    "tracks of one program": (piece((0, [ONE_NOTE]), (0, [(24, 24, 62, 80)])), ("REMI", "TSD")),
    "their overlaps": (piece((0, [(0, 48, 60, 80)]), (0, [(24, 48, 60, 80)])), ("REMI", "TSD")),
    "the order of tracks": (piece((5, [(24, 24, 60, 80)]), (0, [ONE_NOTE])), ("REMI", "TSD")),
    "13 beats": (piece((0, [(0, 289, 60, 80)])), KINDS),
    "13 eighths": (piece((0, [(0, 145, 60, 80)]), meters=((0, 6, 8),)), KINDS),
    "32nds in 2/2": (piece((0, [(3, 3, 60, 80)]), meters=((0, 2, 2),)), KINDS),
    "meters of whole notes": (piece((0, [ONE_NOTE]), meters=((0, 3, 1),)), KINDS),
    "that there is no key": (piece((0, [ONE_NOTE]), key=False), KINDS),
}


@pytest.mark.parametrize("what", LOST)
@pytest.mark.parametrize("kind", KINDS)
def test_lost(kind: str, what: str) -> None:
    score, losers = LOST[what]
    assert tokenizer(kind).is_lossless(score) == (kind not in losers)


# ---- transposition --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15)
@given(data=st.data())
def test_shifted_ids_are_those_of_the_transposed_score(kind: str, data: st.DataObject) -> None:
    used, score = tokenizer(kind), data.draw(st.sampled_from(chorales()))
    ids = used.encode(score)
    lowest, highest = used.transposition(ids)
    with pytest.raises(LimitExceeded):
        transpose(score, highest + 1)
    shift = data.draw(st.integers(lowest, highest))
    tables, channels = used.shift_tables([0, shift])
    assert tables[0].tolist() == list(range(len(used.vocabulary)))
    assert channels == []
    assert content(used.decode(tables[1][ids])) == content(used.decode(used.encode(transpose(score, shift))))


def test_merged_tokens_do_not_transpose() -> None:
    assert merged("REMI").transposition(merged("REMI").encode(chorales()[0])) == (0, 0)


# ---- byte pair encoding ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_bpe_shortens_and_changes_no_music(kind: str, tmp_path: Path) -> None:
    plain, used = tokenizer(kind), merged(kind)
    for score in chorales():
        assert len(used.encode(score)) < 0.5 * len(plain.encode(score))
        assert used.decode(used.encode(score)) == plain.decode(plain.encode(score))
    assert len(used.vocabulary) == len(plain.vocabulary) + 300
    assert used.vocabulary.tokens[: len(plain.vocabulary)] == plain.vocabulary.tokens
    assert used.name == f"miditok-{kind.lower()}+bpe"
    assert any("Pitch" in token for token in used.vocabulary.tokens[len(plain.vocabulary) :])

    path = used.save(tmp_path / "bundle")
    loaded = MidiTokTokenizer.load(path.parent)
    assert loaded.vocabulary.hash == used.vocabulary.hash
    assert loaded.encode(chorales()[1]).tolist() == used.encode(chorales()[1]).tolist()
    with pytest.raises(MelodyError, match="exists"):
        used.save(path.parent)


def test_music_never_seen_by_bpe_comes_back_too() -> None:
    score = KEPT["mixed meters"]
    assert merged("TSD").is_lossless(score)
    assert merged("MMM").is_lossless(KEPT["all velocities"])


def test_bpe_must_learn_before_it_encodes() -> None:
    untrained = MidiTokTokenizer("TSD", bpe_vocabulary_size=1500)
    with pytest.raises(MelodyError, match=r"miditok-tsd\+bpe: has learned no merges yet; call train_bpe"):
        untrained.encode(chorales()[0])
    assert len(untrained.train_bpe(chorales()).vocabulary) == 1500
    with pytest.raises(ConfigError, match="a BPE vocabulary of 1000 tokens; TSD has 1160 before merging"):
        untrained.train_bpe(chorales(), 1000)
    with pytest.raises(ConfigError, match="BPE learns from scores"):
        untrained.train_bpe([])


# ---- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("REMY", {}, "'REMY' is no MidiTok tokenization; take REMI, TSD or MMM"),
        ("TokSequence", {}, "is no MidiTok tokenization"),
        ("Octuple", {}, "Octuple does not write one sequence of single tokens a piece"),
        ("REMI", {"use_program": True}, "use_program: no option of MidiTok; did you mean use_programs?"),
        ("REMI", {"pitch_range": [60, 20]}, "MidiTok refuses these options: `pitch_range` must be"),
        ("TSD", {"use_programs": False}, "does not write one sequence"),
    ],
)
def test_what_miditok_does_not_know_is_refused_by_name(kind: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        MidiTokTokenizer(kind, **options)
    assert message in str(caught.value)


def test_options_change_the_tokens() -> None:
    coarse = MidiTokTokenizer("REMI", num_velocities=4)
    assert len(coarse.vocabulary.ids["Velocity"]) == 4
    assert coarse.config["num_velocities"] == 4
    assert not coarse.is_lossless(KEPT["all velocities"])


@pytest.mark.parametrize("text", ["", "[]", '{"nonsense": 1}', None])
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "miditok.json").write_text(text)
    with pytest.raises(MelodyError, match=r"miditok\.json: not a saved|nonsense: no option") as caught:
        MidiTokTokenizer.load(tmp_path)
    assert isinstance(caught.value, UnreadableFile | ConfigError)


def test_melodys_tokens_do_not_import_miditok() -> None:
    code = "import sys, melody.tokens; sys.exit('miditok' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

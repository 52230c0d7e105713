"""Kern keeps every note: where spines split twice, over ties and staves; and a count of its own says so."""

from fractions import Fraction
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.kern_scores import random_piece

from melody.corpus.archives import opened
from melody.corpus.pieces import read_file as read_pieces
from melody.errors import LimitExceeded, MelodyError, UnreadableFile
from melody.formats.kern import KernReading, count_notes, parse_kern
from melody.formats.reading import read_file
from melody.music.score import Score

NESTED = """**kern	**kern
*clefF4	*clefG2
*k[b-]	*k[b-]
*M2/4	*M2/4
=1	=1
*	*^
2D	2gg	2b
*	*^	*
4E	4aa	2f	2a
4F	4gg	.	.
=2	=2	=2	=2
*	*v	*v	*
*	*v	*v
2C	2cc
==	==
*-	*-
"""


def read(*rows: str) -> KernReading:
    """A file with these rows, tabs for spaces."""
    return parse_kern("\n".join("\t".join(row.split(" ")) for row in rows).replace("~", " ").encode())


def notes(score: Score) -> list[str]:
    """All notes as ``60@1:2/1``, in order."""
    rows = sorted((n.time, n.pitch, n.duration) for track in score.tracks for n in track.notes)
    return [f"{pitch}@{_quarters(time)}/{_quarters(length)}" for time, pitch, length in rows]


def _quarters(ticks: int) -> str:
    return str(Fraction(ticks, 480).limit_denominator(16)).replace("/", ":")


# ---- spines ----------------------------------------------------------------------------------------------------------


def test_a_spine_that_is_split_may_split_again() -> None:
    reading = parse_kern(NESTED.encode())
    assert notes(reading.score) == ["50@0/2", "71@0/2", "79@0/2", "52@2/1", "65@2/2", "69@2/2", "81@2/1",
                                    "53@3/1", "79@3/1", "48@4/2", "72@4/2"]  # fmt: skip
    assert reading.read_notes == reading.counted_notes == count_notes(NESTED) == 11
    assert not reading.repairs


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.integers(1, 6))
def test_every_note_of_columns_that_split_and_join_is_kept(seed: int, bars: int) -> None:
    piece = random_piece(Random(seed), bars)
    if not piece.notes:
        return
    reading = parse_kern(piece.text.encode())
    rows = sorted((n.time, n.duration, n.pitch) for track in reading.score.tracks for n in track.notes)
    assert rows == sorted((int(480 * onset), int(480 * length), pitch) for onset, length, pitch in piece.notes)
    assert reading.counted_notes == len(piece.notes)
    assert not reading.repairs


def test_columns_change_places_begin_and_end() -> None:
    crossed = read("**kern", "*^", "4c 4e", "*x *x", "4f 4d", "*v *v", "4g", "*-")
    assert notes(crossed.score) == ["60@0/1", "64@0/1", "62@1/1", "65@1/1", "67@2/1"]
    added = read("**kern", "4c", "*+", "* **kern", "4d 4b", "*- *", "4a", "*-")
    assert notes(added.score) == ["60@0/1", "62@1/1", "71@1/1", "69@2/1"]
    assert [len(track.notes) for track in added.score.tracks] == [2, 2]


def test_other_spines_are_passed_over_and_words_become_lyrics() -> None:
    reading = read(
        "**kern **dynam **text **kern **fing", "4c ff Twin- 4e 1", "4d . kle . .", "4e . . 2g 2", "*- *- *- *- *-"
    )
    assert notes(reading.score) == ["60@0/1", "64@0/1", "62@1/1", "64@2/1", "67@2/2"]
    lower = next(track for track in reading.score.tracks if len(track.lyrics))
    assert [(lyric.time, lyric.text) for lyric in lower.lyrics] == [(0, "Twin-"), (480, "kle")]
    assert [note.pitch for note in lower.notes] == [60, 62, 64]


# ---- notes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ("4c 4CC 4ccc 4BB", "60@0/1 36@1/1 84@2/1 47@3/1"),
        ("4f# 4b-- 4cn 4G##", "66@0/1 69@1/1 60@2/1 57@3/1"),
        ("4.c 8..d 0e", "60@0/3:2 62@3:2/7:8 64@19:8/8"),
        ("6c 6d 6e 20%3f", "60@0/2:3 62@2:3/2:3 64@4:3/2:3 65@2/3:5"),
        ("8c~8e~8g 8r 4d", "60@0/1:2 64@0/1:2 67@0/1:2 62@1/1"),
        ("8c~e~g 4d", "60@0/1:2 64@0/1:2 67@0/1:2 62@1:2/1"),
        ("16qf 4c 8qqg 4d 4e~qf", "60@0/1 62@1/1 64@2/1"),
        ("[4c 4c_ 4c] 4c", "60@0/3 60@3/1"),
        ("[4c~[4e 4c]~4f 4e", "60@0/2 64@0/1 65@1/1 64@2/1"),
        ("(8c/L 8dT\\J) {4e;} 4ryy 4f'^", "60@0/1:2 62@1:2/1:2 64@1/1 65@3/1"),
    ],
)
def test_tokens(tokens: str, expected: str) -> None:
    reading = read("**kern", *tokens.split(" "), "*-")
    assert notes(reading.score) == expected.split()
    assert reading.read_notes == reading.counted_notes


def test_a_tie_holds_over_splits_joins_and_staves() -> None:
    split = read("**kern", "[2c", "*^", "2c] 2e", "*v *v", "2g", "*-")
    assert notes(split.score) == ["60@0/4", "64@2/2", "67@4/2"]
    joined = read("**kern", "*^", "2c [2e", "*v *v", "2e]", "*-")
    assert notes(joined.score) == ["60@0/2", "64@0/4"]
    staves = read("**kern **kern", "*part1 *part1", "*staff2 *staff1", "[2c 2r", "2r 2c]", "*- *-")
    assert notes(staves.score) == ["60@0/4"]
    alone = read("**kern", "4c]", "4d", "*-")
    assert notes(alone.score) == ["60@0/1", "62@1/1"]
    assert (alone.read_notes, alone.counted_notes) == (1, 1)
    assert "ties" in alone.repairs[0]


# ---- what holds for a piece ------------------------------------------------------------------------------------------


def test_meters_keys_and_tempos() -> None:
    reading = read("**kern", "*M3/4", "*k[f#]", "*e:", "*MM90", "4c", "=1", "4c", "4d", "4e", "=2", "*M2+2+3/8", "*k[]",
                   "*C:", "2c", "4.d", "=3", "*MM[Largo]", "*met(c)", "2c", "4.d", "==", "*-")  # fmt: skip
    score = reading.score
    meters = [(m.time // 480, m.numerator, m.denominator) for m in score.time_signatures]
    assert meters == [(0, 1, 4), (1, 3, 4), (4, 7, 8)]
    assert [(k.time // 480, k.key, k.tonality) for k in score.key_signatures] == [(0, 1, 1), (4, 0, 0)]
    assert [round(t.qpm) for t in score.tempos] == [90]


def test_parts_are_tracks_from_the_top_down_and_a_keyboard_is_one() -> None:
    quartet = read("**kern **kern", "*Icello *Ivioln", '*I"Violoncello *I"Violino~I', "4C 4c", "*- *-")
    assert [(track.name, track.program) for track in quartet.score.tracks] == [("Violino I", 40), ("Violoncello", 42)]
    piano = read("**kern **kern", "*Ipiano *Ipiano", "4C 4c", "*- *-")
    assert [len(track.notes) for track in piano.score.tracks] == [2]
    parts = read("**kern **kern **kern", "*part2 *part2 *part1", "4C 4c 4g", "*- *- *-")
    assert [len(track.notes) for track in parts.score.tracks] == [1, 2]


def test_what_is_not_played_out_is_said() -> None:
    reading = read("**kern", "*>[A,A,B]", "*>A", "4c", "=2:|!", "*>B", "4d", "==", "*-")
    assert any("repeats" in remark for remark in reading.remarks)
    assert any("sections" in remark for remark in reading.remarks)


def test_what_is_left_out_is_counted_and_said() -> None:
    reading = read("**kern **dynam **fing", "(4c' f 1", "qd . .", "4e;) p .", "*- *- *-")
    assert reading.remarks == ("left out: 1 fingerings, 1 grace notes, 2 marks over notes, 1 slurs",)


def test_dynamics_are_velocities_until_the_next_and_accents_for_their_notes_alone() -> None:
    rows = ["4c p", "4d sf", "4e .", "4f <", "4g ff >", "4a fp", "4b ."]
    reading = read("**kern **dynam", *(row.replace(" >", ">") for row in rows), "*- *-")
    velocity = [note.velocity for note in reading.score.tracks[0].notes]
    assert velocity == [49, 65, 49, 49, 112, 96, 49]
    assert reading.remarks == ("left out: 1 crescendos and diminuendos",)
    both = read("**kern **kern **dynam", "*part1 *part1 *", "4C 4c pp", "*- *- *-")
    assert [note.velocity for track in both.score.tracks for note in track.notes] == [33, 33]


def test_staves_of_a_part_are_tracks_where_asked() -> None:
    text = "\n".join("\t".join(r.split()) for r in ["**kern **kern", "*part1 *part1", "4C[ 4c", "4D 4C]", "*- *-"])
    one, two = parse_kern(text.encode()), parse_kern(text.encode(), staves=True)
    assert [len(track.notes) for track in one.score.tracks] == [3]
    assert [[n.pitch for n in track.notes] for track in two.score.tracks] == [[60], [48, 50]]
    assert one.read_notes == two.read_notes == two.counted_notes


# ---- files -----------------------------------------------------------------------------------------------------------


def test_content_decides_not_the_name(tmp_path: Path) -> None:
    path = tmp_path / "piece.txt"
    path.write_bytes(("!!!COM: Gräfin\n!!!OTL: Étude\n" + NESTED).encode("latin-1"))
    assert read_file(path).title == "Étude"
    path.write_bytes(b"\xef\xbb\xbf" + ("!!!OTL: Étude\r\n" + NESTED.replace("\n", "\r\n")).encode())
    assert len(notes(read_file(path).score)) == 11
    path.write_text("**Bold** words\n")
    with pytest.raises(UnreadableFile, match="plain text"):
        read_file(path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("**text\nla\n*-\n", "no spine of"),
        ("**kern\n4r\n*-\n", "no notes"),
        ("**kern\n4c\t4d\n*-\n", "line 2 has 2 fields where 1 columns"),
        ("**kern\n4c\n*v\n4d\n", "joins one column"),
        ("**kern\n4c\n*x\n4d\n", "exchanges one"),
        ("**kern\n*^\n4c\n", "line 3 has 1 fields"),
    ],
)
def test_what_cannot_be_followed_is_refused_in_one_line(text: str, reason: str) -> None:
    with pytest.raises(UnreadableFile, match=reason) as caught:
        parse_kern(text.encode(), "x.krn")
    assert str(caught.value).startswith("x.krn: ")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_cut_off_keeps_what_came_before() -> None:
    reading = parse_kern(NESTED.split("=2")[0].rstrip().rsplit("\t", 1)[0].encode())
    assert reading.score.note_num() == 7
    assert any("cut off" in repair for repair in reading.repairs)


def test_limits() -> None:
    splits = "**kern\n" + "".join("\t".join(["*^"] * 2**n) + "\n" for n in range(12))
    many = "**kern\n" + "1c 1d 1e 1f 1g\n" * 25_000
    primes = "**kern\n" + "".join(f"{n}c\n" for n in range(3, 2000))
    for text in (splits, many, primes, "**kern\n" + "00000000c\n0000c\n" * 2000, "**kern\n" + "000c\n" * 3000):
        with pytest.raises(MelodyError) as caught:
            parse_kern(text.encode(), "x.krn")
        assert str(caught.value).startswith("x.krn: ")
    with pytest.raises(LimitExceeded, match="bytes"):
        parse_kern(b"**kern\n" + b"4c\n" * 3_000_000)


def test_a_note_without_a_duration_is_said_and_costs_its_file_in_a_corpus(tmp_path: Path) -> None:
    reading = read("**kern", "4c", "d", "4e", "*-")
    assert (reading.read_notes, reading.counted_notes) == (2, 3)
    assert any("3 and 2" in repair for repair in reading.repairs)
    (tmp_path / "a.krn").write_text("**kern\n4c\nd\n4e\n*-\n")
    with pytest.raises(UnreadableFile, match="3 notes counted, 2 read"):
        read_pieces("a.krn", tmp_path)


PIECES = st.sampled_from(
    ["4c", "8r", "[2e", "2e]", "4c 4e", "q4d", ".", "*", "*^", "*v", "*x", "*+", "*-", "**kern", "=1", "=:|", "*M3/4",
     "*k[b-]", "*MM90", "\t", "\n", "0", "%", "40%3", "9999c", "*>[A]", "!!!OTL: x", "!", "*I\"x",
     "*part1", "\x00", "\x1b[1m", "é", "*a:"]
)  # fmt: skip


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, len(NESTED) - 1), st.integers(0, 4), PIECES), max_size=6), st.booleans())
def test_a_file_that_was_changed_at_some_places_ends_well(changes: list[tuple[int, int, str]], whole: bool) -> None:
    text = NESTED if whole else "**kern\n"
    for place, length, piece in changes:
        text = text[:place] + piece + text[place + length :]
    refusal, reading = "", None
    try:
        reading = parse_kern(text.encode(), "x.krn")
    except MelodyError as error:
        refusal = str(error)
    assert reading is not None or refusal.startswith("x.krn: ")
    said = (*reading.repairs, *reading.remarks) if reading else (refusal,)
    assert all(sentence.isprintable() for sentence in said)


# ---- the real archive ------------------------------------------------------------------------------------------------


def _check(folder: Path, files: list[Path]) -> None:
    for path in files:
        reading = parse_kern(path.read_bytes(), path.name)
        assert reading.read_notes == reading.counted_notes, path.relative_to(folder)


def test_forty_piano_scores_lose_no_note(data_folder: Path) -> None:
    with opened(data_folder / "piano.tar.xz", lambda name: name.endswith(".krn")) as folder:
        files = sorted(folder.rglob("*.krn"))
        _check(folder, files[::28])


@pytest.mark.slow
def test_no_piano_score_loses_a_note(data_folder: Path) -> None:
    with opened(data_folder / "piano.tar.xz", lambda name: name.endswith((".krn", ".tsv"))) as folder:
        files = sorted(folder.rglob("*.krn"))
        assert len(files) == 1098
        _check(folder, files)

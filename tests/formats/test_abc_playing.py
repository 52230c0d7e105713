"""Tunes in ABC as they are played: repeats, endings, parts, ties in that order, overlays, words and chords."""

import pytest
from support.abc_notes import notes, read_one, tune

from melody.errors import LimitExceeded, MelodyError
from melody.formats.abc.repeats import order_of_parts
from melody.music.progressions import markers_as_chords


def letters(music: str, fields: str = "") -> str:
    """The letters of the notes in the order in which they are played."""
    names = {60: "C", 62: "D", 64: "E", 65: "F", 67: "G", 69: "A", 71: "B", 72: "c"}
    score = tune(music, fields=fields)
    return "".join(names[note.pitch] for note in sorted(score.tracks[0].notes, key=lambda note: note.time))


# ---- repeats (4.8 to 4.10) -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("music", "played"),
    [
        ("C|D|", "CD"),
        ("C|D:|", "CDCD"),
        ("|:C|D:|E|", "CDCDE"),
        ("C|:D:|E", "CDDE"),
        ("|:C:|:D:|", "CCDD"),
        ("|:C::D:|", "CCDD"),
        ("|:C:||:D:|]", "CCDD"),
        ("C:|D:|", "CCDD"),  # an end alone goes back to the end before
        ("C||D|E:|", "CDEDE"),  # or to a double bar
        ("|:C||D|E:|", "CDECDE"),  # but not where a beginning stands
        ("|::C::|D", "CCCD"),
        ("|:C::|D", "CCCD"),
        ("|:C|1 D:|2 E|]", "CDCE"),
        ("|:C|1D:|2E||F", "CDCEF"),
        ("|:C|[1 D:| [2 E|]", "CDCE"),
        ("|:C[1D:|[2E]|F", "CDCEF"),
        ("|:C|1,3 D:|2,4 E:|F", "CDCECDCEF"),
        ("|:C|1-3 D:|4 E|F", "CDCDCDCEF"),
        ("|:C|1 D:|E", "CDCE"),
        ("C|1 D:|2 E|F|G|1 A:|2 B|]", "CDCEFGAFGB"),
        ("|:C|1 D:|2 E:|F|1 G:|2 A|]", "CDCEFGFA"),
        ("|:C|1 D||2 E|]", "CDCE"),
        ("|:C", "C"),
        ("C[|]D:|", "CDCD"),
        ("|:|:C:|", "CC"),
    ],
)
def test_repeats_and_endings(music: str, played: str) -> None:
    assert letters(music) == played


@pytest.mark.parametrize(
    ("order", "played"),
    [
        ("AB", "CDE"),
        ("ABA", "CDEC"),
        ("A2.B", "CCDE"),
        ("(AB)2 A", "CDECDEC"),
        ("((A)2B)2", "CCDECCDE"),
        ("ABX", "CDE"),
    ],
)
def test_parts(order: str, played: str) -> None:
    assert letters("P:A\nC|\nP:B\nDE|\n", f"P:{order}\n") == played


def test_parts_repeat_inside_and_hold_for_voices_that_begin_later() -> None:
    assert letters("F|\nP:A\n|:C:|\nP:B\nD|\n", "P:ABA\n") == "FCCDCC"
    score = tune("P:A\n[V:1]C|\n[V:2]E|\nP:B\n[V:1]D|\n[V:2]F|\n", fields="P:AAB\n")
    assert [notes(score, track) for track in (0, 1)] == [["60@0/1", "60@1/1", "62@2/1"], ["64@0/1", "64@1/1", "65@2/1"]]


@pytest.mark.parametrize("text", ["((((((((A9)9)9)9)9)9)9)9)9", "A9999999999", "(" * 5_000 + "A"])
def test_bombs_of_parts_and_repeats_are_refused(text: str) -> None:
    assert order_of_parts(text) is None
    with pytest.raises(LimitExceeded, match=r"^<text>: tune 1: its P: field"):
        read_one("P:A\nC|", fields=f"P:{text}\n")


@pytest.mark.parametrize(
    "music",
    ["C" * 40_001, "|:" + "CDEFGAB" * 1000 + "|1-99 C:|", "z1000" * 60 + "C", "Z1999|" * 60 + "C", "C9999", "C/9999",
     "C" + "9" * 5_000, "Z" + "9" * 5_000, "V:1\n" + "".join(f"V:{n}\n" for n in range(300)) + "C"],
)  # fmt: skip
def test_what_is_too_much_is_refused_in_one_line(music: str) -> None:
    with pytest.raises(MelodyError) as caught:
        read_one(music)
    assert str(caught.value).startswith("<text>: tune 1: ")
    assert len(str(caught.value)) < 200


# ---- ties, in the order of playing (4.11) ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("music", "expected"),
    [
        ("C2-C2|C4-|C4-|C2 z2", "60@0/4 60@4/10"),
        ("C2- | C2", "60@0/4"),
        ("C- z C", "60@0/1 60@2/1"),
        ("E2-F2|G4-|A4|B4|", "64@0/2 65@2/2 67@4/4 69@8/4 71@12/4"),  # to another pitch: a slur
        ("|:C4|1 G4-:|2 G4|]", "60@0/4 67@4/4 60@8/4 67@12/4"),
        ("|:C4-|1 C4:|2 C4|]", "60@0/8 60@8/8"),
        ("[CE]-[CE] [CE-][EG]", "60@0/2 64@0/2 60@2/1 64@2/2 67@3/1"),
        ("^C-|C C", "61@0/2 60@2/1"),
        ("C-{d}C .-C", "60@0/3"),
    ],
)
def test_ties(music: str, expected: str) -> None:
    assert notes(tune(music)) == expected.split()


# ---- meters, keys and tempos inside repeats --------------------------------------------------------------------------


def test_where_playing_goes_back_meter_key_and_tempo_do_too() -> None:
    score = tune("Q:1/4=100\n|:C D E F|[M:3/4][K:G][Q:1/4=60]C D F:|")
    assert [(m.time // 480, m.numerator) for m in score.time_signatures] == [(0, 4), (4, 3), (7, 4), (11, 3)]
    assert [(k.time // 480, k.key) for k in score.key_signatures] == [(0, 0), (4, 1), (7, 0), (11, 1)]
    assert [(t.time // 480, round(t.qpm)) for t in score.tempos] == [(0, 100), (4, 60), (7, 100), (11, 60)]
    assert [note.pitch for note in score.tracks[0].notes][4:7] == [60, 62, 66]


def test_changes_stand_where_they_are_written() -> None:
    score = tune("C D [Q:1/4=90] E F|C [K:D] D (3E[Q:1/4=80]FG A|")
    assert [(t.time, round(t.qpm)) for t in score.tempos] == [(960, 90), (3200, 80)]
    assert [(k.time, k.key) for k in score.key_signatures] == [(0, 0), (2400, 2)]


# ---- overlays (7.4), words (5) and chords (4.18) ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("music", "expected"),
    [
        ("G2A2&C4|D4", "60@0/4 67@0/2 69@2/2 62@4/4"),
        ("G2A2&C2&E|D4", "60@0/2 64@0/1 67@0/2 69@2/2 62@4/4"),
        ("g4f4|e6e2&&(D8|C6)C2|", "62@0/8 79@0/4 77@4/4 60@8/6 76@8/6 60@14/2 76@14/2"),
        ("^F4&F4|", "65@0/4 66@0/4"),
    ],
)
def test_overlays(music: str, expected: str) -> None:
    score = tune(music, meter="8/4" if "8" in music else "4/4")
    assert notes(score) == expected.split()
    assert len(score.time_signatures) == 1


@pytest.mark.parametrize(
    ("music", "words", "sung"),
    [
        ("C D E F|", "Twin-kle lit-tle", ["Twin-", "kle", "lit-", "tle"]),
        ("C D E F|", "a _ b *", ["a", "", "b", ""]),
        ("C D E F|", "a~b c\\-d|e", ["a b", "c-d", "", ""]),
        ("C D|E F|", "a|b c", ["a", "", "b", "c"]),
        ("C D|E F|", "a - b - - c", ["a", "", "b", ""]),
        ("{g}C z [DF] E", "a b c", ["a", "b", "c"]),
    ],
)
def test_words(music: str, words: str, sung: list[str]) -> None:
    score = tune(f"{music}\nw:{words}\n")
    found = {lyric.time: lyric.text for lyric in score.tracks[0].lyrics}
    assert [found.get(time, "") for time in sorted({note.time for note in score.tracks[0].notes})] == sung


def test_verses_are_sung_in_turn_and_words_belong_to_the_line_above() -> None:
    reading = read_one("|:C D:|\nw:a b\nw:c d\nw:e f\nE F|\nG A|\nw:g h")
    assert [(lyric.time // 480, lyric.text) for lyric in reading.score.tracks[0].lyrics] == [
        (0, "a"), (1, "b"), (2, "c"), (3, "d"), (6, "g"), (7, "h"),
    ]  # fmt: skip
    assert any("verses" in remark for remark in reading.remarks)
    assert any("more syllables" in repair for repair in read_one("C|\nw:a b").repairs)
    joined = tune("C D\\\nE F|\nw:a b c d")
    assert [lyric.text for lyric in joined.tracks[0].lyrics] == ["a", "b", "c", "d"]


def test_chord_symbols_are_markers_and_annotations_texts() -> None:
    reading = read_one('"Am7"C D "D7/F#"E F|:"^slow""G"C2 ["C"EG]2:|')
    assert [(m.time // 480, m.text) for m in reading.score.markers] == [
        (0, "Am7"), (2, "D7/F#"), (4, "G"), (6, "C"), (8, "G"), (10, "C"),
    ]  # fmt: skip
    assert len(markers_as_chords(reading.score)) == 6
    assert [(text.tick // 480, text.text) for text in reading.texts] == [(4, "slow"), (8, "slow")]

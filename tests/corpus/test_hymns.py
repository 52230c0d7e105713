"""Hymns beside the chorales: how they are read, which may train, and that the chorales are the same without them."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from melody.corpus import TokenStore, hymns, prepare
from melody.corpus.chorale import read_chorale
from melody.corpus.draw import draw
from melody.corpus.pieces import LeftOut
from melody.corpus.recipe import SPLITS, load_pieces, load_recipe
from melody.errors import MelodyError
from melody.music.score import Score, bars, notes_of

CHORALE = Path(__file__).parents[2] / "corpora" / "chorale"
BACH = {"train": "bach/bwv269.mxl", "valid": "bach/bwv347.mxl", "test": "bach/bwv26.6.mxl"}

HEAD = """%%MIDI program 1 0
X: 1
T: Made up
C: copyright: public domain.  Made for this test.
M: 4/4 % time signature
L: 1/4
%%staves (S1V1 S1V2) | (S2V1 S2V2)
V: S1V1 clef=treble
%%MIDI beat 127 125 110 1
V: S1V2
V: S2V1 clef=bass
V: S2V2
K: G
"""
VOICES = {
    "S1V1": "[Q:1/4=110] d | !sintro!B c d B | A B/c/ d B | G A B c | .(d e) !fermata!d",
    "S1V2": "G | G G F G | F G A G | E F G G | .(F- F) F",
    "S2V1": "B, | D E D D | D D D D | B, D D E | D C A,",
    "S2V2": "G, | G, C, D, G, | D, G, F, G, | E, D, G, E, | B,, A,, D,",
}


def book(head: str = HEAD, words: str = "w: O for a test", **voices: str) -> str:
    lines = [f"[V: {name}] {music}\n{words}" for name, music in (VOICES | voices).items()]
    return head + "\n".join(lines) + "\n"


def read(text: str) -> Score:
    return hymns.hymn(text, "hymn/x")


def test_a_hymn_is_four_voices_without_tempo_and_dynamics() -> None:
    score = read(book())
    assert [track.name for track in score.tracks] == ["Soprano", "Alto", "Tenor", "Bass"]
    assert {velocity for track in score.tracks for velocity in notes_of(track).velocity.tolist()} == {80}
    assert not len(score.tempos)
    assert notes_of(score.tracks[0]).pitch.tolist()[:4] == [74, 71, 72, 74]
    assert len(notes_of(score.tracks[1]).onset) == 15  # a dotted tie is none


def test_a_hymn_begins_with_its_pickup() -> None:
    assert (np.diff(bars(read(book()))) / 480).tolist() == [1, 4, 4, 4, 4]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (book(HEAD.replace("public domain", "2005, all rights reserved")), "not in the public domain"),
        (book(HEAD.replace("M: 4/4", "M: none")), "no meter"),
        (book(S2V2="z | z4 | z4 | z4 | z3"), "not for four single voices"),
        (book(S1V2="[GE] | [GE] G F G | F G A G | E F G G | F F F"), "not for four single voices"),
        (book(S2V2="G, | G, C, D, | D, G, F, G, | E, D, G, E, | B,, A,, D,"), "wrong bars"),
        (book(S2V2="G, | G, C, ? D, G, | D, G, F, G, | E, D, G, E, | B,, A,, D,"), "errors in its ABC"),
    ],
)
def test_what_is_no_hymn_to_learn_from_is_left_out_by_its_reason(text: str, reason: str) -> None:
    with pytest.raises(LeftOut) as caught:
        read(text)
    assert caught.value.reason == reason


def test_hymns_are_found_in_the_published_repository_and_in_a_copy(tmp_path: Path) -> None:
    for path in ("top/Complete/A/A-Tune.abc", "top/Choir/B/B-Tune.abc", "other/abc/C-Tune.abc", "top/bin/d.abc"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(book())
    found = hymns.items(tmp_path)
    assert [hymns.name_of(item) for item in found] == ["hymn/C-Tune", "hymn/A-Tune"]
    with pytest.raises(MelodyError, match="no hymn"):
        hymns.items(tmp_path / "top" / "bin" / "empty")


# ---- the list -------------------------------------------------------------------------------------------------------


def test_hymns_train_only_and_are_counted() -> None:
    recipe, pieces = load_recipe(CHORALE), load_pieces(CHORALE)
    assert recipe.origin
    assert recipe.origin.addition
    counts = Counter(pieces.split_of.values())
    assert {s: counts[s] for s in SPLITS} == {s: recipe.origin.addition.expected[s].pieces for s in SPLITS}
    assert {split for name, split in pieces.split_of.items() if name.startswith("hymn/")} == {"train"}
    without = Counter(pieces.without("hymn/").split_of.values())
    assert {s: without[s] for s in SPLITS} == {s: recipe.expected[s].pieces for s in SPLITS}
    for split in ("valid", "test"):
        assert recipe.expected[split] == recipe.origin.addition.expected[split]


def test_the_readme_counts_the_hymns_and_why_others_are_left_out() -> None:
    text, pieces = (CHORALE / "README.md").read_text(), load_pieces(CHORALE)
    taken = sum(name.startswith("hymn/") for name in pieces.split_of)
    assert f"{taken} hymns" in text
    for reason, count in Counter(r for name, r in pieces.left_out.items() if name.startswith("hymn/")).items():
        assert f"{count} " in text, f"README does not count what is left out as {reason!r}: {count}"


# ---- prepared -------------------------------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe of three chorales, and four hymns in ./book: two of one tune, one with the tune of the test chorale."""
    monkeypatch.chdir(tmp_path)
    folder = Path("corpora/small")
    folder.mkdir(parents=True)
    text = (CHORALE / "recipe.yaml").read_text()
    text = text.replace("name: chorale", "name: small").replace("sha256: ", "sha256: 0")
    (folder / "recipe.yaml").write_text(text)
    split = {name: [BACH[name]] for name in SPLITS} | {"left_out": {"dull": ["bach/bwv1.6.mxl"]}, "overlaps": {}}
    (folder / "split.json").write_text(json.dumps(split))
    other = "g | f e d c | B c d e | f g f e | d c d"
    texts = {
        "A-One": book(),
        "B-One": book(S2V2="G, | B,, C, D, G, | D, G, F, G, | E, D, G, E, | B,, A,, D,"),
        "C-Other": book(S1V1=other),
        "D-Bach": book(**to_the_tune_of(BACH["test"])),
        "E-None": book(HEAD.replace("M: 4/4", "M: none")),
    }
    (tmp_path / "book" / "abc").mkdir(parents=True)
    for name, content in texts.items():
        (tmp_path / "book" / "abc" / f"{name}.abc").write_text(content)
    return tmp_path


def to_the_tune_of(name: str) -> dict[str, str]:
    """Voices in ABC: the first notes of a chorale's melody as quarters, over plain ones."""
    pitches = notes_of(read_chorale(name).tracks[0]).pitch.tolist()[:32]
    letters = ["=C", "^C", "=D", "^D", "=E", "=F", "^F", "=G", "^G", "=A", "^A", "=B"]
    spelled = [letters[p % 12] if p < 72 else letters[p % 12].lower() for p in pitches]
    tune = " | ".join(" ".join(spelled[at : at + 4]) for at in range(0, 32, 4))
    return {"S1V1": tune} | {
        voice: " | ".join([f"{low} {low} {low} {low}"] * 8)
        for voice, low in (("S1V2", "C"), ("S2V1", "G,"), ("S2V2", "C,"))
    }


def test_the_draw_takes_one_hymn_of_a_tune_and_none_of_a_held_out_one(small: Path) -> None:
    stated = draw(Path("corpora/small"), small / "book", 0, workers=1)
    pieces = load_pieces(Path("corpora/small"))
    assert [name for name in pieces.split_of if name.startswith("hymn/")] == ["hymn/A-One", "hymn/C-Other"]
    assert pieces.split_of["hymn/A-One"] == "train"
    assert pieces.left_out == {
        "bach/bwv1.6.mxl": "dull",
        "hymn/B-One": "same tune",
        "hymn/D-Bach": "has a tune of valid or test",
        "hymn/E-None": "no meter",
    }
    assert {s: counts["pieces"] for s, counts in stated["expected"].items()} == {"train": 3, "valid": 1, "test": 1}
    before = Path("corpora/small/split.json").read_bytes()
    draw(Path("corpora/small"), small / "book", 0, workers=1)
    assert Path("corpora/small/split.json").read_bytes() == before


def test_with_and_without_hymns_valid_and_test_are_the_same(small: Path) -> None:
    draw(Path("corpora/small"), small / "book", 0, workers=1)
    alone = prepare("small", workers=1)
    assert alone.pieces == {"train": 1, "valid": 1, "test": 1}
    assert alone.remark.endswith("melody prepare small --from FOLDER_OR_ARCHIVE")
    assert alone.reasons == {"dull": 1}
    first = {split: TokenStore.open(alone.folder).split(split) for split in SPLITS}
    grown = prepare("small", local=small / "book", workers=1)
    assert grown.pieces == {"train": 3, "valid": 1, "test": 1}
    assert (grown.remark, grown.read) == ("", 2)  # the chorales were read before
    assert grown.reasons == {"dull": 1, "same tune": 1, "has a tune of valid or test": 1, "no meter": 1}
    for split, old in first.items():
        new = TokenStore.open(grown.folder).split(split)
        assert new.names[: len(old)] == old.names
        assert np.array_equal(new.ids[: len(old.ids)], old.ids)


def test_a_hymn_that_is_not_in_the_copy_is_counted(small: Path) -> None:
    draw(Path("corpora/small"), small / "book", 0, workers=1)
    (small / "book" / "abc" / "C-Other.abc").unlink()
    report = prepare("small", local=small / "book", workers=1)
    assert report.reasons["not there"] == 1
    assert "the files are not those that the recipe was made with" in report.differences


@pytest.mark.slow
def test_chorales_and_hymns_are_as_the_recipe_says(data_folder: Path, tmp_path: Path) -> None:
    report = prepare("chorale", tmp_path / "store", local=data_folder / "openhymnal.tar.xz")
    assert report.differences == []
    assert report.reasons == dict(Counter(load_pieces(CHORALE).left_out.values()))

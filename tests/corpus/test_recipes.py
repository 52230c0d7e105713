"""The recipes folk, pop, drums, lead, lied and quartet: their lists, and where their music is."""

import json
import re
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from support.made_music import ARCHIVES, CORPORA, drummer

from melody.corpus import TokenStore, prepare, recipe
from melody.corpus.drums import name_of as drum_name
from melody.corpus.pieces import Dropped, LeftOut, read_item
from melody.corpus.recipe import SPLITS, load_pieces, load_recipe
from melody.errors import MelodyError, UsageError
from melody.music.score import Score

# ---- the lists ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_recipe_fits_its_split(name: str) -> None:
    known, pieces = load_recipe(CORPORA / name), load_pieces(CORPORA / name)
    assert known.name == name
    assert known.origin
    counts = Counter(pieces.split_of.values())
    assert {split: counts[split] for split in SPLITS} == {s: known.expected[s].pieces for s in SPLITS}
    assert not set(pieces.split_of) & set(pieces.left_out)
    total = sum(counts.values())
    assert 0.03 < counts["valid"] / total < 0.12
    assert 0.03 < counts["test"] / total < 0.12


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_readme_tells_source_rights_reading_and_split(name: str) -> None:
    text = (CORPORA / name / "README.md").read_text()
    known = load_recipe(CORPORA / name)
    for word in ("**Source.**", "**Rights.**", "**Reading.**", "**Split.**"):
        assert word in text
    assert known.origin
    assert known.origin.commit.split()[0] in text
    for reason, count in Counter(load_pieces(CORPORA / name).left_out.values()).items():
        assert re.search(rf"\b{count:,}\b", text), f"README does not count what is left out as {reason!r}: {count}"


# ---- where the music is ---------------------------------------------------------------------------------------------


def test_without_a_network_the_message_says_where_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(url: str, target: Path) -> Path:
        raise MelodyError(f"{url}: cannot fetch (no network)")

    monkeypatch.setattr(recipe, "fetch", no_network)
    with pytest.raises(MelodyError) as caught:
        prepare("pop", tmp_path / "store")
    message = str(caught.value)
    assert "no network" in message
    assert "https://github.com/music-x-lab/POP909-Dataset (d83e6ed)" in message
    assert "melody prepare pop --from" in message
    assert "\n" not in message
    with pytest.raises(MelodyError, match=r"nowhere: not there; get https://github\.com/OpenScore/Lieder"):
        prepare("lied", tmp_path / "store", local=tmp_path / "nowhere")


def test_from_is_for_recipes_with_an_origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "corpora" / "installed"
    folder.mkdir(parents=True)
    lines = (CORPORA / "chorale" / "recipe.yaml").read_text().splitlines()
    (folder / "recipe.yaml").write_text("\n".join(line for line in lines if re.match("reader|source|licence", line)))
    with (folder / "recipe.yaml").open("a") as file:
        file.write("\nname: installed\n")
    (folder / "split.json").write_text(json.dumps({"train": [], "valid": [], "test": [], "left_out": {}}))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="comes with music21"):
        prepare("installed", tmp_path / "store", local=tmp_path)
    with pytest.raises(UsageError, match="music of your own"):
        prepare(tmp_path, tmp_path / "store", local=tmp_path)


@pytest.fixture
def small_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe of twelve drum pieces in ./corpora; one is not in the archive, one is damaged, one is left out."""
    monkeypatch.chdir(tmp_path)
    names = [f"drummer1/session1/{n}_rock_100_{'fill' if n % 2 else 'beat'}_4-4" for n in range(12)]
    with zipfile.ZipFile("groove.zip", "w") as archive:
        for number, name in enumerate(names[1:], 1):
            archive.writestr(f"groove/{name}.mid", drummer(number) if number != 2 else b"MThd")
    folder = Path("corpora/small")
    folder.mkdir(parents=True)
    text = (CORPORA / "drums" / "recipe.yaml").read_text()
    text = re.sub(r"name: drums", "name: small", text)
    (folder / "recipe.yaml").write_text(text)
    listed = [drum_name(f"{name}.mid") for name in names]
    split = {"train": listed[:9], "valid": listed[9:10], "test": listed[10:11], "left_out": {"dull": listed[11:]}}
    (folder / "split.json").write_text(json.dumps(split))
    return tmp_path


def test_a_recipe_is_read_from_an_archive(small_recipe: Path) -> None:
    report = prepare("small", local="groove.zip", workers=1)
    assert report.pieces == {"train": 7, "valid": 1, "test": 1}
    assert report.reasons == {"dull": 1, "not there": 1, "UnreadableFile": 1}
    assert report.differences[0] == "the files are not those that the recipe was made with"
    assert len(report.differences) == 4  # and each split has other counts
    store = TokenStore.open("corpora/small/prepared")
    assert store.styles == ["fill", "groove"]
    train = store.split("train")
    assert [name.startswith("fill") for name in train.names] == [style == 1 for style in train.styles.tolist()]


def test_the_command_line_takes_an_archive(small_recipe: Path) -> None:
    command = [sys.executable, "-m", "melody", "prepare", "small", "--from", "groove.zip", "--workers", "1", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert json.loads(done.stdout)["pieces"] == {"train": 7, "valid": 1, "test": 1}
    command[command.index("groove.zip")] = "elsewhere.zip"
    done = subprocess.run([*command, "--force"], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "elsewhere.zip: not there; get https://magenta.tensorflow.org/datasets/groove" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_folder_gives_the_same_store_as_an_archive(small_recipe: Path) -> None:
    with zipfile.ZipFile("groove.zip") as archive:
        archive.extractall("copy")
    stores = []
    for local, out in (("groove.zip", "a"), ("copy", "b")):
        prepare("small", out, local=local, workers=1)
        stores.append(TokenStore.open(out).info["files"])
    assert stores[0] == stores[1]


def test_an_archive_of_your_own_music_is_read(small_recipe: Path) -> None:
    report = prepare("groove.zip", workers=1)
    assert sum(report.pieces.values()) == 10
    assert report.folder == Path("outputs/stores/groove")


def test_a_reader_that_leaves_out_is_counted_by_its_reason() -> None:
    def left_out(item: str) -> dict[str, Score | MelodyError]:
        raise LeftOut("too short", f"{item}: 3 notes")

    assert read_item("x", left_out, 6) == [Dropped("x", "too short", "x: 3 notes")]

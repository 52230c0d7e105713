"""Preparing a folder of one's own: what breaks, what is stopped, what is added later, and what the report says."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import odd_readers
from support.odd_readers import odd, tune
from symusic import KeySignature, Tempo, TimeSignature

from melody.corpus import CorpusReport, TokenStore, prepare
from melody.corpus.facts import Facts, facts_of
from melody.corpus.pieces import Dropped, Piece
from melody.corpus.report import page
from melody.corpus.shards import Entry, Place
from melody.corpus.splits import Homes, settle
from melody.corpus.workers import backend, read_items
from melody.errors import MelodyError, UsageError
from melody.music.quantize import quantize
from melody.music.score import Score, transpose

ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
KERN = """**kern\t**kern
*clefF4\t*clefG2
*k[b-]\t*k[b-]
*M3/4\t*M3/4
=1\t=1
2.F\t4c
.\t4d
.\t4e
=2\t=2
2.C\t4f
.\t8gL
.\t8aJ
.\t4b-
==\t==
*-\t*-
"""


def write(folder: Path, **scores: Score) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, score in scores.items():
        score.dump_midi(folder / f"{name}.mid")


def tunes(folder: Path, *seeds: int) -> Path:
    write(folder, **{f"{seed:03}": tune(seed) for seed in seeds})
    return folder


def homes_in(store: Path) -> dict[str, str]:
    """The split of each piece by name."""
    opened = TokenStore.open(store)
    opened.verify()
    return {name: split for split in opened.splits for name in opened.split(split).names}


def kinds(report: CorpusReport) -> dict[str, str]:
    """Why each piece that was left out was."""
    return {drop.name: drop.reason for drop in report.dropped}


# ---- readers that break ---------------------------------------------------------------------------------------------


def test_a_crash_or_a_hang_costs_one_item() -> None:
    items = ["0", "segfault", "1", "exit", "hang", "2", "chatter", "3"]
    found = dict(read_items(items, Path(), odd, 6, workers=2, seconds=3))
    assert sorted(found) == sorted(items)
    lost = {item: results[0].reason for item, results in found.items() if isinstance(results[0], Dropped)}
    assert lost == {"segfault": "reader crashed", "exit": "reader crashed", "hang": "took too long"}
    for item, results in found.items():
        assert item in lost or [type(result) for result in results] == [Piece]


def test_what_crashed_is_tried_again_and_nothing_else_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("0", "1", "2", "segfault"):
        (tmp_path / f"{name}.txt").touch()
    monkeypatch.setattr(sys.modules["melody.corpus.prepare"], "find_corpus", lambda *_: odd_readers.corpus(tmp_path))
    first, second = (prepare("odd", workers=1) for _ in range(2))
    assert (first.read, second.read) == (4, 1)
    assert kinds(first) == kinds(second) == {"segfault.txt": "reader crashed"}


# ---- stopped and continued ------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_what_was_read_before_it_was_stopped_is_not_read_again(
    how: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(60):
        (tmp_path / f"{seed}.txt").touch()
    store, journal = tmp_path / "store", tmp_path / "store" / "shards" / "00000.jsonl"
    script = Path(odd_readers.__file__)
    command = [sys.executable, str(script), str(tmp_path), str(store)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=ENVIRONMENT)
    while not journal.is_file() or journal.read_bytes().count(b"\n") < 8:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(how)
    assert process.wait(timeout=10) != 0
    assert not (store / "store.json").exists()
    monkeypatch.setattr(sys.modules["melody.corpus.prepare"], "find_corpus", lambda *_: odd_readers.corpus(tmp_path))
    report = prepare("odd", workers=1)
    assert 0 < report.read <= 53
    assert sum(report.pieces.values()) == 60
    assert len(homes_in(store)) == 60


# ---- added to -------------------------------------------------------------------------------------------------------


def test_only_what_is_new_or_changed_is_read_and_no_piece_moves(tmp_path: Path) -> None:
    music, store = tunes(tmp_path / "music", *range(30)), tmp_path / "store"
    (music / "bad.mid").write_bytes(b"MThd")
    assert prepare(music, store, workers=1).read == 31
    before = homes_in(store)
    test, valid = (next(name for name, split in before.items() if split == s) for s in ("test", "valid"))

    held_out = Score.from_file(music / test)
    write(music, **{"0-duplicate": transpose(held_out, 3)})  # of a held-out piece, and first in order
    version = held_out.copy()
    version.tracks[0].notes.pop()
    write(music, version=version)
    write(music, new=tune(100))
    os.utime(music / "000.mid", (1, 1))  # touched, not changed
    moved = music / "below" / "renamed.mid"
    moved.parent.mkdir()
    (music / valid).rename(moved)
    report = prepare(music, store, workers=1)
    after = homes_in(store)
    assert report.read == 4
    assert kinds(report) == {"bad.mid": "UnreadableFile", test: "duplicate"}
    assert after["0-duplicate.mid"] == after["version.mid"] == "test"
    assert after["below/renamed.mid"] == "valid"
    assert {name: split for name, split in before.items() if name in after} == {
        n: after[n] for n in before if n in after
    }

    (music / "0-duplicate.mid").unlink()
    report = prepare(music, store, workers=1)
    assert report.read == 0
    assert homes_in(store)[test] == "test"


def test_what_stands_between_two_splits_is_left_out(tmp_path: Path) -> None:
    music, store = tunes(tmp_path / "music", *range(30)), tmp_path / "store"
    prepare(music, store, workers=1)
    before = homes_in(store)
    train, test = (next(name for name, split in before.items() if split == s) for s in ("train", "test"))
    medley, other = (Score.from_file(music / name) for name in (train, test))
    notes = other.shift_time(40 * 240).tracks[0].notes
    medley.tracks[0].notes.extend(notes)
    write(music, medley=medley)
    report = prepare(music, store, workers=1)
    assert kinds(report) == {"medley.mid": "between splits"}
    assert homes_in(store) == before


def test_what_else_differs_wants_force(tmp_path: Path) -> None:
    music, store = tunes(tmp_path / "music", *range(6)), tmp_path / "store"
    prepare(music, store, workers=1)
    for other in ({"seed": 1}, {"styles": True}, {"miditok": "REMI"}):
        with pytest.raises(MelodyError, match=r"was prepared with .*`force`"):
            prepare(music, store, workers=1, **other)
    with pytest.raises(MelodyError, match="was prepared with source"):
        prepare(tunes(tmp_path / "others", 7, 8, 9), store, workers=1)
    old = sorted(path.name for path in (store / "shards").glob("0*"))
    assert prepare(music, store, workers=1, seed=1, force=True).read == 6
    assert not set(old) & {path.name for path in (store / "shards").glob("0*")}
    homes_in(store)


def test_other_tokens_are_said_from_the_same_pieces(tmp_path: Path) -> None:
    pytest.importorskip("miditok")
    from melody.tokens.miditok import MidiTokTokenizer

    music, store = tunes(tmp_path / "music", *range(12)), tmp_path / "store"
    report = prepare(music, store, workers=1, miditok="TSD")
    split = TokenStore.open(store).split("train")
    expected = MidiTokTokenizer("TSD").encode(quantize(tune(int(split.names[0][:3]))))
    np.testing.assert_array_equal(split.piece(0)[0], expected)
    assert report.tokenizer == "miditok-tsd"
    assert split.piece(0)[1].shape == (split.lengths[0], 0)
    write(music, more=tune(50))
    again = prepare(music, store, workers=1, miditok="TSD")
    assert (again.read, sum(again.pieces.values())) == (1, 13)
    assert sum(counts["tokens"] for counts in TokenStore.open(store).info["splits"].values()) == sum(
        again.tokens.values()
    )
    homes_in(store)


def entry(name: str, print_: str) -> Entry:
    return Entry(name, Place(0, 0, 1), 1, (), (0, 0), print_, 0, 0, Facts())


@given(st.lists(st.integers(0, 12), min_size=1, max_size=40), st.data())
def test_however_pieces_come_none_moves_and_no_tune_is_on_two_sides(numbers: list[int], data: st.DataObject) -> None:
    """Pieces of given clusters come one lot after the other; in the end two clusters turn out to be one."""
    labels = np.array(numbers)
    pieces = [entry(f"n{index}", f"p{index}") for index in range(len(labels))]
    cut = data.draw(st.integers(0, len(labels)))
    first = settle(pieces[:cut], np.unique(labels[:cut], return_inverse=True)[1], Homes(), 0)
    homes = Homes((piece.name, piece.fingerprint, split) for piece, split in zip(pieces, first, strict=False))
    joined = np.unique(np.where(labels == 1, 0, labels), return_inverse=True)[1]
    second = settle(pieces, joined, homes, 0)
    assert second[:cut] == first
    for label in set(joined.tolist()):
        sides = {split for split, own in zip(second, joined.tolist(), strict=True) if own == label and split}
        old = {split for split, own in zip(first, joined.tolist(), strict=False) if own == label}
        assert len(sides) == 1 or sides == old  # two were joined by a piece that came later, and which is left out


# ---- folders, archives, kern ----------------------------------------------------------------------------------------


def test_archives_in_folders_are_read(tmp_path: Path) -> None:
    music = tunes(tmp_path / "music" / "deep", *range(4)).parent
    tunes(tmp_path / "packed" / "in", 10, 11)
    with zipfile.ZipFile(music / "deep" / "some.zip", "w") as archive:
        for path in (tmp_path / "packed" / "in").iterdir():
            archive.write(path, f"in/{path.name}")
        archive.writestr("in/bad.mid", b"MThd")
    with tarfile.open(music / "more.tar.gz", "w:gz") as tar:
        tar.add(tunes(tmp_path / "tarred", 20), "20")
    (music / "broken.zip").write_bytes(b"PK\3\4")
    report = prepare(music, tmp_path / "store", workers=1)
    names = set(homes_in(tmp_path / "store"))
    assert names == {
        *(f"deep/00{seed}.mid" for seed in range(4)),
        "deep/some.zip/in/010.mid",
        "deep/some.zip/in/011.mid",
        "more.tar.gz/20/020.mid",
    }
    assert kinds(report) == {"broken.zip": "UnreadableFile", "deep/some.zip/in/bad.mid": "UnreadableFile"}
    assert all(drop.detail.startswith((drop.name, str(music))) for drop in report.dropped)  # no temporary folder
    assert prepare(music, tmp_path / "store", workers=1).read == 0


def test_kern_is_read(tmp_path: Path) -> None:
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / "duet.krn").write_text(KERN)
    (tmp_path / "music" / "lyrics.krn").write_text("**text\nla\n*-\n")
    (tmp_path / "music" / "broken.krn").write_text("**kern\n4zz\n=1\n*v\n")
    report = prepare(tmp_path / "music", tmp_path / "store", workers=1)
    assert (report.pieces["train"], report.notes["train"]) == (1, 9)
    assert kinds(report) == {"lyrics.krn": "UnreadableFile", "broken.krn": "UnreadableFile"}
    music = json.loads((tmp_path / "store" / "report.json").read_text())["music"]
    assert (music["meters"], music["keys"], music["bars"]) == ({"3/4": 1}, {"F major": 1}, 2)
    assert music["kept"] == {"read": 9, "kept": 9, "fewer": []}


# ---- the report -----------------------------------------------------------------------------------------------------


def test_facts_by_hand() -> None:
    facts = facts_of(quantize(tune(0)), ["tune"])
    assert facts == Facts(5, 10.0, 120.0, ("4/4",), "", 1, ("tune",))
    pickup = tune(0)
    pickup.time_signatures = [TimeSignature(0, 1, 4), TimeSignature(480, 3, 4)]
    pickup.tempos = [Tempo(0, qpm=60)]
    pickup.key_signatures = [KeySignature(0, -1, 1)]
    facts = facts_of(quantize(pickup), ["tune"])
    assert (facts.meters, facts.key, facts.seconds) == (("3/4",), "D minor", 20.0)


def test_the_report_tells_what_is_there_and_what_is_too_little(tmp_path: Path) -> None:
    music = tunes(tmp_path / "music", *range(5))
    shutil.copy(music / "000.mid", music / "copy.mid")
    evil = "<img src=x onerror=alert(1)>.mid"
    (music / evil).write_bytes(b"no music")
    odd_name = tune(50)
    odd_name.tracks[0].name = "<script>alert(2)</script>"
    write(music, odd_name=odd_name)
    report = prepare(music, tmp_path / "store", workers=1)
    found = json.loads((tmp_path / "store" / "report.json").read_text())
    assert found["music"]["pieces"] == 6
    assert found["music"]["notes"] == sum(report.notes.values()) == 240
    assert found["music"]["meters"] == {"4/4": 6}
    assert found["music"]["keys"] == {"not stated": 6}
    assert found["music"]["polyphony"] == {"1": 6}
    assert found["music"]["tempi"]["quartiles"] == [120, 120, 120]
    assert sum(found["music"]["seconds"]["histogram"].values()) == 6
    (track,) = found["music"]["tracks"]
    assert track["names"] == {"tune": 5, "<script>alert(2)</script>": 1}
    assert 40 <= track["lowest"] <= track["usual"][0] <= track["usual"][1] <= track["highest"] <= 80
    assert {drop["name"]: drop["reason"] for drop in found["dropped"]} == {
        "copy.mid": "duplicate",
        evil: "UnreadableFile",
    }
    warnings = "\n".join(found["warnings"])
    for what in ("notes to learn from", "held-out pieces", "1 of 7 pieces were refused"):
        assert what in warnings
    text = (tmp_path / "store" / "report.html").read_text()
    assert "<script" not in text
    assert "<img" not in text
    assert "&lt;img src=x onerror=alert(1)&gt;.mid" in text
    assert "http" not in text  # one file, nothing fetched
    for words in ("Meters", "Keys, as written", "Tempo", "Tracks", "duplicate", "the same notes as 000.mid"):
        assert words in text


def test_a_long_list_is_cut_on_the_page() -> None:
    music = {"pieces": 0, "notes": 0, "bars": 0, "hours": 0, "meters": {}, "keys": {}, "polyphony": {}, "tracks": []}
    music |= {name: {"histogram": {}} for name in ("tempi", "seconds", "notes a piece")}
    drops = [{"name": f"f{n}", "reason": "r", "detail": "d"} for n in range(1500)]
    report = {
        "name": "x",
        "pieces": {"train": 0},
        "notes": {"train": 0},
        "tokens": {"train": 0},
        "clusters": 0,
        "tokenizer": "events",
    }
    report |= {"warnings": [], "differences": [], "dropped": drops, "reasons": {"r": 1500}, "music": music}
    text = page(report)
    assert "f999<" in text
    assert "f1000<" not in text
    assert "500 more" in text


# ---- the command, and other machines --------------------------------------------------------------------------------


def melody(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "melody", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=ENVIRONMENT, timeout=120, check=False)


def test_the_command_reports_and_verifies(tmp_path: Path) -> None:
    tunes(tmp_path / "mine", *range(4))
    done = melody("prepare", "mine", "--workers", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "outputs/stores/mine: read 4 files in" in done.stdout
    assert "warning: 80 notes to learn from" in done.stdout
    assert (tmp_path / "outputs" / "stores" / "mine" / "report.html").is_file()
    assert melody("prepare", "mine", "--verify", cwd=tmp_path).stdout.startswith("outputs/stores/mine: all 5 files")
    (shard,) = (tmp_path / "outputs" / "stores" / "mine" / "shards").glob("*.ids")
    shard.write_bytes(shard.read_bytes()[::-1])
    done = melody("prepare", "mine", "--verify", cwd=tmp_path)
    assert done.returncode == 1
    assert "00000.ids: not the file that was written" in done.stderr


def test_a_backend_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="there are threads, loky, dask, ray"), backend("spark", 2):
        pass
    monkeypatch.setitem(sys.modules, "ray.util.joblib", None)
    with pytest.raises(MelodyError, match="pip install 'ray'"), backend("ray", 2):
        pass


def asked_by() -> set[str]:
    """The processes that asked readers."""
    found = read_items([str(seed) for seed in range(20)], Path(), odd_readers.signed, 6, workers=2)
    return {piece.facts.tracks[0] for _, results in found for piece in results if isinstance(piece, Piece)}


@pytest.mark.skipif(os.name == "nt", reason="parents of processes")
@pytest.mark.parametrize("name", [pytest.param("loky", marks=pytest.mark.slow), "dask"])
def test_other_backends_give_the_same_store(name: str, tmp_path: Path) -> None:
    if name == "dask":
        pytest.importorskip("distributed")
    music = tunes(tmp_path / "music", *range(40))
    (music / "bad.mid").write_bytes(b"MThd")
    here = prepare(music, tmp_path / "here", workers=2)
    with backend(name, 2):
        there = prepare(music, tmp_path / "there", workers=2)
        askers = asked_by()
    assert len(askers) == 2
    assert asked_by() == {str(os.getpid())} != askers
    assert (here.pieces, here.notes, here.dropped) == (there.pieces, there.notes, there.dropped)
    assert homes_in(tmp_path / "here") == homes_in(tmp_path / "there")
    splits = [TokenStore.open(tmp_path / place).split("train") for place in ("here", "there")]
    for index in range(len(splits[0])):
        np.testing.assert_array_equal(splits[0].piece(index)[0], splits[1].piece(index)[0])

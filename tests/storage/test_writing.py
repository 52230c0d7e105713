"""Writing: whatever fails on the way, old files stay, new ones are whole, and one line names the path."""

import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from symusic import TimeSignature, Track

import melody
from melody.cli import run
from melody.errors import MelodyError
from melody.formats.midi import parse
from melody.music.score import Notes, Score, set_notes
from melody.render import sound
from melody.render.pianoroll import draw
from melody.storage.files import fresh_folder, write_bytes

pytest.importorskip("onnx")
from support.faults import Faults, contents, swept
from support.tiny_bundle import write_bundle

OLD = b"what was there before"


def theme() -> Score:
    """Two bars of a scale."""
    score = Score(480)
    score.time_signatures = [TimeSignature(0, 4, 4)]
    track = Track("Melody", 0, False)
    set_notes(track, Notes(np.arange(8) * 480, np.full(8, 480), 60 + np.arange(8), np.full(8, 84)))
    score.tracks.append(track)
    return score


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a model, a theme, and a folder for temporary files of its own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    write_bundle(tmp_path / "model")
    melody.write(theme(), "theme.mid")
    return tmp_path


@pytest.fixture
def silent_synthesizer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sound without the child process, which takes most of the time: its files are written, its samples made up."""

    def wait(job: Path, limit_seconds: float, soundfont: str) -> None:
        import json

        told = json.loads(job.read_text())
        for out in told["outs"]:
            np.random.default_rng(0).normal(0, 0.1, (told["frames"], 2)).astype("<f4").tofile(out)

    monkeypatch.setattr(sound, "_wait_for_worker", wait)
    monkeypatch.setattr(sound, "normalized", lambda samples, *_: samples)


WRITERS: dict[str, Callable[[Path, bool], object]] = {
    "bytes": lambda path, force: write_bytes(path, b"new" * 1000, force=force),
    "midi": lambda path, force: melody.write(theme(), path, force=force),
    "sound": lambda path, force: melody.render(theme(), path, force=force),
    "picture": lambda path, force: draw(theme(), path, force=force),
}
SUFFIX = {"bytes": ".bin", "midi": ".mid", "sound": ".wav", "picture": ".png"}


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("kind", WRITERS)
def test_any_failure_leaves_the_old_file_and_names_the_path(kind, there, place, silent_synthesizer, monkeypatch):
    path = place / "out" / f"file{SUFFIX[kind]}"
    path.parent.mkdir()
    if there:
        path.write_bytes(OLD)
    WRITERS[kind](place / f"warm{SUFFIX[kind]}", False)  # imports and caches are no part of it
    before, failures = contents(place), 0
    for message in swept(lambda: WRITERS[kind](path, there), monkeypatch):
        failures += 1
        assert contents(place) == before
        assert str(path) in message or str(place / "temporary") in message or "temporary files" in message
    assert failures >= 6 - (not there)  # open, file, write, fsync, rename (a new name is a link), fsync of the folder
    assert contents(place).keys() - before.keys() == (set() if there else {f"out/{path.name}"})
    assert path.read_bytes() != OLD


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_is_whole_or_as_it_was(there: bool, place: Path, monkeypatch: pytest.MonkeyPatch):
    target = place / "store"
    if there:
        with fresh_folder(target) as fresh:
            (fresh / "a").write_bytes(OLD)
    before = contents(place)

    def work() -> None:
        with fresh_folder(target) as fresh:
            for name in "ab":
                (fresh / name).write_bytes(b"new")

    for message in swept(work, monkeypatch):
        assert contents(place) == before
        assert str(target) in message
        assert not [p for p in place.iterdir() if p.name.startswith(".")]
    assert contents(target) == {"a": b"new", "b": b"new"}


def test_ctrl_c_while_a_folder_is_filled_leaves_the_old_one(place: Path):
    with fresh_folder(place / "store") as fresh:
        (fresh / "a").write_bytes(OLD)
    before = contents(place)
    with pytest.raises(KeyboardInterrupt), fresh_folder(place / "store"):
        raise KeyboardInterrupt
    assert contents(place) == before


def test_the_command_line_survives_any_failure(place: Path, silent_synthesizer, monkeypatch, capsys):
    command = ["compose", "--model", "model", "--bars", "1", "--takes", "2", "--seed", "1", "--wav", "--out", "out"]
    assert run(command) == 0
    new = contents(place / "out")
    capsys.readouterr()
    for fatal in itertools.count(1):
        for name in new:
            (place / "out" / name).write_bytes(OLD)
        with monkeypatch.context() as patch:
            faults = Faults(fatal)
            faults.install(patch)
            code = run([*command, "--force"])
        error = capsys.readouterr().err
        if faults.count < fatal:
            break
        found = contents(place / "out")
        assert found.keys() == new.keys()
        assert all(found[name] in (OLD, new[name]) for name in new)
        assert OLD in found.values()
        assert code == 1
        assert error.startswith("melody: ")
        assert error.count("\n") == 1
        assert any(name in error for name in [*new, "temporary", "model"])
    assert fatal > 25
    assert (code, contents(place / "out")) == (0, new)


LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
from melody.cli import main
main(sys.argv[2:])
"""


def child(*command: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=120, **options)


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files there")
@pytest.mark.parametrize("limit", [0, 1, 200])
def test_the_systems_own_limit_gives_one_line(limit: int, place: Path):
    (place / "out").mkdir()
    (place / "out" / "model-1-1.mid").write_bytes(OLD)
    command = ["compose", "--model", "model", "--bars", "4", "--seed", "1", "--out", "out", "--force"]
    before = contents(place)
    done = child("-c", LIMITED, str(limit), *command)
    assert done.returncode == 1
    assert done.stderr.startswith("melody: out/model-1-1.mid: cannot write: ")
    assert done.stderr.count("\n") == 1
    assert contents(place) == before


@pytest.fixture
def small_disk(place: Path) -> Iterator[Path]:
    """A file system of 64 KB."""
    disk = place / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("no right to mount a file system here; the limit of the system is tested instead")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_keeps_what_was_finished(small_disk: Path, silent_synthesizer, capsys):
    command = ["compose", "--model", "model", "--bars", "1", "--seed", "1", "--out", str(small_disk)]
    assert run([*command, "--takes", "40"]) == 1
    assert f"melody: {small_disk}/model-1-" in capsys.readouterr().err
    kept = contents(small_disk)
    assert len(kept) >= 4
    assert all(parse(data).score.tracks for data in kept.values())
    assert not [name for name in kept if name.startswith(".")]
    with pytest.raises(MelodyError, match=r"disk/big\.wav: cannot write: No space left"):
        melody.render(theme(), small_disk / "big.wav")
    with pytest.raises(MelodyError, match="disk/store: cannot write"), fresh_folder(small_disk / "store") as fresh:
        (fresh / "ids.npy").write_bytes(bytes(2**17))
    assert contents(small_disk) == kept


@pytest.mark.parametrize("arguments", [["models"], ["compose", "--model", "model", "--bars", "1", "--json"]])
def test_a_full_disk_behind_the_output_is_one_line_at_most(arguments: list[str], place: Path):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "melody", *arguments]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stderr.count("\n") <= 1


def test_what_is_no_regular_file_is_refused(place: Path):
    os.mkfifo("pipe.mid")
    Path("link.mid").symlink_to("theme.mid")
    Path("dangling.mid").symlink_to("nothing.mid")
    Path("folder.mid").mkdir()
    before = contents(place)
    for name in ("pipe.mid", "link.mid", "dangling.mid", "folder.mid", "/dev/null"):
        with pytest.raises(MelodyError, match="not a regular file"):
            melody.write(theme(), name, force=True)
    with pytest.raises(MelodyError, match="cannot write"):
        melody.write(theme(), "theme.mid/below.mid")
    with pytest.raises(MelodyError, match="no file can have this name"):
        melody.write(theme(), "a\0b.mid")
    assert contents(place) == before


@pytest.mark.parametrize("suffix", ["mid", "wav", "flac", "mp3", "png"])
def test_nothing_is_overwritten_unasked(suffix: str, place: Path, silent_synthesizer, capsys):
    (place / "out").mkdir()
    (place / "out" / f"take.{suffix}").write_bytes(OLD)
    options = [f"--{suffix}"] if suffix != "mid" else []
    command = ["compose", "--model", "model", "--bars", "1", "--out", "out/take.mid", *options]
    assert run(command) == 1
    assert f"out/take.{suffix}: exists" in capsys.readouterr().err
    assert contents(place / "out") == {f"take.{suffix}": OLD}
    assert run([*command, "--force"]) == 0
    assert OLD not in contents(place / "out").values()


def test_render_overwrites_nothing_unasked(place: Path, silent_synthesizer, capsys):
    command = ["render", "theme.mid", "--out", "theme.wav"]
    assert run(command) == 0
    before = contents(place)
    capsys.readouterr()
    assert run(command) == 1
    assert "melody: theme.wav: exists" in capsys.readouterr().err
    assert contents(place) == before
    assert run([*command, "--force"]) == 0


def test_prepare_goes_on_with_its_own_store_and_touches_nothing_else(place: Path, capsys):
    for number in range(3):
        melody.write(theme().shift_pitch(number), place / "music" / f"{number}.mid")
    (place / "other").mkdir()
    (place / "other" / "diary.txt").write_text("mine")
    before = contents(place)
    assert run(["prepare", "music", "--out", "other", "--workers", "1"]) == 1
    assert "melody: other: exists and is no token store" in capsys.readouterr().err
    assert contents(place) == before
    for _ in range(2):
        assert run(["prepare", "music", "--out", "store", "--workers", "1"]) == 0
        assert before.items() <= contents(place).items()


def test_inputs_stay_as_they_are(place: Path, silent_synthesizer, capsys):
    assert run(["compose", "theme.mid", "--model", "model", "--bars", "1", "--seed", "1", "--out", "take.mid"]) == 0
    (place / "theme.mid").chmod(0o444)
    before = contents(place)
    for number, command in enumerate(
        [
            ["inspect", "theme.mid", "--model", "model"],
            ["check", "theme.mid"],
            ["originality", "theme.mid", "--model", "model"],
            ["render", "theme.mid", "--out", "sound.wav"],
            ["compose", "theme.mid", "--model", "model", "--bars", "1", "--out", "new"],
            ["compose", "--replay", "take.mid", "--model", "model", "--out", "again"],
        ]
    ):
        assert run(command) == 0, (number, capsys.readouterr().err)
        assert contents(place).items() >= before.items()
        assert (place / "theme.mid").stat().st_mode & 0o777 == 0o444


def test_two_processes_in_one_folder_do_not_mix(place: Path):
    command = [sys.executable, "-m", "melody", "compose", "--model", "model", "--bars", "1", "--takes", "6", "--seed"]
    assert run([*command[3:], "1", "--out", "alone"]) == 0
    for force in ([], ["--force"]):
        both = [subprocess.Popen([*command, "1", "--out", "out", *force], stderr=subprocess.PIPE, text=True)]
        both.append(subprocess.Popen([*command, "1", "--out", "out", *force], stderr=subprocess.PIPE, text=True))
        errors = [process.communicate(timeout=120)[1] for process in both]
        codes = [process.returncode for process in both]
        assert 0 in codes
        assert all(
            (code, "exists" in error) in ((0, False), (1, True)) for code, error in zip(codes, errors, strict=True)
        )
        assert contents(place / "out") == contents(place / "alone")


def test_of_many_writers_of_one_name_one_wins_and_readers_see_whole_files(tmp_path: Path):
    path, won, refused, torn = tmp_path / "file", [], [], []
    whole = {bytes([number]) * 50_000 for number in range(8)}

    def write(data: bytes, force: bool) -> None:
        try:
            write_bytes(path, data, force=force)
            won.append(data)
        except MelodyError as error:
            refused.append(str(error))

    for force in (False, True):
        writers = [threading.Thread(target=write, args=(data, force)) for data in sorted(whole)]
        for thread in writers:
            thread.start()
        while any(thread.is_alive() for thread in writers):
            if path.exists() and path.read_bytes() not in whole:
                torn.append(path)
        assert len(won) == (9 if force else 1)
    assert len(refused) == 7
    assert all("exists" in message for message in refused)
    assert not torn
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_threads_leave_the_umask_alone(tmp_path: Path):
    before = os.umask(0o027)
    try:
        threads = [threading.Thread(target=write_bytes, args=(tmp_path / str(n), b"")) for n in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o640}
    finally:
        assert os.umask(before) == 0o027

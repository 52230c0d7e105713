"""Under load and signals: memory that does not grow, threads that do not meet, and Ctrl-C that keeps what is done."""

import itertools
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import melody
from melody.cli import run
from melody.engine.onnx import OnnxEngine
from melody.formats.midi import dumps, parse
from melody.generation import Composer
from melody.storage.files import write_bytes

pytest.importorskip("onnx")
from support.tiny_bundle import write_bundle

MOST_GROWTH_BYTES = 4 * 2**20


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of a few kilobytes."""
    return write_bundle(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def composer(model: Path) -> Composer:
    return melody.load(model)


def resident_bytes() -> int:
    """What this process holds in memory now."""
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("the system does not tell how much memory a process holds")
    return 1024 * int(re.search(r"VmRSS:\s+(\d+) kB", status.read_text())[1])


def growth_bytes(composer: Composer, folder: Path, first: int, last: int) -> int:
    """By how much this process grows from the compose with number `first` to the one with number `last`."""
    for number in range(last):
        if number == first:
            before = resident_bytes()
        take = composer.compose(bars=1, seed=number)[0]
        melody.write(take, folder / f"{number % 8}.mid", force=True)
    return resident_bytes() - before


def test_memory_does_not_grow_from_compose_to_compose(composer: Composer, tmp_path: Path):
    assert growth_bytes(composer, tmp_path, 40, 160) <= MOST_GROWTH_BYTES


@pytest.mark.slow
def test_memory_does_not_grow_over_a_thousand_composes(composer: Composer, tmp_path: Path):
    assert growth_bytes(composer, tmp_path, 200, 1000) <= MOST_GROWTH_BYTES


@pytest.mark.slow
def test_memory_does_not_grow_over_a_hundred_models(model: Path, tmp_path: Path):
    for number in range(120):
        if number == 40:
            before = resident_bytes()
        melody.load(model).compose(bars=1, seed=number)
    assert resident_bytes() - before <= 2 * MOST_GROWTH_BYTES


def test_eight_threads_compose_what_one_does(composer: Composer):
    def compose(seed: int) -> list[bytes]:
        options = {"max_copy_bars": 2} if seed % 2 else {"best_of": 2}
        return [dumps(take.score) for take in composer.compose(bars=2, takes=2, seed=seed, **options)]

    one_by_one = [compose(seed) for seed in range(16)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(compose, range(16))) == one_by_one


def interrupted(model: Path, folder: Path, *options: str, ready: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a compose that gets SIGINT when a file like `ready` is there."""
    command = [sys.executable, "-m", "melody", "compose", "--model", str(model), "--seed", "1", "--out", str(folder)]
    process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(folder.glob(ready)) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGINT)
    out, error = process.communicate(timeout=60)
    return process.returncode, out, error


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to send there")
def test_ctrl_c_keeps_the_takes_that_are_finished(model: Path, tmp_path: Path):
    folder = tmp_path / "out"
    code, out, error = interrupted(model, folder, "--takes", "8", "--bars", "1", "--wav", ready="*-2.wav")
    assert code == 130
    kept = re.fullmatch(r"\s*melody: interrupted; kept (\d) of 8 takes\n", error)
    assert kept, error
    names = [f"tiny-1-{number}" for number in range(1, int(kept[1]) + 1)]
    assert 1 <= len(names) < 8
    assert all(f"{name}.wav" in out for name in names)
    assert {f"{name}{suffix}" for name in names for suffix in (".mid", ".wav")} <= {p.name for p in folder.iterdir()}
    for path in folder.iterdir():  # the take that was being written may have left its MIDI, whole
        data = path.read_bytes()
        if path.suffix == ".mid":
            assert parse(data).repairs == ()
        else:
            assert int.from_bytes(data[4:8], "little") + 8 == len(data)


def test_ctrl_c_before_the_first_take_is_one_line(model: Path, tmp_path: Path, monkeypatch, capsys):
    step, steps = OnnxEngine.step, itertools.count()

    def interrupted_step(*arguments: Any) -> Any:
        if next(steps) == 30:
            raise KeyboardInterrupt
        return step(*arguments)

    monkeypatch.setattr(OnnxEngine, "step", interrupted_step)
    assert (
        run(["compose", "--model", str(model), "--engine", "onnx", "--bars", "20", "--out", str(tmp_path / "out")])
        == 130
    )
    assert re.fullmatch(r"melody: interrupted(; no take was finished)?\n", capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


def test_ctrl_c_waits_until_a_file_is_whole(tmp_path: Path, monkeypatch):
    """It comes at the worst moment: when the file has its name, and the temporary one is still there."""
    unlink = Path.unlink

    def pressed(path: Path, missing_ok: bool = False) -> None:
        if path.name.startswith(".whole"):
            os.kill(os.getpid(), signal.SIGINT)
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", pressed)
    with pytest.raises(KeyboardInterrupt):
        write_bytes(tmp_path / "whole.bin", b"all of it")
    assert [path.name for path in tmp_path.iterdir()] == ["whole.bin"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

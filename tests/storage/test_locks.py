"""A name is held by one process at a time: its files are all of one."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from melody.errors import MelodyError
from melody.storage.locks import held

SCRIPT = """
import sys, time
from pathlib import Path
from melody.storage.locks import held
with held(Path("take"), lambda: print("waits", flush=True)):
    for kind in ("mid", "png"):
        time.sleep(0.1)
        Path(f"take.{kind}").write_text(sys.argv[1])
    print(Path("take.mid").read_text(), Path("take.png").read_text(), flush=True)
"""


def test_two_processes_take_turns(tmp_path: Path):
    both = [
        subprocess.Popen([sys.executable, "-c", SCRIPT, name], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        for name in ("one", "two")
    ]
    said = [process.communicate(timeout=60)[0].splitlines()[-1] for process in both]
    assert said == ["one one", "two two"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["take.mid", "take.png"]


def test_who_waits_is_told_once_and_gets_it_in_the_end(tmp_path: Path):
    waited, entered = threading.Event(), threading.Event()
    told: list[int] = []

    def second() -> None:
        with held(tmp_path / "take", lambda: (told.append(1), waited.set())):  # type: ignore[arg-type]
            entered.set()

    thread = threading.Thread(target=second)
    with held(tmp_path / "take"):
        thread.start()
        assert waited.wait(20)
        assert not entered.is_set()
    assert entered.wait(20)
    thread.join()
    assert told == [1]


def test_another_name_is_free(tmp_path: Path):
    with held(tmp_path / "one"), held(tmp_path / "two", pytest.fail):
        pass
    assert not list(tmp_path.iterdir())


def test_nothing_is_left_after_a_failure(tmp_path: Path):
    with pytest.raises(KeyboardInterrupt), held(tmp_path / "take"):
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_in_its_place_is_not_followed(tmp_path: Path):
    (tmp_path / ".take.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MelodyError, match="cannot write"), held(tmp_path / "take"):
        pass
    assert not (tmp_path / "elsewhere").exists()

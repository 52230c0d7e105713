"""Results of compose open identically in MuseScore, LMMS, Rosegarden and Ardour, but for the programs' own limits."""

import re
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from daws.desk import Desk, wait_for
from daws.primers import PRIMERS
from daws.seen import Seen, differences, written
from melody.formats.midi import check

QUICK = ("ensemble",)  # it has most of what the others have; they are slow, as each opening takes a program's start


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
def test_a_desk_leaves_no_process_behind(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    with Desk(tmp_path).started("sh", "-c", f"trap '' TERM; sleep 600 & echo $! > {pid}; wait"):
        assert wait_for(lambda: (pid.exists() and pid.read_text().strip()) or None)
    assert wait_for(lambda: is_gone(int(pid.read_text())) or None)


def is_gone(pid: int) -> bool:
    """Tell if a process is no more, or waits only for the system to collect it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.parametrize("name", PRIMERS)
def test_results_obey_the_rules(composed: dict[str, Path], name: str) -> None:
    assert check(composed[name].read_bytes(), name) == []


@pytest.mark.parametrize("name", PRIMERS)
def test_what_was_given_comes_through(composed: dict[str, Path], name: str) -> None:
    given, result = (written(composed[name].with_name(file)) for file in (f"primer-{name}.mid", f"{name}.mid"))
    for before, after in zip(given.parts, result.parts, strict=True):
        assert replace(before, notes=()) == replace(after, notes=())
        assert set(before.notes) <= set(after.notes)
    for field in ("tempos", "meters", "keys", "markers"):
        assert set(getattr(given, field)) <= set(getattr(result, field)), field
    first_new = given.bars[-1]
    tick, words = result.markers[-1]
    assert tick == first_new
    assert re.fullmatch(r"melody: \w+, seed 3, take 1", words)
    assert any(note[1] >= first_new for part in result.parts for note in part.notes)
    assert len(result.bars) == len(given.bars) + 4


def read_in(program: ModuleType, midi: Path, desk: Desk) -> Seen:
    """Return what a program shows; started again where it did not come up, as windows of busy machines miss keys."""
    try:
        return program.read(midi, desk)
    except AssertionError:
        again = replace(desk, folder=desk.folder / "again")
        again.folder.mkdir()
        return program.read(midi, again)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in PRIMERS]
)
def test_opens_identically(program: ModuleType, desk: Desk, composed: dict[str, Path], name: str) -> None:
    right = program.shows(written(composed[name]))
    seen = read_in(program, composed[name], desk)
    assert differences(right, seen, program.SLACK) == []

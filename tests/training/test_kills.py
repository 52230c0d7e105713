"""A run that is killed at a hundred random moments: nothing is ever lost but the step in hand, nothing comes out other.

One process imports torch and forks the runs, which it then kills with SIGKILL. So each starts at once, and as the first
process never trains, it has no threads that a fork would leave behind. A run saves after every step; what it has done
and what it has saved it writes into memory that it shares with the first process, which outlives it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

SERVER = """
import json, mmap, os, random, signal, struct, sys, time
from pathlib import Path

import torch

from melody.training import loop
from melody.training.checkpoint import load_newest
from tests.support.counting import LENGTHS, Counting, trained

torch.set_num_threads(1)
folder, kills = Path(sys.argv[1]), int(sys.argv[2])
shared = mmap.mmap(-1, 16)  # steps done, steps saved
SETTINGS = {"checkpoint_minutes": 1e-9, "evaluation": {"patience": None}}  # a checkpoint after every step


def noted(place, function):
    def wrapper(*arguments):
        result = function(*arguments)
        state = next(argument for argument in arguments if isinstance(argument, loop.RunState))
        shared[8 * place : 8 * place + 8] = struct.pack("q", state.progress.step)
        return result

    return wrapper


def start(name, **changes):
    child = os.fork()
    if child:
        return child
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    loop.take_step = noted(0, loop.take_step)
    loop.save_last = noted(1, loop.save_last)
    loop.draw_curve = lambda folder: None  # takes longer than all steps
    code = 1
    try:
        code = trained(folder / name, Counting(LENGTHS), **changes).exit_code
    finally:
        os._exit(code)


def finish(name, **changes):
    assert os.waitstatus_to_exitcode(os.waitpid(start(name, **changes), 0)[1]) == 0


def run_seconds():
    began = time.monotonic()
    finish("measured", max_passes=1, **SETTINGS)
    return time.monotonic() - began


random.seed(1)
longest = run_seconds()
steps, lost, gains = 0, 0, []
for number in range(kills):
    shared[:] = struct.pack("qq", steps, steps)
    child = start("killed", max_passes=10**6, **SETTINGS)
    time.sleep(random.uniform(0, longest))
    os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code == -signal.SIGKILL, code
    done, saved = struct.unpack("qq", shared[:])
    found = load_newest(folder / "killed", "last")  # raises where there is none that is whole
    resumes = found[1]["progress"]["step"] if found else 0
    assert saved <= resumes <= done + 1, (saved, resumes, done)
    assert resumes >= steps, (resumes, steps)
    lost = max(lost, done - resumes)
    gains.append(resumes - steps)
    steps = resumes
passes = found[1]["progress"]["pass_"] + 2
finish("killed", max_passes=passes, **SETTINGS)
finish("whole", max_passes=passes, evaluation={"patience": None})
print(json.dumps({"lost": lost, "steps": steps, "without_a_step": gains.count(0), "passes": passes}))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_hundred_kills_cost_a_step_each_at_most_and_change_nothing(tmp_path: Path) -> None:
    from support.counting import assert_same_run, newest

    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", SERVER, str(tmp_path), "100"]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["lost"] <= 1
    assert [path.name for path in (tmp_path / "killed").iterdir() if path.name.startswith(".")] == []
    assert found["without_a_step"] < 90  # some died before their first step, but most did not
    assert_same_run(tmp_path / "whole", tmp_path / "killed")
    one, other = (newest(tmp_path / name, "best") for name in ("whole", "killed"))
    assert one[1]["valid"] == other[1]["valid"]
    assert all(one[0][name].equal(other[0][name]) for name in one[0])

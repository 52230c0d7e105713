"""Cost of a start: from the shell to a file of 32 bars on disk, against `import torch` alone.

    python benchmarks/startup.py [--quick] [--json]

Both are fresh processes that take turns; the system's file cache is warm, modules are compiled: as on a second start.
Times are processor seconds, so that other programs do not count. Beside the ratio stand the peak memory of both, what
each package costs to import, and how long each stage takes. Needs torch for the rival.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter

sys.path[:0] = [str(Path(__file__).parent)]
from race import Contestant, Result, one_thread, race, ratio, report  # noqa: E402

ROOT = Path(__file__).parents[1]
GOAL = 0.5
TORCH = ("-c", "import torch")
PACKAGES = 10  # shown
STAGES = """
import json, sys
from time import process_time
from pathlib import Path
times = [process_time()]
import melody.cli
times.append(process_time())
composer = melody.load()
times.append(process_time())
take = composer.compose(bars=int(sys.argv[1]), seed=1)[0]
times.append(process_time())
melody.write(take, Path(sys.argv[2]) / "stages.mid", force=True)
times.append(process_time())
print(json.dumps([after - before for before, after in zip(times, times[1:])]))
"""


def python(*arguments: str, env: Mapping[str, str] | None = None) -> tuple[float, float]:
    """Run a fresh interpreter to its end: processor seconds, and its peak memory in MB.

    Where the system does not tell, seconds are the clock's, and the peak is NaN.
    """
    start, peak = perf_counter(), float("nan")
    process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, stdout=subprocess.DEVNULL, env=env)
    if hasattr(os, "wait4"):
        _, status, usage = os.wait4(process.pid, 0)
        code, peak = os.waitstatus_to_exitcode(status), usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
        process.returncode, seconds = code, usage.ru_utime + usage.ru_stime
    else:
        code = process.wait()
        seconds = perf_counter() - start
    if code:
        raise SystemExit(f"python {' '.join(arguments)}: exit code {code}")
    return seconds, peak


def keeping_modules(folder: Path) -> dict[str, str]:
    """The environment in which compiled modules are kept in a folder, whatever the present one says."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": str(folder / "modules")}


def compose_command(folder: Path, bars: int) -> tuple[str, ...]:
    """The command line that is measured."""
    out = str(folder / "start.mid")
    return "-m", "melody", "compose", "--bars", str(bars), "--seed", "1", "--out", out, "--force"


def import_costs(command: Sequence[str], times: int, env: Mapping[str, str]) -> list[tuple[str, float]]:
    """The milliseconds that each top-level package takes to import, without what it imports; the costliest first.

    The least of several times, as all here that is not raced.
    """
    costs: dict[str, float] = {}
    for _ in range(times):
        done = subprocess.run(
            [sys.executable, "-X", "importtime", *command],
            cwd=ROOT,
            env=env,
            capture_output=True,
            text=True,
            check=True,
        )
        now: Counter[str] = Counter()
        for line in re.finditer(r"^import time: +(\d+) \| +\d+ \| +(\w+)", done.stderr, re.MULTILINE):
            now[line[2]] += int(line[1])
        costs = {package: min(cost / 1000, costs.get(package, cost / 1000)) for package, cost in now.items()}
    return sorted(costs.items(), key=lambda item: -item[1])[:PACKAGES]


def stages(folder: Path, bars: int, times: int, env: Mapping[str, str]) -> dict[str, float]:
    """The seconds of each stage, in processes of their own."""
    command = [sys.executable, "-c", STAGES, str(bars), str(folder)]
    names = ("import melody.cli", "load the model", f"compose {bars} bars", "write the file")
    told = {"cwd": ROOT, "env": env, "capture_output": True, "text": True, "check": True}
    runs = [subprocess.run(command, **told) for _ in range(times)]
    return dict(zip(names, map(min, zip(*(json.loads(done.stdout) for done in runs), strict=True)), strict=True))


def run(rounds: int, bars: int, rival: Sequence[str] = TORCH) -> tuple[list[str], list[Result]]:
    """Facts and results."""
    peaks: dict[str, list[float]] = {"melody": [], "torch": []}

    def starting(name: str, *arguments: str) -> Contestant:
        def turn() -> float:
            seconds, peak = python(*arguments, env=env)
            peaks[name].append(peak)
            return seconds

        return turn

    with tempfile.TemporaryDirectory() as folder:
        command, env = compose_command(Path(folder), bars), keeping_modules(Path(folder))
        for arguments in (command, rival):
            python(*arguments, env=env)  # compiles
        times = race({"melody": starting("melody", *command), "torch": starting("torch", *rival)}, rounds)
        imports = import_costs(command, min(rounds, 3), env)
        spent = stages(Path(folder), bars, min(rounds, 3), env)
    time = ratio("", times["melody"], times["torch"], GOAL)
    memory = max(peaks["melody"]) / max(peaks["torch"])
    results = [
        Result(f"melody compose --bars {bars} over import torch: time", time.median, time.of_minimums, GOAL, True),
        Result("the same: peak memory", memory, memory, GOAL, True),
    ]
    facts = [
        f"{name}: {sorted(times[name])[rounds // 2]:.2f} s, at best {times[name].min():.2f} s, "
        f"peak {max(peaks[name]):.0f} MB"
        for name in times
    ]
    facts.append("imports, ms: " + ", ".join(f"{package} {cost:.0f}" for package, cost in imports))
    facts.append("stages, s: " + ", ".join(f"{name} {seconds:.2f}" for name, seconds in spent.items()))
    return facts, results


def main(arguments: list[str] | None = None) -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a few rounds, for a first look")
    parser.add_argument("--json", action="store_true", help="a report for programs")
    parser.add_argument("--bars", type=int, default=32)
    options = parser.parse_args(arguments)
    one_thread()
    title = "Cold start: processor seconds over the rival's, fresh processes in turns"
    print(report(title, *run(2 if options.quick else 11, options.bars), as_json=options.json))


if __name__ == "__main__":
    main()

"""The fuzzer: whatever the bytes, a result or one line; see `targets` for each kind of file and its promises.

``python tests/fuzz/fuzz.py all --seconds 60`` shares a minute between all kinds; a name (``abc``) does one. It is
guided by coverage where atheris is installed (``pip install atheris``), and goes by mutation alone where it is not, or
with ``--blind``. The seeds go to a temporary folder, or to ``--corpus``, which then keeps what reached new code. A
failure is printed, its input kept in ``--keep``; it then belongs into a test.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

SLOW_SECONDS = 5
MEMORY_MEGABYTES = 1500  # atheris itself grows by a kilobyte an execution: run it anew every 200,000
GUIDED = [
    "melody.formats",
    "melody.corpus.archives",
    "melody.corpus.compressed",
    "melody.generation.replay",
    "melody.generation.settings",
    "melody.storage",
    "melody.engine.check",
    "melody.render.soundfont_file",
]

try:
    import atheris
except ImportError:
    atheris = None

is_guided = atheris is not None and __name__ == "__main__" and "--blind" not in sys.argv and "all" not in sys.argv
with atheris.instrument_imports(include=GUIDED) if is_guided else nullcontext():
    from fuzz.targets import TARGETS, Target


def mutate(seeds: list[bytes], generator: random.Random) -> bytes:
    """A seed with a few bytes changed, removed, repeated, or put in from another; numbers in a text become others."""
    data = bytearray(generator.choice(seeds))
    for _ in range(generator.randint(1, 5)):
        at, length = generator.randrange(len(data) + 1), generator.randint(1, 32)
        kind = generator.randrange(5)
        if kind == 0:
            data[at : at + 1] = bytes([generator.randrange(256)])
        elif kind == 1:
            del data[at : at + length]
        elif kind == 2:
            data[at:at] = data[at : at + length]
        elif kind == 3:
            other = generator.choice(seeds)
            start = generator.randrange(len(other) or 1)
            data[at:at] = other[start : start + length]
        else:
            digits = [place for place, byte in enumerate(data) if 48 <= byte <= 57]
            if digits:
                place = generator.choice(digits)
                data[place : place + 1] = generator.choice((b"0", b"-1", b"99999999999", b"1e9", b".5", b"007", b"9"))
    return bytes(data)


def run_blind(target: Target, options: argparse.Namespace) -> int:
    """Mutate without guidance, which is quicker; return 1 where an input failed, which is kept."""
    kept = (path.read_bytes() for path in sorted(Path(options.corpus).iterdir()))
    seeds = [seed for seed in (*target.seeds(), *kept) if len(seed) <= target.most_bytes]
    generator, end, count, slowest = random.Random(options.seed), time.monotonic() + options.seconds, 0, 0.0
    while time.monotonic() < end and count != options.runs:
        data = mutate(seeds, generator)[: options.bytes or target.most_bytes]
        count += 1
        began = time.process_time()
        try:
            target.run(data)
            slowest = max(slowest, time.process_time() - began)
            assert slowest < SLOW_SECONDS, f"took {slowest:.1f} s"
        except Exception as error:
            path = Path(options.keep) / f"crash-{options.target}-{count}"
            path.write_bytes(data)
            print(f"{path}: {type(error).__name__}: {error}")
            return 1
    print(f"{options.target}: {count:,} executions without guidance, the slowest {slowest:.2f} s, no failure")
    return 0


def run_guided(target: Target, options: argparse.Namespace) -> None:
    """Run libFuzzer by way of atheris; this ends the process, with 0 where nothing was found."""
    for number, seed in enumerate(target.seeds()):
        (Path(options.corpus) / f"seed-{number:03}").write_bytes(seed)
    arguments = [
        sys.argv[0], options.corpus, f"-max_total_time={options.seconds}", f"-runs={options.runs}",
        f"-seed={options.seed}", f"-max_len={options.bytes or target.most_bytes}", f"-timeout={SLOW_SECONDS}",
        f"-rss_limit_mb={MEMORY_MEGABYTES}", f"-artifact_prefix={options.keep}/{options.target}-",
        "-print_final_stats=1", "-verbosity=1",
    ]  # fmt: skip
    atheris.Setup(arguments, target.run)
    atheris.Fuzz()


def run_all(options: argparse.Namespace) -> int:
    """Give each kind its share of the time, in a process of its own; return how many failed."""
    failed = 0
    for name in TARGETS:
        share = max(1, options.seconds // len(TARGETS))
        command = [sys.executable, __file__, name, "--seconds", str(share), "--seed", str(options.seed)]
        command += ["--runs", str(options.runs), "--keep", options.keep] + ["--blind"] * options.blind
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        said = (done.stdout + done.stderr).strip().splitlines()
        lines = [line for line in said if "execut" in line or done.returncode] or said[-1:]
        print(f"{name}: {'FAILED' if done.returncode else 'no failure'}", *lines[-30:], sep="\n  ", flush=True)
        failed += done.returncode != 0
    return failed


def main(arguments: list[str] | None = None) -> int:
    """Run for a time, or a number of executions; return 0 where nothing failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=["all", *TARGETS])
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--runs", type=int, default=-1, help="stop after so many executions")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bytes", type=int, help="of the longest input; short ones run quicker")
    parser.add_argument("--keep", default=".", help="folder for inputs that fail")
    parser.add_argument("--blind", action="store_true", help="mutate without guidance")
    parser.add_argument("--corpus", help="folder that keeps what was found to reach new code, and is read again")
    options = parser.parse_args(arguments)
    if options.target == "all":
        return run_all(options)
    with tempfile.TemporaryDirectory() as temporary:
        options.corpus = options.corpus or temporary
        Path(options.corpus).mkdir(parents=True, exist_ok=True)
        if not is_guided:
            return run_blind(TARGETS[options.target], options)
        run_guided(TARGETS[options.target], options)
    return 0


if __name__ == "__main__":
    sys.exit(main())

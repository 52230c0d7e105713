"""Cost of preparing a corpus: files a second against pretty_midi, and a file among 20,000 against one among 1,000.

    python benchmarks/corpus.py [--quick] [--json]
    python benchmarks/corpus.py --reading FOLDER      files that need no repair, by both readers of MIDI in turns

The files are real tunes (a book that comes with music21), each made different by other bars and other notes, since
copies would be dropped as duplicates. Reading takes turns with pretty_midi's in one process. Whole corpora, of
the first bars of such tunes, are prepared in fresh processes by two workers; what a start costs is taken off. Memory is
the peak of the process that gathers, which must not grow with the corpus, and of the largest reader.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter, process_time

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
from race import Contestant, Result, one_thread, race, ratio, report  # noqa: E402

ROOT = Path(__file__).parents[1]
SEED = 0
BOOK = "ryansMammoth"
LEAST_NOTES = 40  # of a tune that is taken
START = 8  # files of the corpus that shows what a start costs
A_FOLDER = 1000  # files in one folder
BARS = 8  # of a tune in a large corpus
GOALS = {"strict": 3.0, "read": 50.0, "whole": 1.0, "time": 1.2, "memory": 1.5}
PREPARE = """
import atexit, json, resource, sys, time
from pathlib import Path
import melody.corpus
def told():
    mb = {who: resource.getrusage(which).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
          for who, which in (("gathering", resource.RUSAGE_SELF), ("reading", resource.RUSAGE_CHILDREN))}
    print(json.dumps({"seconds": seconds, "pieces": sum(report.pieces.values()), "mb": mb}))
from melody.corpus.workers import end_all
began = time.perf_counter()
report = melody.corpus.prepare(sys.argv[1], sys.argv[2], workers=int(sys.argv[3]), progress=False)
seconds = time.perf_counter() - began
end_all()
told()
"""


@dataclass(frozen=True)
class Sizes:
    """Amount of measuring."""

    few: int = 1000
    many: int = 20_000
    rounds: int = 7
    sample: int = 100  # files that are read in a turn
    workers: int = 2


@dataclass(frozen=True)
class Cost:
    """Cost of one corpus."""

    seconds: float
    pieces: int
    mb: dict[str, float]  # peak of the process that gathers, and of the largest reader


def make(folder: Path, count: int, bars: int | None = None) -> list[Path]:
    """Write that many different tunes, or their first bars, in folders of a thousand."""
    import numpy as np

    from melody.music.score import clip, notes_of, set_notes

    tunes = [clip(tune, 0, bars) if bars else tune for tune in _tunes()]
    paths = []
    for number in range(count):
        generator = np.random.default_rng([SEED, number])
        score = tunes[number % len(tunes)].copy()
        for track in score.tracks:
            notes = notes_of(track)
            steps = generator.integers(-2, 3, len(notes.pitch))  # other intervals: no version of the same tune
            set_notes(track, notes._replace(pitch=np.clip(notes.pitch + steps, 40, 100)))
        path = folder / f"{number // A_FOLDER:03}" / f"{number:06}.mid"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(score.dumps_midi())
        paths.append(path)
    return paths


def _tunes() -> list:
    """The tunes of the book that can be read, of some length."""
    from melody.corpus.folk import music21_corpus
    from melody.corpus.pieces import abc_text, tunes_of
    from melody.errors import MelodyError
    from melody.music.score import note_count

    found = []
    for path in sorted((music21_corpus() / BOOK).glob("*.abc"))[:20]:
        for reading in tunes_of(abc_text(path), path.name).values():
            if not isinstance(reading, MelodyError) and note_count(reading.score) >= LEAST_NOTES:
                found.append(reading.score)
    return found


def prepared(music: Path, store: Path, workers: int) -> Cost:
    """Prepare a folder in a fresh process."""
    command = [sys.executable, "-c", PREPARE, str(music), str(store), str(workers)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def readers(paths: Sequence[Path]) -> dict[str, Contestant]:
    """Readers of these files: melody to a score, melody to all that a store holds, pretty_midi to its objects."""
    import pretty_midi

    from melody.corpus.pieces import read_file, read_item
    from melody.formats.reading import read

    root = paths[0].parent

    def whole(path: Path) -> None:
        read_item(path.name, partial(read_file, root=root), 6)

    def turn(function) -> Contestant:
        def seconds() -> float:
            start = perf_counter()
            for path in paths:
                function(path)
            return (perf_counter() - start) / len(paths)

        return seconds

    return {"read": turn(read), "whole": turn(whole), "pretty_midi": turn(lambda p: pretty_midi.PrettyMIDI(str(p)))}


def strict_over_careful(folder: Path, rounds: int, count: int) -> tuple[list[str], list[Result]]:
    """Race the fast reader of MIDI and the careful one on some files of a folder that the fast one takes."""
    from melody.formats.midi import Limits, parse, reader

    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".mid", ".midi"))
    every = [path.read_bytes() for path in paths[:: max(1, len(paths) // count)]]
    fast = reader.read_strictly
    taken = [data for data in every if fast(data, "", Limits())]
    if not taken:
        raise SystemExit(f"{folder}: no MIDI file that the fast reader takes")

    def turn(read_strictly) -> Contestant:
        def seconds() -> float:
            reader.read_strictly, start = read_strictly, process_time()
            for data in taken:
                parse(data)
            return (process_time() - start) / len(taken)

        return seconds

    times = race({"fast": turn(fast), "careful": turn(lambda *_: None)}, rounds)
    facts = [
        f"{len(taken)} of {len(every)} files need no careful reader; {len(b''.join(taken)) / len(taken):.0f} bytes"
    ]
    facts += [f"{name}: {1e3 * seconds.min():.2f} ms a file at best" for name, seconds in times.items()]
    return facts, [ratio("the fast reader over the careful one", times["careful"], times["fast"], GOALS["strict"])]


def run(sizes: Sizes, folder: Path) -> tuple[list[str], list[Result]]:
    """Facts and results."""
    paths = make(folder / "whole", sizes.sample)
    for name, count in (("start", START), ("few", sizes.few), ("many", sizes.many)):
        make(folder / name, count, BARS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        times = race(readers(paths), sizes.rounds)
    start, small, large = (
        prepared(folder / name, folder / f"{name}-store", sizes.workers) for name in ("start", "few", "many")
    )
    costs = {sizes.few: small, sizes.many: large}
    a_file = {count: (cost.seconds - start.seconds) / (count - START) for count, cost in costs.items()}
    growth = a_file[sizes.many] / a_file[sizes.few]
    memory = large.mb["gathering"] / small.mb["gathering"]
    results = [
        ratio("reading over pretty_midi, one core: files a second", times["pretty_midi"], times["read"], GOALS["read"]),
        ratio("reading, tokens and fingerprints over it", times["pretty_midi"], times["whole"], GOALS["whole"]),
        Result(f"a file of {sizes.many:,} over one of {sizes.few:,}: time", growth, growth, GOALS["time"], True),
        Result("the same: peak memory", memory, memory, GOALS["memory"], True),
    ]
    facts = [f"{name}: {1 / seconds.min():.0f} files a second at best" for name, seconds in times.items()]
    for count, cost in costs.items():
        facts.append(
            f"{count:,} files, {cost.pieces:,} pieces: {cost.seconds:.1f} s, {1e3 * a_file[count]:.2f} ms a file; "
            f"gathering {cost.mb['gathering']:.0f} MB, reading {cost.mb['reading']:.0f} MB"
        )
    return facts, results


def main(arguments: list[str] | None = None) -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="200 and 2,000 files")
    parser.add_argument("--json", action="store_true", help="a report for programs")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--reading", type=Path, metavar="FOLDER", help="race both readers of MIDI on its files")
    options = parser.parse_args(arguments)
    one_thread()
    if options.reading:
        raced = strict_over_careful(options.reading, *((3, 10) if options.quick else (15, 40)))
        print(report("Reading MIDI that needs no repair", *raced, as_json=options.json))
        return
    sizes = Sizes(200, 2000, 3, 50, options.workers) if options.quick else Sizes(workers=options.workers)
    with tempfile.TemporaryDirectory() as folder:
        facts, results = run(sizes, Path(folder))
    print(report("Preparing a corpus, against pretty_midi and against itself", facts, results, as_json=options.json))


if __name__ == "__main__":
    main()

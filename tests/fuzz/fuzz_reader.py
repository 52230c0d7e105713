"""A fuzz target: whatever the bytes, the readers of MIDI and MusicXML return a score or raise a `MelodyError`.

``python tests/fuzz/fuzz_reader.py --seconds 60`` runs it guided by coverage, with atheris (``pip install atheris``);
where that is not installed, or with ``--blind``, by mutation alone. The seeds are the files of `hostile_midi` and
`hostile_text`, written to a temporary folder or to ``--corpus``. A failure is printed, its input kept in ``--keep``; it
then belongs into one of those modules.
"""

import argparse
import random
import sys
import tempfile
import time
import zlib
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

MAX_BYTES, SLOW_SECONDS = 2048, 5
MEMORY_MEGABYTES = 1500  # atheris itself grows by a kilobyte an execution: run it anew every 200,000
WHOLE_ONE_IN = 16

try:
    import atheris
except ImportError:
    atheris = None

is_guided = atheris is not None and "--blind" not in sys.argv
with (
    atheris.instrument_imports(include=["melody.formats.midi", "melody.formats.musicxml"])
    if is_guided
    else nullcontext()
):
    from melody.errors import MelodyError
    from melody.formats.midi import Limits, parse
    from melody.formats.midi.events import Repairs, scan
    from melody.formats.midi.metas import Piece, read_metas
    from melody.formats.musicxml import parse_musicxml
    from melody.formats.musicxml.document import document
    from melody.music.score import notes_of

NAME, LIMITS = "any", Limits()


def target(data: bytes) -> None:
    """Read the bytes as what they look like; raises where a promise is broken.

    One input in sixteen goes all the way to a score; the others end after the walk over the bytes, where the danger
    lies and which is ten times as quick.
    """
    is_written = data[:1] in (b"<", b"P") or data[:3] == b"\xef\xbb\xbf" or data[:2] == b"\xff\xfe"
    whole = zlib.crc32(data) % WHOLE_ONE_IN == 0
    try:
        if not whole:
            _walk(data, is_written)
            return
        reading = parse_musicxml(data, NAME) if is_written else parse(data, NAME)
    except MelodyError as error:
        _check_sentences([str(error)])
        return
    _check_sentences(reading.repairs)
    for track in reading.score.tracks:
        notes = notes_of(track)
        assert not len(notes.onset) or (notes.onset.min() >= 0 and notes.duration.min() >= 1)
        assert not any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in track.name), repr(track.name)


def _walk(data: bytes, is_written: bool) -> None:
    if is_written:
        repairs = Repairs()
        document(data, NAME, repairs)
    else:
        file = scan(data, NAME, LIMITS)
        repairs = file.repairs
        for number, track in enumerate(file.tracks, 1):
            assert len(track.ticks) == len(track.messages)
            read_metas(track, number, Piece(), repairs, LIMITS)
    _check_sentences(repairs.sentences())


def _check_sentences(sentences: Iterable[str]) -> None:
    for sentence in sentences:
        assert sentence.isprintable(), repr(sentence)


def write_seeds(folder: Path) -> None:
    """The generator's small files."""
    from support import hostile_extremes, hostile_midi, hostile_text

    makers = (hostile_midi.damaged, hostile_extremes.odd, hostile_text.damaged, hostile_text.odd)
    cases = [case for make in makers for case in make() if case.suffix != ".abc"]
    seeds = sorted({case.data for case in cases if len(case.data) <= MAX_BYTES})
    for number, seed in enumerate(seeds):
        (folder / f"{number:03}").write_bytes(seed)


def mutate(seeds: list[bytes], generator: random.Random) -> bytes:
    """A seed with a few bytes changed, removed, repeated, or put in from another."""
    data = bytearray(generator.choice(seeds))
    for _ in range(generator.randint(1, 5)):
        at, length = generator.randrange(len(data) + 1), generator.randint(1, 32)
        kind = generator.randrange(4)
        if kind == 0:
            data[at : at + 1] = bytes([generator.randrange(256)])
        elif kind == 1:
            del data[at : at + length]
        elif kind == 2:
            data[at:at] = data[at : at + length]
        else:
            other = generator.choice(seeds)
            start = generator.randrange(len(other) or 1)
            data[at:at] = other[start : start + length]
    return bytes(data)


def run_blind(folder: Path, options: argparse.Namespace) -> int:
    """Mutation without guidance, five times as quick: the same target, on all that the folder holds."""
    seeds = [path.read_bytes() for path in sorted(folder.iterdir())]
    generator, end, count = random.Random(options.seed), time.monotonic() + options.seconds, 0
    while time.monotonic() < end and count != options.runs:
        data = mutate(seeds, generator)[: options.bytes]
        count += 1
        try:
            target(data)
        except Exception as error:
            path = Path(options.keep) / f"crash-{count}"
            path.write_bytes(data)
            print(f"{path}: {type(error).__name__}: {error}")
            return 1
    print(f"{count:,} executions without guidance, no failure")
    return 0


def run_guided(folder: str, options: argparse.Namespace) -> None:
    """libFuzzer by way of atheris; ends the process, with 0 where nothing was found."""
    arguments = [
        sys.argv[0], folder, f"-max_total_time={options.seconds}", f"-runs={options.runs}", f"-seed={options.seed}",
        f"-max_len={options.bytes}", f"-timeout={SLOW_SECONDS}", f"-rss_limit_mb={MEMORY_MEGABYTES}",
        f"-artifact_prefix={options.keep}/", "-print_final_stats=1", "-verbosity=1",
    ]  # fmt: skip
    atheris.Setup(arguments, target)
    atheris.Fuzz()


def main() -> int:
    """Run for a time, or a number of executions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--runs", type=int, default=-1, help="stop after so many executions")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bytes", type=int, default=MAX_BYTES, help="of the longest input; short ones run quicker")
    parser.add_argument("--keep", default=".", help="folder for inputs that fail")
    parser.add_argument("--blind", action="store_true", help="mutate what --corpus holds, without guidance")
    parser.add_argument("--corpus", help="folder that keeps what was found to reach new code, and is read again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.corpus or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        write_seeds(folder)
        if not is_guided:
            return run_blind(folder, options)
        run_guided(str(folder), options)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Runs melody's reader, and peers, over hostile files: each in a process of its own, its time and memory taken.

``python tests/support/hostile.py`` prints the table of docs/reliability.md; ``--peers`` adds other readers, ``--list``
names every file that is not as it should be. What is right to make of each file stands in `hostile_midi`,
`hostile_extremes` and `hostile_text`.
"""

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from multiprocessing.connection import Connection
from pathlib import Path
from xml.etree import ElementTree

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from support import hostile_extremes, hostile_midi, hostile_text  # noqa: E402
from support.hostile_pieces import Case, NoteKey  # noqa: E402

MOST_SECONDS, MOST_MEGABYTES = 5.0, 500.0  # seconds of a machine that does `pace`'s work in PACE_SECONDS
PACE_SECONDS = 0.15
_PEER_MEGABYTES, _PEER_SECONDS = 3000, 30.0


@dataclass(frozen=True)
class Read:
    """What a reader made of a file: notes as (onset, duration, pitch), or why none."""

    notes: tuple[NoteKey, ...] = ()
    repairs: tuple[str, ...] = ()
    tempos: tuple[tuple[int, int], ...] | None = None
    seconds_per_tick: float | None = None
    refusal: str = ""


@dataclass(frozen=True)
class Outcome:
    """How a reader fared with a file."""

    case: Case
    verdict: str
    detail: str
    seconds: float
    megabytes: float
    pace: float = 1.0  # how many times longer than elsewhere anything took meanwhile


def judge(case: Case, read: Read) -> tuple[str, str]:
    """The verdict on a reading, and what speaks for it.

    read: not judged; stated, unsaid: recovered, and said so or not; partly: some notes lost, but said so; misleading;
    refused.
    """
    if read.refusal:
        return "refused", read.refusal
    if case.surely is None:
        return "read", "; ".join(read.repairs)
    wrong = _wrong(case, read)
    if wrong:
        return "misleading", wrong
    lost = Counter(case.surely) - Counter(read.notes)
    stated = any(case.says in repair for repair in read.repairs)
    if lost:
        return ("partly" if read.repairs else "misleading"), f"lost {sum(lost.values())} of {len(case.surely)} notes"
    return ("stated" if stated else "unsaid"), "; ".join(read.repairs)


def _wrong(case: Case, read: Read) -> str:
    """Notes that the file does not hold, or another tempo; empty where there is none."""
    extra = Counter(read.notes) - Counter(case.surely)
    allowed = Counter((onset, pitch) for onset, _, pitch in case.perhaps)
    invented = Counter((onset, pitch) for onset, _, pitch in extra.elements()) - allowed
    if invented:
        return f"{sum(invented.values())} notes that are not there, such as {next(iter(invented))}"
    if case.tempos is not None and read.tempos is not None and read.tempos != case.tempos:
        return f"tempos {read.tempos[:3]}, not {case.tempos[:3]}"
    expected, found = case.seconds_per_tick, read.seconds_per_tick
    if expected and found and abs(found / expected - 1) > 1e-4:
        return f"{found} seconds a tick, not {expected}"
    return ""


# ---- readers ---------------------------------------------------------------------------------------------------------


def melody_reads(case: Case) -> Read:
    """melody, as every command reads a file."""
    from melody.errors import MelodyError
    from melody.formats.reading import read_file
    from melody.music.score import notes_of

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"case{case.suffix}")
        path.write_bytes(case.data)
        try:
            reading = read_file(path)
        except MelodyError as error:
            return Read(refusal=str(error))
    score = reading.score
    columns = [notes_of(track)[:3] for track in score.tracks]
    notes = [key for track in columns for key in zip(*(column.tolist() for column in track), strict=True)]
    tempos = tuple((tempo.time, tempo.mspq) for tempo in score.tempos)
    per_tick = tempos[0][1] / 1e6 / score.tpq if tempos else None
    return Read(tuple(notes), reading.repairs, tempos, per_tick)


def symusic_reads(case: Case) -> Read:
    """symusic."""
    from symusic.core import ScoreTick

    score = ScoreTick.from_midi(case.data, False)
    notes = tuple((n.time, n.duration, n.pitch) for track in score.tracks for n in track.notes)
    return Read(notes, (), tuple((tempo.time, tempo.mspq) for tempo in score.tempos))


def pretty_midi_reads(case: Case) -> Read:
    """pretty_midi."""
    import io
    import warnings

    import pretty_midi

    warnings.simplefilter("ignore")
    piece = pretty_midi.PrettyMIDI(io.BytesIO(case.data))
    tick = piece.time_to_tick
    ends = [(tick(n.start), tick(n.end), n.pitch) for instrument in piece.instruments for n in instrument.notes]
    return Read(tuple((start, end - start, pitch) for start, end, pitch in ends))


def mido_reads(case: Case) -> Read:
    """mido, with a queue of our own that pairs note-ons and note-offs."""
    import io

    import mido

    notes = []
    for track in mido.MidiFile(file=io.BytesIO(case.data)).tracks:
        now, open_ = 0, {}
        for message in track:
            now += message.time
            if message.type == "note_on" and message.velocity:
                open_.setdefault((message.channel, message.note), []).append(now)
            elif message.type in ("note_on", "note_off") and open_.get((message.channel, message.note)):
                begin = open_[message.channel, message.note].pop(0)
                notes.append((begin, max(1, now - begin), message.note))
    return Read(tuple(notes))


PEERS = {"symusic": symusic_reads, "pretty_midi": pretty_midi_reads, "mido": mido_reads}


# ---- running ---------------------------------------------------------------------------------------------------------


def pace() -> float:
    """How many times longer than a good machine this one takes for anything, as busy as it is now."""
    start = time.process_time()
    root = ElementTree.fromstring("<a>" + "<b><c>1</c></b>" * 30_000 + "</a>")
    assert sum(Fraction(child.findtext("c", "0")) for child in root) == 30_000
    return (time.process_time() - start) / PACE_SECONDS


def _child(reader: Callable[[Case], Read], case: Case, limit: int, pipe: Connection) -> None:
    if limit:
        resource.setrlimit(resource.RLIMIT_AS, (limit << 20, limit << 20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # of the process that we were forked from
    paces = [pace()]
    begun = time.process_time()
    try:
        verdict = judge(case, reader(case))
    except Exception as error:
        verdict = ("raised", f"{type(error).__name__}: {error}"[:200])
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    seconds = sum(usage.ru_utime + usage.ru_stime for usage in used) - begun  # of work: other processes do not count
    megabytes = max(0, *(usage.ru_maxrss - before for usage in used)) / 1024
    paces.append(pace())
    pipe.send((*verdict, seconds, megabytes, max(paces)))


def run_case(reader: Callable[[Case], Read], case: Case, memory_limit: int = 0, patience: float = 60.0) -> Outcome:
    """A reader on a file, in a process of its own."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(reader, case, memory_limit, theirs))
    process.start()
    theirs.close()
    try:
        result = ours.recv() if ours.poll(patience) else ("hung", "", patience, 0.0)
    except EOFError:
        result = ("crashed", f"exit code {process.exitcode}", 0.0, 0.0)
    process.kill()
    process.join()
    return Outcome(case, *result)


SETS: dict[str, Callable[[], Sequence[Case]]] = {
    "damaged MIDI": hostile_midi.damaged,
    "odd but sound MIDI": hostile_extremes.odd,
    "MIDI to be refused": hostile_extremes.refused,
    "MIDI at the limits": hostile_extremes.heavy,
    "damaged MusicXML and ABC": hostile_text.damaged,
    "odd but sound MusicXML and ABC": hostile_text.odd,
    "MusicXML and ABC to be refused": hostile_text.refused,
    "MusicXML and ABC at the limits": hostile_text.heavy,
}
_VERDICTS = ("read", "stated", "unsaid", "partly", "misleading", "refused", "raised", "crashed", "hung")


def row(name: str, outcomes: Sequence[Outcome]) -> str:
    """A line of the table."""
    counts = Counter(outcome.verdict for outcome in outcomes)
    numbers = " | ".join(str(counts[verdict]) for verdict in _VERDICTS)
    slowest = max((o.seconds for o in outcomes), default=0.0)
    largest = max((o.megabytes for o in outcomes), default=0.0)
    return f"| {name} | {len(outcomes)} | {numbers} | {slowest:.2f} | {largest:.0f} |"


def main() -> int:
    """Print the table; exit 1 where a file misleads, crashes, hangs, or costs too much."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", action="store_true", help="also other readers, on the damaged MIDI files")
    parser.add_argument("--list", action="store_true", help="name the files that are not as they should be")
    options = parser.parse_args()
    import melody.formats.abc
    import melody.formats.reading  # noqa: F401  # so that its import is not counted

    print("| files | count | " + " | ".join(_VERDICTS) + " | slowest, s | memory, MB |")
    print("|---" * (len(_VERDICTS) + 4) + "|")
    bad = 0
    for name, make in SETS.items():
        outcomes = [run_case(melody_reads, case) for case in make()]
        print(row(name, outcomes), flush=True)
        for outcome in outcomes:
            bad += is_bad(outcome)
            if options.list and (is_bad(outcome) or not is_expected(name, outcome)):
                print(f"    {outcome.case.name}: {outcome.verdict}, {outcome.seconds:.1f} s, "
                      f"{outcome.megabytes:.0f} MB: {outcome.detail[:150]}")  # fmt: skip
    for peer, reader in PEERS.items() if options.peers else ():
        cases = hostile_midi.damaged()
        print(row(f"{peer} on damaged MIDI", [run_case(reader, c, _PEER_MEGABYTES, _PEER_SECONDS) for c in cases]))
    return int(bad > 0)


def is_bad(outcome: Outcome) -> bool:
    """Whether a reader misled, failed or cost too much, whatever the machine."""
    failed = outcome.verdict in ("misleading", "raised", "crashed", "hung")
    return failed or outcome.seconds > MOST_SECONDS * max(1.0, outcome.pace) or outcome.megabytes > MOST_MEGABYTES


def is_expected(name: str, outcome: Outcome) -> bool:
    """Whether a reader did what the set of that name asks for."""
    if "refused" in name:
        return outcome.verdict == "refused" and outcome.case.says in outcome.detail
    if "odd" in name:
        return outcome.verdict == "unsaid" and not outcome.detail
    if "limits" in name:
        return outcome.verdict in ("read", "refused")
    return outcome.verdict in ("stated", "read")


if __name__ == "__main__":
    sys.exit(main())

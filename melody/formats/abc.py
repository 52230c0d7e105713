"""Tunes in ABC notation to scores, by the abc2midi that comes with symusic, run as a child process with a time limit.

A file may hold many tunes, each from its `X:` field on. Notes stand as written: without grace notes, rolls, trills
and mordents, without accents by beat, without the accompaniment that chord symbols ask for, repeats played out. A short
first bar becomes a bar of its own meter, as everywhere in melody.
Source: the ABC notation standard 2.1 (abcnotation.com).
"""

import os
import re
import subprocess
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import symusic  # noqa: F401  # sets SYMUSIC_ABC2MIDI
from symusic import TimeSignature
from symusic.core import ScoreTick as Score

from melody.errors import LimitExceeded, MelodyError, UnreadableFile
from melody.formats.midi.reader import Reading, parse
from melody.formats.midi.texts import decode
from melody.formats.midi.track import Limits, Repairs
from melody.music.score import bar_length, end_tick, notes_of, set_notes
from melody.storage.files import read_bytes

MAX_FILE_BYTES = 32 << 20
MAX_TUNE_CHARACTERS = 100_000
TIME_LIMIT_SECONDS = 4.0  # a tune takes milliseconds
_MOST_SAID_BYTES, _MOST_MESSAGES = 1 << 16, 12
_DIRECTIVES = ["%%MIDI nobeataccents", "%%MIDI chordattack 0"]
# Other directives change the performance, and abc-include reads any file of the system.
_HARMLESS = re.compile(r"%%MIDI\s+(program|channel)\b")
_OPTIONS = ["-NGRA", "-NGUI", "-NCOM", "-silent"]  # no grace notes, chord symbols, comments
_FIELD = re.compile(r"^([A-Za-z]):\s*([^%\n]*)", re.MULTILINE)
_ORNAMENT = re.compile(r"[~TMP](?=[\^_=]*[A-Ga-g\[(])|!(?:trill|roll|mordent|\w+mordent|turn|pralltriller)!|\"[^\"]*\"")


def read_abc(source: str | os.PathLike[str]) -> list[Score]:
    """The tunes of an ABC file, or of ABC text (a string with an `X:` line), each named on its first track.

    Raises `UnreadableFile` where there is no tune or one that cannot be read, `LimitExceeded` for giant ones.
    """
    if isinstance(source, str) and re.search(r"^X:", source, re.MULTILINE):
        return [reading.score for reading in parse_abc(source)]
    return [reading.score for reading in read_tunes(source)]


def read_tunes(path: str | os.PathLike[str]) -> list[Reading]:
    """All tunes of a file with titles and repairs; raises as `read_abc`."""
    return parse_abc(_text(read_bytes(path, MAX_FILE_BYTES)), os.fspath(path))


def first_tune(data: bytes, name: str) -> Reading:
    """The first tune of a file's bytes, with a remark where there are others; raises as `read_abc`."""
    if len(data) > MAX_FILE_BYTES:
        raise LimitExceeded(f"{name}: {len(data):,} bytes; melody reads ABC files up to {MAX_FILE_BYTES:,} bytes")
    tunes = _tunes(_text(data), name)
    first = _read_tune(tunes[0], _tune_name(tunes[0], 1, name))
    if len(tunes) == 1:
        return first
    remark = f"the file holds {len(tunes):,} tunes; read the first, {first.title!r}"
    return Reading(first.score, first.repairs, (*first.remarks, remark), first.title)


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def parse_abc(text: str, name: str = "<text>") -> list[Reading]:
    """All tunes of a text with titles and repairs; `name` stands in messages."""
    return [_read_tune(tune, _tune_name(tune, number, name)) for number, tune in enumerate(_tunes(text, name), 1)]


def _tunes(text: str, name: str) -> list[str]:
    tunes = split_tunes(text)
    if not tunes:
        raise UnreadableFile(f"{name}: no ABC tune, as no line starts with X:; give each tune a line such as X:1")
    return tunes


def _tune_name(tune: str, number: int, name: str) -> str:
    label = _field(tune, "X")
    return f"{name}: tune {label if label.isalnum() else number}"


def split_tunes(text: str) -> list[str]:
    """The tunes of a text, each from its `X:` line to the next."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return [tune.rstrip() + "\n" for tune in re.split(r"^(?=X:)", text, flags=re.MULTILINE)[1:]]


def _field(tune: str, letter: str) -> str:
    """The first field of a letter, without its comment; empty where there is none."""
    return next((value.strip() for name, value in _FIELD.findall(tune) if name == letter), "")


def _read_tune(tune: str, name: str) -> Reading:
    if len(tune) > MAX_TUNE_CHARACTERS:
        raise LimitExceeded(f"{name}: {len(tune):,} characters; melody reads tunes up to {MAX_TUNE_CHARACTERS:,}")
    repairs = Repairs()
    tune = decode(tune.encode("utf-8", "replace"), len(tune), repairs, "tune")
    data, messages = _convert(_as_written(tune, repairs), name)
    reading = parse(data, name)
    score = reading.score
    title = _field(tune, "T")
    if not len(score.tracks):
        raise UnreadableFile(f"{name}: a tune without notes; check that its music follows a K: line")
    for track in score.tracks:
        # abc2midi begins each note a tick late, to keep repeated ones apart
        notes = notes_of(track)
        late = (notes.onset > 0).astype(np.int64)
        set_notes(track, notes._replace(onset=notes.onset - late, duration=notes.duration + late))
    for change in (*score.time_signatures, *score.key_signatures, *score.tempos):
        change.time -= change.time == 1  # the first ones too, where there are several voices
    score.markers = []
    score.tracks[0].name = score.tracks[0].name or title
    _set_pickup(score, tune)
    return Reading(score, (*repairs.sentences(), *reading.repairs, *messages), (), title)


def _as_written(tune: str, repairs: Repairs) -> str:
    """The tune with ornaments and chord symbols removed, and nothing that reaches outside it."""
    lines = []
    for line in tune.splitlines():
        if line.startswith("%%") and not _HARMLESS.match(line):
            if "include" in line:
                repairs.add("a line that asks for another file; left out", line[:60])
            continue
        is_music = not re.match(r"\s*[A-Za-z+]:|%", line)
        lines.append(_ORNAMENT.sub("", line) if is_music else line)
        if line.startswith(("K:", "V:")) and any(earlier.startswith("K:") for earlier in lines):
            lines += _DIRECTIVES  # they hold for a voice
    return "\n".join(lines) + "\n"


def _convert(tune: str, name: str) -> tuple[bytes, list[str]]:
    """The tune as a MIDI file, and what abc2midi had to say."""
    program = os.environ.get("SYMUSIC_ABC2MIDI", "")
    if not os.path.isfile(program):
        raise MelodyError(f"{name}: reading ABC needs the abc2midi of symusic 0.6; install symusic again")
    with tempfile.TemporaryDirectory(prefix="melody-abc-") as folder:
        source, target, said = (Path(folder, file) for file in ("tune.abc", "tune.mid", "said.txt"))
        source.write_text(tune, encoding="utf-8")
        command = [program, str(source), "-o", str(target), *_OPTIONS]
        try:
            with said.open("wb") as output:
                done = subprocess.run(
                    command, stdout=output, stderr=output, timeout=TIME_LIMIT_SECONDS, cwd=folder, check=False
                )
        except subprocess.TimeoutExpired:
            raise UnreadableFile(f"{name}: abc2midi took over {TIME_LIMIT_SECONDS:.0f} s; simplify the tune") from None
        with said.open("rb") as output:
            messages = _messages(output.read(_MOST_SAID_BYTES))
        if done.returncode or not target.is_file():
            reason = next((m for m in messages if m.startswith("Error")), f"abc2midi failed ({done.returncode})")
            raise UnreadableFile(f"{name}: {reason}")
        return read_bytes(target, Limits().file_bytes), messages


def _messages(said: bytes) -> list[str]:
    """The warnings and errors, the first few of them."""
    lines = [line.strip() for line in said.decode("utf-8", "replace").splitlines()]
    found = [line for line in lines if line.startswith(("Warning", "Error"))]
    more = [f"{len(found) - _MOST_MESSAGES:,} more warnings"] if len(found) > _MOST_MESSAGES else []
    return found[:_MOST_MESSAGES] + more


# ---- pickups ---------------------------------------------------------------------------------------------------------

_IGNORED = re.compile(r'"[^"]*"|![^!]*!|\{[^{}]*\}|\[[A-Za-z]:[^\[\]]*\]|%.*')
_CHORD = re.compile(r"\[([^\[\]|]*)\]")
_ITEM = re.compile(r"\((\d)(?::(\d?))?(?::(\d?))?|[\^_=]*[A-Ga-gzx][,']*(\d*)(/*)(\d*)")
_TUPLET_TIME = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}  # p notes in the time of q; otherwise 2, or 3 in compound meters


def _set_pickup(score: Score, tune: str) -> None:
    """Give a first bar that is shorter than the meter a meter of its own."""
    first = next(iter(score.time_signatures), None)
    if first is None or first.time:
        return
    bar = bar_length(first.numerator, first.denominator, score.tpq)
    length = first_bar_quarters(tune, first.numerator, first.denominator) * score.tpq
    unit = next((unit for unit in (4, 8, 16, 32) if (length * unit / (4 * score.tpq)).denominator == 1), None)
    if not 0 < length < min(bar, end_tick(score)) or unit is None:
        return
    later = [change for change in score.time_signatures if change.time > length]
    score.time_signatures = [
        TimeSignature(0, int(length * unit / (4 * score.tpq)), unit),
        TimeSignature(int(length), first.numerator, first.denominator),
        *later,
    ]


def first_bar_quarters(tune: str, numerator: int, denominator: int) -> Fraction:
    """The length in quarters of what stands before the first bar line (0 where the tune begins with it)."""
    body = re.split(r"^K:.*$", tune, maxsplit=1, flags=re.MULTILINE)[-1]
    lines = [line for line in body.splitlines() if not re.match(r"\s*[A-Za-z+]:|%", line)]
    music = _IGNORED.sub("", "\n".join(lines))
    music = _CHORD.sub(lambda chord: re.split(r"(?<=[\d/,'A-Ga-g])(?=[\^_=A-Ga-g])", chord[1])[0], music)
    bar = next((bar for bar in re.split(r"[|:\]\[]+\d?", music) if _ITEM.search(bar)), "")
    unit = _unit_length(tune, Fraction(numerator, denominator))
    compound = numerator % 3 == 0 and denominator == 8
    total, left, factor = Fraction(0), 0, Fraction(1)
    for p, q, r, count, halves, divisor in _ITEM.findall(bar):
        if p:
            factor = Fraction(int(q) if q else _TUPLET_TIME.get(int(p), 3 if compound else 2), int(p))
            left = int(r) if r else int(p)
            continue
        under = int(divisor) if divisor else 2 ** len(halves)
        total += Fraction(int(count or 1), max(1, under)) * (factor if left > 0 else 1)
        left -= 1
    return total * unit * 4


def _unit_length(tune: str, meter: Fraction) -> Fraction:
    """The `L:` of a tune, a fraction of a whole note; by the standard an eighth, in short meters a sixteenth."""
    match = re.match(r"(\d+)/(\d+)", _field(tune, "L"))
    if match and int(match[2]):
        return Fraction(int(match[1]), int(match[2]))
    return Fraction(1, 8) if meter >= Fraction(3, 4) else Fraction(1, 16)

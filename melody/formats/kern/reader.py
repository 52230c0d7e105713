"""Music in **kern to a score at 480 ticks a quarter: bounded, every note kept where spines split, every repair stated.

A track for each part, from the top of the page down: spines with one `*part` number are one, as are those of a keyboard
side by side. Pitches are those that sound. Tied notes are one note, across splits and staves of a part too; grace notes
are left out; signs of `**dynam` become velocities, lines of `**text` lyrics. Repeats and expansion lists are not played
out. Bars come from the bar lines, as from the measures of MusicXML. Source: David Huron, the Humdrum user guide;
humdrum.org.
"""

import re
from collections.abc import Sequence
from math import lcm

from melody.errors import LimitExceeded, UnreadableFile
from melody.formats.kern.assembly import reading_of
from melody.formats.kern.content import KernPiece, KernReading, Loudness, Sound
from melody.formats.kern.count import count_notes, rows_of
from melody.formats.kern.spines import PATHS, Column, Columns, Spine
from melody.formats.kern.tokens import Mark, is_minor, level_of, mark_of, meter_of, signature_of, tempo_of
from melody.formats.midi.events import Repairs
from melody.music.score import TICKS_PER_QUARTER

MAX_FILE_BYTES = 8 << 20
MAX_NOTES = 100_000
MAX_QUARTERS = 40_000
_KINDS = {
    "dynam": "crescendos and diminuendos",
    "fing": "fingerings",
    "fb": "figured basses",
    "harm": "harmonies",
    "mxhm": "chord symbols",
}
_UNITS_BITS = 2_048  # of the common measure of all durations


def looks_like_kern(data: bytes) -> bool:
    """Return if bytes begin as a Humdrum file does, with ** behind comments, and have a spine of **kern."""
    lines = data[: 1 << 16].removeprefix(b"\xef\xbb\xbf").splitlines()
    first = next((line for line in lines if line.strip() and not line.startswith(b"!")), b"")
    return first.startswith(b"**") and b"**kern" in data


def text_of(data: bytes) -> str:
    """Return the text of a file: UTF-8, or else Latin-1."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def parse_kern(data: bytes, name: str = "<bytes>", *, staves: bool = False) -> KernReading:
    """Read the bytes of a Humdrum file with **kern; `name` stands in messages; `staves` are tracks, and not parts.

    Raises `UnreadableFile` where there is no note or the columns cannot be followed, `LimitExceeded` past the limits.
    """
    if len(data) > MAX_FILE_BYTES:
        raise LimitExceeded(f"{name}: {len(data):,} bytes; melody reads kern up to {MAX_FILE_BYTES:,} bytes")
    text = text_of(data)
    if "**kern" not in text:
        raise UnreadableFile(f"{name}: has no spine of **kern; melody reads no other music in Humdrum")
    piece = KernPiece(name, Repairs(), Repairs(), _units(text, name), Columns(name))
    rows = rows_of(text.rstrip("\r\n"))
    for piece.line, row in enumerate(rows, 1):
        try:
            if not _read_row(row, piece):
                break
        except UnreadableFile:
            if piece.line < len(rows) or not piece.notes:
                raise
            piece.repairs.add("a file that is cut off; kept what came before", piece.place)
    _end_measure(piece)
    if not piece.notes:
        raise UnreadableFile(f"{name}: no notes in it; open it in a notation editor such as the Verovio Humdrum Viewer")
    return reading_of(piece, count_notes(text), staves)


def _units(text: str, name: str) -> int:
    """Return how many units make every duration of a text a whole number of them."""
    units = TICKS_PER_QUARTER
    for duration in {match[0] for match in re.finditer(r"\d{1,4}(?:%\d{1,4})?\.{0,4}", text)}:
        length = mark_of(duration).length
        units = lcm(units, length.denominator) if length else units
        if units.bit_length() > _UNITS_BITS:
            raise LimitExceeded(f"{name}: its durations have no common measure; check numbers before notes")
    return units


# ---- rows ------------------------------------------------------------------------------------------------------------


def _read_row(row: str, piece: KernPiece) -> bool:
    """Read a line; False where all columns have ended."""
    if not row.strip():
        return True
    if row.startswith("!"):
        if row.startswith("!!!OTL") and not piece.title:
            piece.title = piece.text(row.partition(":")[2])
        return True
    tokens = row.split("\t")
    if row.startswith("**") and not piece.columns.columns:
        piece.columns.begin(tokens)
        return True
    piece.columns.check(tokens, piece.line)
    if row.startswith("*"):
        return _read_interpretations(tokens, piece)
    if row.startswith("="):
        _read_bar_line(tokens, piece)
    else:
        _read_data(tokens, piece)
    return True


def _read_interpretations(tokens: list[str], piece: KernPiece) -> bool:
    if not PATHS.isdisjoint(tokens) or any(token.startswith("**") for token in tokens):
        piece.columns.follow(tokens, piece.line, piece.time)
        return bool(piece.columns.columns)
    piece.time = _now(piece)
    for token, column in zip(tokens, piece.columns.columns, strict=True):
        if token != "*" and column.spine.kind == "kern":
            _interpret(token, column.spine, piece)
    return True


def _interpret(token: str, spine: Spine, piece: KernPiece) -> None:
    """Take a meter, key, tempo, instrument, part or section of one column."""
    if (meter := meter_of(token)) is not None:
        if meter != piece.meter and piece.time > piece.bar:
            _end_measure(piece)
        piece.meter = meter
    elif (sharps := signature_of(token)) is not None:
        known = piece.keys.get(piece.time)
        piece.keys[piece.time] = (sharps, known[1] if known else None)  # the highest part counts
    elif (minor := is_minor(token)) is not None:
        tick = max((time for time in piece.keys if time <= piece.time), default=None)
        if tick is not None and piece.keys[tick][1] is None:
            piece.keys[tick] = (piece.keys[tick][0], minor)
    elif (qpm := tempo_of(token)) is not None:
        piece.tempos[piece.time] = qpm
    elif token.startswith("*part"):
        spine.part = spine.part or token[5:]
    elif token.startswith('*I"'):
        spine.name = spine.name or piece.text(token[3:])
    elif re.match(r"\*I[a-z]", token):
        spine.code = spine.code or token[2:]
    elif token.startswith("*>") and "[" in token:
        piece.remarks.add("an order of sections, which is not played out", piece.place)
    elif token.startswith("*M") and token[2:3].isdigit():
        piece.repairs.add("a meter that no file can hold; kept the one before", piece.place)


def _read_bar_line(tokens: list[str], piece: KernPiece) -> None:
    if any(":" in token for token in tokens[:1]):
        piece.remarks.add("repeats, which are not played out", piece.place)
    piece.time = _now(piece)
    late = [column for column in piece.columns.columns if column.spine.kind == "kern" and column.end != piece.time]
    if late:
        piece.repairs.add("columns that do not come to a bar line together; went on at the latest", piece.place)
    for column in piece.columns.columns:
        column.end = piece.time
    _end_measure(piece)


def _end_measure(piece: KernPiece) -> None:
    piece.time = _now(piece)
    if piece.time > piece.bar:
        piece.measures.append((piece.time - piece.bar, piece.meter))
    piece.bar = piece.time


def _now(piece: KernPiece) -> int:
    """Return when the last token of all columns ends."""
    ends = (column.end for column in piece.columns.columns if column.spine.kind == "kern")
    return max(ends, default=piece.time) if piece.columns.columns else piece.time


def _read_data(tokens: list[str], piece: KernPiece) -> None:
    pairs = [*zip(tokens, piece.columns.columns, strict=True)]
    words: list[tuple[Column, list[Mark]]] = []
    for token, column in pairs:
        if token != "." and column.spine.kind == "kern":
            words.append((column, [mark_of(word) for word in token.split()[:64]]))
    timed = [(column, marks) for column, marks in words if any(m.length is not None and not m.is_grace for m in marks)]
    if timed:
        piece.time = _start(timed, piece)
    for column, marks in words:
        _sound(column, marks, piece)
    for token, column in pairs:
        if column.spine.kind == "text" and token not in (".", ""):
            piece.lyrics.append((_left_of(column, piece), piece.time, piece.text(token)))
        elif column.spine.kind == "dynam" and (level := level_of(token)):
            piece.loudness.setdefault(_left_of(column, piece), []).append(Loudness(piece.time, level))
        elif column.spine.kind != "kern" and token not in (".", ""):
            piece.left_out[_KINDS.get(column.spine.kind, "tokens of spines that are not music")] += 1


def _start(timed: Sequence[tuple[Column, list[Mark]]], piece: KernPiece) -> int:
    """Return when a line begins: where the tokens before end, the latest where these differ."""
    ends = {column.end for column, _ in timed}
    if len(ends) > 1:
        piece.repairs.add("notes of one line that would not begin together; put them at the latest", piece.place)
    time = max(ends)
    if time > MAX_QUARTERS * piece.units:
        raise LimitExceeded(f"{piece.name}: lasts over {MAX_QUARTERS:,} quarters, all that melody reads")
    return time


def _sound(column: Column, marks: Sequence[Mark], piece: KernPiece) -> None:
    """Take the note, chord or rest of a column at the present time."""
    held = next((mark.length for mark in marks if mark.length is not None and not mark.is_grace), None)
    longest = 0
    for mark in marks:
        piece.left_out["slurs"] += mark.slurs
        piece.left_out["marks over notes"] += mark.signs
        if mark.is_grace:
            piece.left_out["grace notes"] += mark.pitch is not None
            continue
        length = mark.length if mark.length is not None else held
        if length is None:
            if mark.pitch is not None:
                piece.repairs.add("a note without a duration; left out", piece.place)
            continue
        units = length.numerator * (piece.units // length.denominator)
        longest = max(longest, units)
        if mark.pitch is None:
            continue
        if not 0 <= mark.pitch <= 127:
            piece.repairs.add("notes outside the range of MIDI, 0 to 127; left out", piece.place)
            continue
        piece.notes += 1
        if piece.notes > MAX_NOTES:
            raise LimitExceeded(f"{piece.name}: over {MAX_NOTES:,} notes, all that melody reads; cut it")
        sound = Sound(piece.time, piece.time + units, mark.pitch, mark.goes_on, mark.continues, column.spine.number)
        piece.sounds.setdefault(column.spine, []).append(sound)
    if longest:
        column.end = piece.time + longest


def _left_of(column: Column, piece: KernPiece) -> Spine:
    """Return the **kern spine to the left of a column, whose words it holds."""
    columns = piece.columns.columns
    before = columns[: columns.index(column)]
    return next((other.spine for other in reversed(before) if other.spine.kind == "kern"), column.spine)

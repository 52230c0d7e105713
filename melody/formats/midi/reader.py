"""MIDI bytes to a score, whatever the state of the file: a right result with every repair stated, or one clear line.

Each (MIDI track, channel, program) with notes becomes a track, in this order, so nothing that sounds different is
merged. Notes of one pitch and channel end first in, first out. Sustain pedals stay what they are in the file,
controller 64. Of several tempos, meters or keys at one tick the last of a MIDI track counts, and the first MIDI track.
The names of tracks that `writer` had to change come back as they were.
"""

import os
from dataclasses import dataclass

from symusic.core import ScoreTick as Score

from melody.errors import LimitExceeded, UnreadableFile
from melody.formats.midi.beside import NOTHING, Beside, beside
from melody.formats.midi.events import Limits, MidiFile, scan
from melody.formats.midi.metas import PieceLabels, Text, read_metas, texts_of
from melody.formats.midi.parts import ORPHANS, Part, note_brief, read_columns, tracks_of
from melody.formats.midi.strict import read_strictly
from melody.formats.midi.texts import encoding_of
from melody.music.score import TICKS_PER_QUARTER, common_resolution, rescale
from melody.storage.files import read_bytes


@dataclass(frozen=True)
class Reading:
    """Result of reading a file: its music, and what had to be mended.

    `repairs` are defects that were mended; `remarks` tell what is sound but has no place in a score or reads otherwise
    than a musician may expect; `title`, `texts` and the `channels` of its tracks (from 0; MIDI alone has them) are what
    a score has no field for, and so are the events `beside` it.
    """

    score: Score
    repairs: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    title: str = ""
    texts: tuple[Text, ...] = ()
    channels: tuple[int, ...] = ()
    beside: Beside = NOTHING


def read_midi(path: str | os.PathLike[str], limits: Limits = Limits()) -> Reading:
    """Read a MIDI file. Raises `UnreadableFile` or `LimitExceeded`, each with the file, the reason and a remedy."""
    return parse(read_bytes(path, limits.file_bytes), os.fspath(path), limits)


def parse(data: bytes, name: str = "<bytes>", limits: Limits = Limits()) -> Reading:
    """Read the bytes of a MIDI file; `name` stands in messages.

    Raises `UnreadableFile` where there is no MIDI file or a damaged one without a note, `LimitExceeded` past `limits`.
    """
    strict = read_strictly(data, name, limits)
    file = strict.file if strict else scan(data, name, limits)
    is_damaged = bool(file.repairs)
    tpq, tempo = _resolution(file)
    _check_span(file, tpq)
    piece = PieceLabels(encoding=encoding_of(text for track in file.tracks for text in texts_of(track)))
    parts = []
    for number, track in enumerate(file.tracks, 1):
        labels = read_metas(track, number, piece, file.repairs, limits)
        if strict:
            columns = strict.columns[number - 1]
            note_brief(strict.brief[number - 1], number, file.repairs)
        else:
            columns = read_columns(track, number, file.repairs, piece.left_out)
        parts.append(Part(labels, *columns))
    if strict and strict.orphans:
        piece.left_out[ORPHANS] += strict.orphans
    score = Score(tpq)
    tracks, origins = tracks_of(parts, file)
    for symusic_track in tracks:
        score.tracks.append(symusic_track)
    if is_damaged and not len(score.tracks):
        raise UnreadableFile(f"{name}: damaged, and no note can be recovered: {file.repairs.sentences()[0]}")
    piece.fill(score, tempo)
    title = "" if len(parts[0].notes.onset) else parts[0].labels.name
    others = beside(parts, origins, piece.spelt, tpq, file)
    remarks = (*piece.remarks(), *others.remarks())
    channels = tuple(channel for _, channel in origins)
    return Reading(score, file.repairs.sentences(), remarks, title, tuple(sorted(piece.texts)), channels, others)


# ---- time ------------------------------------------------------------------------------------------------------------


def _resolution(file: MidiFile) -> tuple[int, int | None]:
    """Ticks a quarter, and the one tempo (microseconds a quarter) where the file counts ticks in time code."""
    if file.kind >= 2:
        file.repairs.add(f"type {file.kind}; read all tracks as sounding together", "header")
    elif file.kind == 0 and len(file.tracks) > 1:
        file.repairs.add("type 0 with more than one track; read as type 1", "header")
    if not file.division & 0x8000:
        if file.division:
            return file.division, None
        file.repairs.add("division 0; took 480 ticks a quarter", "header")
        return 480, None
    frames, per_frame = 256 - (file.division >> 8), file.division & 0xFF
    rate = max(1, frames * per_frame)  # ticks a second, of 29 nominally 30 frames at 30,000/1,001
    second = 1_000_000
    if frames == 29:
        rate, second = max(1, 30 * per_frame), 1_001_000
    # a quarter is half a second where that is a whole number of ticks
    tpq, tempo = (rate // 2, second // 2) if rate % 2 == 0 else (rate, second)
    file.repairs.add(
        f"time code division ({frames} frames a second of {per_frame} ticks); "
        f"took {tpq} ticks a quarter at {60e6 / tempo:.2f} qpm, which keeps every time",
        "header",
    )
    return tpq, tempo


def _check_span(file: MidiFile, tpq: int) -> None:
    """Refuse ticks that no longer fit once the score is written at a resolution that 480 divides."""
    number, end = max(enumerate((track.end for track in file.tracks), 1), key=lambda pair: pair[1])
    finest = max(common_resolution(tpq), TICKS_PER_QUARTER)
    if rescale(end, tpq, finest) > file.limits.ticks:
        raise LimitExceeded(
            f"{file.name}: track {number} reaches tick {end:,} at {tpq} ticks a quarter; "
            f"melody reads up to {file.limits.ticks * tpq // finest:,}; remove the event that lies far away"
        )

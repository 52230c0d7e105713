"""Assembly of a piece in **kern as a score: spines to parts, tied sounds to notes, measures to bars."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np
from symusic import KeySignature, Tempo, TextMeta, TimeSignature, Track

from melody.formats.kern.content import KernPiece, KernReading, Loudness, Sound
from melody.formats.kern.instruments import is_keyboard, program_of
from melody.formats.kern.spines import Spine
from melody.formats.musicxml.measures import DEFAULT_VELOCITY, Measure, time_signatures
from melody.music.key import estimate_key
from melody.music.score import TICKS_PER_QUARTER, Notes, Score, set_notes

ACCENT = 16  # by how much an accented note is louder


def reading_of(piece: KernPiece, counted: int, staves: bool) -> KernReading:
    """Make a score of what was read, with a track for each part or, with `staves`, each spine of one."""
    score = Score(TICKS_PER_QUARTER)
    read = 0
    for number, group in enumerate(_parts(piece), 1):
        sounds, orphans = _untied([sound for spine in group for sound in piece.sounds.get(spine, [])])
        if orphans:
            piece.repairs.add("ends of ties without a beginning; read as notes", f"part {number}: {orphans:,}")
        read += len(sounds) - orphans
        tracks = [[spine] for spine in group] if staves else [group]
        for spines in tracks:
            numbers = {spine.number for spine in spines}
            own = [sound for sound in sounds if sound.spine in numbers]
            if own:
                score.tracks.append(_track(spines, own, _loudness(group, piece), piece, number))
    measures = [Measure(Fraction(length, piece.units), meter or (4, 4)) for length, meter in piece.measures]
    score.time_signatures = time_signatures(measures) or [TimeSignature(0, 4, 4)]
    score.tempos = [Tempo(piece.tick(time), qpm=qpm) for time, qpm in sorted(piece.tempos.items())]
    _set_keys(score, piece)
    if read != counted:
        piece.repairs.add("notes counted in the file and notes read differ", f"{counted:,} and {read:,}")
    remarks = piece.remarks.sentences()
    if kinds := [f"{count:,} {kind}" for kind, count in sorted(piece.left_out.items()) if count]:
        remarks = (*remarks, f"left out: {', '.join(kinds)}")
    said = piece.repairs.sentences(), remarks
    return KernReading(score, *said, piece.title, read_notes=read, counted_notes=counted)


def _parts(piece: KernPiece) -> list[list[Spine]]:
    """Return the spines of each part, from the top of the page, which is the right of the file, down."""
    groups: list[list[Spine]] = []
    for spine in reversed([spine for spine in piece.columns.spines if spine.kind == "kern"]):
        before = groups[-1][-1] if groups else None
        if before is not None and _are_one(before, spine):
            groups[-1].append(spine)
        else:
            groups.append([spine])
    return groups


def _are_one(upper: Spine, lower: Spine) -> bool:
    if upper.part or lower.part:
        return upper.part == lower.part
    codes = {upper.code, lower.code} - {"", "empty"}
    return len(codes) == 1 and all(map(is_keyboard, codes))


def _untied(sounds: list[Sound]) -> tuple[list[Sound], int]:
    """Join what is tied, and count the ends of ties that have no beginning."""
    result: list[Sound] = []
    tied: dict[tuple[int, int], list[int]] = {}  # (pitch, end) -> indices in result
    orphans = 0
    for sound in sorted(sounds, key=lambda one: (one.start, one.pitch, one.end)):
        waiting = tied.get((sound.pitch, sound.start)) if sound.continues else None
        if waiting:
            index = waiting.pop(0)
            result[index].end = sound.end
        else:
            orphans += sound.continues
            index = len(result)
            result.append(sound)
        if sound.goes_on:
            tied.setdefault((sound.pitch, sound.end), []).append(index)
    return result, orphans


def _loudness(group: Sequence[Spine], piece: KernPiece) -> dict[int, list[Loudness]]:
    """Return the signs of dynamics that hold for each spine of a part: its own, or else another's."""
    known = [piece.loudness[spine] for spine in group if spine in piece.loudness]
    return {spine.number: piece.loudness.get(spine, known[0] if known else []) for spine in group}


def _velocity(signs: Sequence[Loudness], time: int) -> int:
    place = bisect_right(signs, time, key=lambda sign: sign.time)
    steady = (sign.level.after for sign in reversed(signs[:place]) if sign.level.after is not None)
    if not place or signs[place - 1].time < time:
        return next(steady, DEFAULT_VELOCITY)
    now = signs[place - 1].level.now
    return now if now is not None else min(127, next(steady, DEFAULT_VELOCITY) + ACCENT)


def _track(
    group: Sequence[Spine],
    sounds: Sequence[Sound],
    loudness: Mapping[int, Sequence[Loudness]],
    piece: KernPiece,
    number: int,
) -> Track:
    code = next((spine.code for spine in group if spine.code not in ("", "empty")), "")
    name = next((spine.name for spine in group if spine.name), "") or f"Part {number}"
    track = Track(name, program_of(code), False)
    rows = []
    for sound in sounds:
        onset = piece.tick(sound.start)
        velocity = _velocity(loudness[sound.spine], sound.start)
        rows.append((onset, sound.pitch, max(1, piece.tick(sound.end) - onset), velocity))
    columns = np.array(sorted(rows), np.int64).reshape(-1, 4).T
    set_notes(track, Notes(columns[0], columns[2], columns[1], columns[3]))
    track.lyrics = [TextMeta(piece.tick(time), text) for spine, time, text in piece.lyrics if spine in group]
    return track


def _set_keys(score: Score, piece: KernPiece) -> None:
    """Set the keys where they change; where none has a mode, that of the key which the notes suggest."""
    minor = False
    if piece.keys and all(mode is None for _, mode in piece.keys.values()):
        minor = bool(estimate_key(score).tonality)
    before = None
    for time, (sharps, mode) in sorted(piece.keys.items()):
        key = (sharps, int(minor if mode is None else mode))
        if key != before:
            score.key_signatures.append(KeySignature(piece.tick(time), *key))
        before = key

"""Scores as DAWproject files, which Bitwig Studio, Studio One and Cubase open as projects.

Times are beats, which are quarters whatever the meter. A track holds one clip from the first bar line to the last; its
controllers and pitch bends lie in the clip beside the notes. Nothing is quantised. Programs and keys have no place in
the format: a track without a name is called after its instrument.
Source: DAWproject 1.0, https://github.com/bitwig/dawproject (Project.xsd, MetaData.xsd).
"""

import os
from collections.abc import Iterator
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from symusic import Track

from melody.errors import MelodyError
from melody.formats.colours import PALETTE
from melody.formats.xml import add, archive, document
from melody.music.general_midi import DRUM_CHANNEL, default_name
from melody.music.score import Score, bars, end_tick, meters, notes_of
from melody.storage.files import write_bytes

SLOWEST_QPM, FASTEST_QPM = (
    20,
    666,
)  # Bitwig's range, said to the reader; faster and slower ones are written all the same
_BEND = 8192


def write_dawproject(score: Score, path: str | os.PathLike[str], *, title: str = "", force: bool = False) -> Path:
    """Write a score as a DAWproject file; return the path.

    Raises `MelodyError` where the score has no tracks, or the file exists (unless `force`) or cannot be written.
    """
    return write_bytes(path, dawproject_bytes(score, title=title), force=force)


def dawproject_bytes(score: Score, *, title: str = "") -> bytes:
    """Return the bytes of a DAWproject file. Raises `MelodyError` where the score has no tracks."""
    if not len(score.tracks):
        raise MelodyError("a score without tracks makes no project; compose or read some first")
    about = Element("MetaData")
    add(about, "Title", title)
    add(about, "Comment", "Written by melody")
    return archive({"project.xml": document(_project(score)), "metadata.xml": document(about)})


def _project(score: Score) -> Element:
    ids = (f"id{number}" for number in count())
    root = Element("Project", version="1.0")
    add(root, "Application", name="melody", version="1.0")
    tempo, meter = _transport(root, score, ids)
    structure = add(root, "Structure")
    tracks = [next(ids) for _ in score.tracks]
    master = next(ids)
    for index, (track, identity) in enumerate(zip(score.tracks, tracks, strict=True)):
        _track(structure, track, identity, index, master, ids)
    _master(structure, master, ids)
    arrangement = add(root, "Arrangement", id=next(ids))
    end = int(bars(score, max(1, end_tick(score)))[-1])
    lanes = add(arrangement, "Lanes", timeUnit="beats", id=next(ids))
    for track, identity in zip(score.tracks, tracks, strict=True):
        _clip(add(lanes, "Lanes", track=identity, id=next(ids)), track, score.tpq, end, ids)
    _markers(arrangement, score, ids)
    _tempo_map(arrangement, score, tempo, ids)
    _meter_map(arrangement, score, meter, ids)
    add(root, "Scenes")
    return root


def _beats(ticks: int, tpq: int) -> str:
    """Return quarters as a decimal number, exact to a millionth of a tick."""
    return _number(Fraction(int(ticks), tpq))


def _number(value: Fraction | float) -> str:
    return f"{float(value):.12f}".rstrip("0").rstrip(".")


# ---- transport and tracks --------------------------------------------------------------------------------------------


def _transport(root: Element, score: Score, ids: Iterator[str]) -> tuple[str, str]:
    """Write the opening tempo and meter; return the identities of both as parameters."""
    transport = add(root, "Transport")
    tempo, meter = next(ids), next(ids)
    opening = tempos(score)[0][1]
    span = {"min": min(SLOWEST_QPM, int(opening)), "max": max(FASTEST_QPM, int(opening) + 1)}
    add(transport, "Tempo", **span, unit="bpm", value=_number(opening), id=tempo, name="Tempo")
    _, numerator, denominator = meters(score)[0]
    add(transport, "TimeSignature", denominator=denominator, numerator=numerator, id=meter)
    return tempo, meter


def tempos(score: Score) -> list[tuple[int, float]]:
    """Return (tick, quarters a minute) from tick 0 on, in order, the last of each tick; 120 by default."""
    by_tick = {0: 120.0} | {max(0, t.time): float(t.qpm) for t in sorted(score.tempos, key=lambda t: t.time)}
    return list(by_tick.items())


def _track(structure: Element, track: Track, identity: str, index: int, master: str, ids: Iterator[str]) -> None:
    name = track.name or default_name(track.program, track.is_drum)
    colour = PALETTE[index % len(PALETTE)].lower()
    element = add(structure, "Track", contentType="notes", loaded="true", id=identity, name=name, color=colour)
    _channel(element, ids, role="regular", destination=master, id=next(ids))


def _master(structure: Element, identity: str, ids: Iterator[str]) -> None:
    attributes = {"contentType": "audio notes", "loaded": "true", "id": next(ids), "name": "Master"}
    _channel(add(structure, "Track", **attributes), ids, role="master", id=identity)


def _channel(track: Element, ids: Iterator[str], **attributes: object) -> None:
    channel = add(track, "Channel", audioChannels=2, solo="false", **attributes)
    add(channel, "Mute", value="false", id=next(ids), name="Mute")
    add(channel, "Pan", max=1, min=0, unit="normalized", value=0.5, id=next(ids), name="Pan")
    add(channel, "Volume", max=2, min=0, unit="linear", value=1, id=next(ids), name="Volume")


# ---- the arrangement -------------------------------------------------------------------------------------------------


def _clip(lanes: Element, track: Track, tpq: int, end: int, ids: Iterator[str]) -> None:
    clips = add(lanes, "Clips", id=next(ids))
    clip = add(clips, "Clip", time=0, duration=_beats(end, tpq), playStart=0, name=track.name)
    curves = _curves(track)
    content = add(clip, "Lanes", id=next(ids)) if curves else clip
    notes = add(content, "Notes", id=next(ids))
    channel = DRUM_CHANNEL if track.is_drum else 0
    for onset, duration, key, velocity in zip(*(column.tolist() for column in notes_of(track)), strict=True):
        loud = _number(Fraction(velocity, 127))
        times = {"time": _beats(onset, tpq), "duration": _beats(duration, tpq)}
        add(notes, "Note", **times, channel=channel, key=key, vel=loud, rel=loud)
    for target, values in curves:
        points = add(content, "Points", unit="normalized", id=next(ids))
        add(points, "Target", channel=channel, **target)
        for tick, value in values:
            add(points, "RealPoint", time=_beats(tick, tpq), value=_number(value), interpolation="hold")


def _curves(track: Track) -> list[tuple[dict[str, Any], list[tuple[int, Fraction]]]]:
    """Return controllers and pitch bends as (target, points of (tick, value from 0 to 1))."""
    result: list[tuple[dict[str, Any], list[tuple[int, Fraction]]]] = []
    for number in sorted({control.number for control in track.controls}):
        values = [(c.time, Fraction(c.value, 127)) for c in track.controls if c.number == number]
        result.append(({"expression": "channelController", "controller": number}, sorted(values)))
    if len(track.pitch_bends):
        bends = [(bend.time, Fraction(bend.value + _BEND, 2 * _BEND - 1)) for bend in track.pitch_bends]
        result.append(({"expression": "pitchBend"}, sorted(bends)))
    return result


def _markers(arrangement: Element, score: Score, ids: Iterator[str]) -> None:
    if not len(score.markers):
        return
    markers = add(arrangement, "Markers", timeUnit="beats", id=next(ids))
    for marker in sorted(score.markers, key=lambda marker: marker.time):
        add(markers, "Marker", time=_beats(marker.time, score.tpq), name=marker.text, color=PALETTE[0].lower())


def _tempo_map(arrangement: Element, score: Score, parameter: str, ids: Iterator[str]) -> None:
    points = _points(arrangement, "TempoAutomation", parameter, next(ids), unit="bpm")
    for tick, qpm in tempos(score):
        add(points, "RealPoint", time=_beats(tick, score.tpq), value=_number(qpm), interpolation="hold")


def _meter_map(arrangement: Element, score: Score, parameter: str, ids: Iterator[str]) -> None:
    points = _points(arrangement, "TimeSignatureAutomation", parameter, next(ids))
    for tick, numerator, denominator in meters(score):
        add(points, "TimeSignaturePoint", time=_beats(tick, score.tpq), numerator=numerator, denominator=denominator)


def _points(arrangement: Element, tag: str, parameter: str, identity: str, **attributes: object) -> Element:
    points = add(arrangement, tag, timeUnit="beats", **attributes, id=identity)
    add(points, "Target", parameter=parameter)
    return points

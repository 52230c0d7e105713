"""Rosegarden 22: opens from the command line, saves by Ctrl-S; read from its zipped XML of 960 ticks a quarter."""

import gzip
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

from daws.desk import Desk, wait_for
from daws.seen import BEND, Control, Part, Seen, Slack, changes, key

NAME = "Rosegarden"
NEEDS = ("rosegarden", "Xvfb", "xdotool")
SLACK = Slack()
SCALE = 2


def read(midi: Path, desk: Desk) -> Seen:
    """Open a file in Rosegarden and return what it shows."""
    saved, settings = desk.folder / "saved.rg", desk.folder / "config" / "rosegardenmusic" / "Rosegarden.conf"
    settings.parent.mkdir(parents=True)
    version = desk.run("rosegarden", "--version").partition("version: ")[2].split()[0]
    settings.write_text(f"[General_Options]\nlastversion={version}\n")  # so it has greeted and asks nothing
    with desk.started("rosegarden", "--nosplash", "--nosound", midi, QT_QPA_PLATFORM="xcb"):
        window = wait_for(lambda: _opened(desk, midi.name))
        assert window, "Rosegarden did not open the file"
        desk.save_as(window, "Save as", saved)
    return from_composition(ET.fromstring(gzip.decompress(saved.read_bytes())))


def _opened(desk: Desk, name: str) -> str | None:
    """The window with the file; on the way Rosegarden asks in which letters its texts are, where not in ASCII."""
    if window := desk.window("^.?" + name):
        return window
    question = desk.window("^Rosegarden$")
    if question and 150 < desk.height(question) < 400:  # else it is the main window, or the bar of progress
        desk.press(question, "Return", text="UTF-8")
    return None


def shows(right: Seen) -> Seen:
    """All there is, but it guesses a key where there is none.

    An instrument, its bank and the first volume and pan belong to a channel: of two tracks on one the later's count.
    """
    told = {part.channel: part.program for part in right.parts}
    parts = tuple(
        replace(part, program=told[part.channel], controls=tuple(filter(_is_event, part.controls)))
        for part in right.parts
    )
    return replace(right, parts=parts, keys=right.keys or None, bars=None)


def _is_event(control: Control) -> bool:
    tick, number, _ = control
    return number not in (0, 32) and (tick > 0 or number not in (7, 10))


def from_composition(document: ET.Element) -> Seen:
    """Read a composition."""
    composition = document.find("composition")
    tracks = sorted(composition.iterfind("track"), key=lambda track: int(track.get("position")))
    segments = {track.get("id"): [] for track in tracks}
    for segment in document.iterfind("segment"):
        segments[segment.get("track")].append(segment)
    instruments = {instrument.get("id"): instrument for instrument in document.iter("instrument")}
    used = [track for track in tracks if segments[track.get("id")]]
    keys = {e for track in used for segment in segments[track.get("id")] for e in _keys(segment)}
    tempos = [(_time(e), round(int(e.get("tempo")) / 100_000, 2)) for e in composition.iterfind("tempo")]
    meters = [
        (_time(e), int(e.get("numerator")), int(e.get("denominator"))) for e in composition.iterfind("timesignature")
    ]
    return Seen(
        tuple(_part(track, segments[track.get("id")], instruments[track.get("instrument")]) for track in used),
        changes(tempos),
        changes(meters),
        changes(sorted(keys)),
        tuple((_time(e), e.get("name")) for e in composition.iterfind(".//marker")),
    )


def _time(element: ET.Element) -> int:
    return int(element.get("time")) // SCALE


def _events(segment: ET.Element) -> list[tuple[int, ET.Element, dict[str, str]]]:
    """(tick, event, properties); an event begins where the one before, or the shortest of a chord, ends, if no else."""
    now, result = 0, []
    for group in segment:
        chord = list(group) if group.tag == "chord" else [group] if group.tag == "event" else []
        for event in chord:
            now = int(event.get("absoluteTime", now)) + int(event.get("timeOffset", "0"))
            properties = {e.get("name"): e for e in event.iter("property")}
            values = {name: e.get("int", e.get("string", "")) for name, e in properties.items()}
            result.append((now // SCALE, event, values))
        now += min((int(event.get("duration", "0")) for event in chord), default=0)
    return result


def _bend(values: dict[str, str]) -> int:
    return (int(values["msb"]) << 7 | int(values["lsb"])) - 8192


def _keys(segment: ET.Element) -> list[tuple[int, int, bool]]:
    found = []
    for tick, event, values in _events(segment):
        if event.get("type") == "keychange":
            tonic, mode = values["key"].split()
            found.append((tick, *key(tonic + "m" * (mode == "minor"))))
    return found


def _part(track: ET.Element, segments: list[ET.Element], instrument: ET.Element) -> Part:
    events = [event for segment in segments for event in _events(segment)]
    notes = [
        (int(values["pitch"]), tick, tick + int(event.get("duration")) // SCALE)
        for tick, event, values in events
        if event.get("type") == "note"
    ]
    lyrics = [(tick, v["text"]) for tick, e, v in events if e.get("type") == "text" and v["type"] == "lyric"]
    controls = [(tick, int(v["number"]), int(v["value"])) for tick, e, v in events if e.get("type") == "controller"]
    controls += [(tick, BEND, _bend(v)) for tick, e, v in events if e.get("type") == "pitchbend"]
    return Part(
        track.get("label"),
        tuple(sorted(notes)),
        int(instrument.find("program").get("id")),
        instrument.find("bank").get("percussion") == "true",
        tuple(lyrics),
        tuple(sorted(controls)),
    )

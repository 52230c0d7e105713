"""LMMS 1.2: imports from the command line, saves by Ctrl-S; read from its project, XML of 48 ticks a quarter."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pretty_midi

from daws.desk import Desk, wait_for
from daws.seen import Part, Seen, Slack, changes

NAME = "LMMS"
NEEDS = ("lmms", "Xvfb", "xdotool")
SLACK = Slack(10, 10, 20)  # onset and length are each cut down to whole ticks of 48 a quarter
SCALE = 10
LOWEST = 12  # LMMS calls MIDI's note 12 its note 0

SETTINGS = """<?xml version="1.0"?>
<!DOCTYPE lmms-config-file>
<lmms version="1.2.2" configversion="2">
  <app nomsgaftersetup="1" openlastproject="0" configured="1" language="en"/>
  <paths workingdir="{folder}/" defaultsf2="{font}"/>
  <ui enableautosave="0"/>
  <mixer audiodev="Dummy (no sound output)" mididev="Dummy (no MIDI support)"/>
</lmms>
"""


def read(midi: Path, desk: Desk) -> Seen:
    """Open a file in LMMS and return what it shows."""
    font = Path(pretty_midi.__file__).with_name("TimGM6mb.sf2")  # without one it asks for one
    settings, saved = desk.folder / "lmmsrc.xml", desk.folder / "saved.mmp"
    settings.write_text(SETTINGS.format(folder=desk.folder, font=font))
    with desk.started("lmms", "--allowroot", "-c", settings, "--import", midi, QT_QPA_PLATFORM="xcb"):
        window = wait_for(lambda: desk.window("LMMS 1"))
        assert window, "LMMS did not start"
        desk.save_as(window, "Save Project", saved)
    return from_project(ET.parse(saved).getroot())


def shows(right: Seen) -> Seen:
    """No keys, markers, lyrics or pedals, controllers are knobs of its own; one drum kit; meters begin on a quarter."""
    drums = [part for part in right.parts if part.is_drum]
    hits = tuple(sorted(note for part in drums for note in part.notes))
    parts = tuple(
        replace(part, lyrics=(), controls=(), **({"program": 0, "notes": hits} if part.is_drum else {}))
        for part in right.parts
        if not part.is_drum or part is drums[0]
    )
    meters = changes([(tick - tick % 480, *meter) for tick, *meter in right.meters])
    return replace(right, parts=parts, meters=meters, keys=(), markers=(), bars=None)


def from_project(project: ET.Element) -> Seen:
    """Read a project; its tempo and meter are automation of the song's own knobs."""
    tracks = [track for track in project.iterfind("song/trackcontainer/track") if track.get("type") == "0"]
    knobs = {name: project.find(f"head/{name}") for name in ("bpm", "timesig_numerator", "timesig_denominator")}
    tempo, numerator, denominator = (_automation(project, knob) for knob in knobs.values())
    ticks = sorted({*numerator, *denominator})
    meters = [(tick, *(int(_at(line, tick)) for line in (numerator, denominator))) for tick in ticks]
    return Seen(
        tuple(_part(track) for track in tracks),
        changes([(tick, round(value, 2)) for tick, value in tempo.items()]),
        changes(meters),
    )


def _automation(project: ET.Element, knob: ET.Element) -> dict[int, float]:
    """Tick to value of the automation of a knob; its own value where there is none."""
    points = {
        (int(pattern.get("pos")) + int(time.get("pos"))) * SCALE: float(time.get("value"))
        for pattern in project.iter("automationpattern")
        if any(target.get("id") == knob.get("id") for target in pattern.iterfind("object"))
        for time in pattern.iterfind("time")
    }
    return points or {0: float(knob.get("value"))}


def _at(line: dict[int, float], tick: int) -> float:
    return line[max(at for at in line if at <= tick)]


def _part(track: ET.Element) -> Part:
    notes = [
        (int(note.get("key")) + LOWEST, onset, onset + int(note.get("len")) * SCALE)
        for pattern in track.iterfind("pattern")
        for note in pattern.iterfind("note")
        for onset in [(int(pattern.get("pos")) + int(note.get("pos"))) * SCALE]
    ]
    player = track.find(".//sf2player")
    return Part(track.get("name"), tuple(sorted(notes)), int(player.get("patch")), player.get("bank") == "128")

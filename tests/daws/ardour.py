"""Ardour 7: a script imports into a new session without sound; read from the session and its own MIDI files."""

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import mido

from daws.desk import Desk, wait_for
from daws.seen import Control, Part, Seen, Slack, absolute, changes, controls_of, notes_of

NAME = "Ardour 7"
NEEDS = ("ardour7-lua", "Xvfb", "xdotool")
SLACK = Slack()
SCALE = 4  # Ardour counts 1,920 ticks a quarter

SETUP, ANSWERS = "Audio/MIDI Setup", 3  # a question at the start, and how often its answer may get lost
SETTINGS = """<?xml version="1.0" encoding="UTF-8"?>
<Ardour>
  <Config>
    <Option name="hide-dummy-backend" value="0"/>
    <Option name="try-autostart-engine" value="1"/>
  </Config>
  <Extra>
    <AudioMIDISetup>
      <EngineStates>
        <State backend="None (Dummy)" driver="Normal Speed" device="Silence" input-device="" output-device=""
          sample-rate="48000" buffer-size="1024" n-periods="0" input-latency="0" output-latency="0" input-channels="0"
          output-channels="0" active="1" use-buffered-io="0" midi-option="1 in, 1 out, Silence" lru="1"/>
      </EngineStates>
    </AudioMIDISetup>
  </Extra>
</Ardour>
"""

SCRIPT = """ardour { ["type"] = "SessionInit", name = "Import" }
function factory () return function ()
  local files = C.StringVector ()
  files:push_back (os.getenv ("MIDI_FILE"))
  Editor:do_import (files, Editing.ImportDistinctFiles, Editing.ImportAsTrack, ARDOUR.SrcQuality.SrcBest,
    ARDOUR.MidiTrackNameSource.SMFTrackName, ARDOUR.MidiTempoMapDisposition.SMFTempoUse,
    Temporal.timepos_t (0), ARDOUR.PluginInfo (), ARDOUR.Track (), false)
  Session:save_state ("imported", false, false, false, false, false)
end end
"""


def read(midi: Path, desk: Desk) -> Seen:
    """Open a file in Ardour and return what it shows."""
    settings = desk.folder / "config" / "ardour7"
    (settings / "scripts").mkdir(parents=True)
    (settings / ".a7").touch()  # it has been here before and greets no more
    (settings / "config").write_text(SETTINGS)
    (settings / "scripts" / "import.lua").write_text(SCRIPT)
    session = desk.folder / "session"
    with desk.started("ardour", "-a", "-d", "-n", "-N", session, "-T", "Import", MIDI_FILE=str(midi)):
        assert _started(desk), "Ardour did not start"
        assert wait_for(lambda: (session / "imported.ardour").exists() or None), "Ardour did not import the file"
    return from_session(session)


def _started(desk: Desk) -> bool:
    """Tell if it has asked about sound and got its answer: pressed again only if the question stays."""
    question = wait_for(lambda: desk.window(SETUP))
    asked = question is not None
    for _ in range(ANSWERS):
        if question:
            desk.press(question, "Return")
            wait_for(lambda: None if desk.window(SETUP) else True, seconds=30)
            question = desk.window(SETUP)
    return asked and not question


def shows(right: Seen) -> Seen:
    """Return what it takes of a file: notes, controllers, tempo and meter.

    Each program is told with its bank, 0 by default. A tempo goes to the nearest quarter, where the last one counts.
    """
    tempos = changes([((tick + 240) // 480 * 480, qpm) for tick, qpm in right.tempos])
    parts = tuple(replace(part, lyrics=(), controls=_controls(part.controls)) for part in right.parts)
    return replace(right, parts=parts, tempos=tempos, keys=(), markers=(), bars=None)


def _controls(controls: tuple[Control, ...]) -> tuple[Control, ...]:
    """Leave out what is told once, at the start: it stays in a source until Ardour writes it anew, perhaps late."""
    numbers = [number for _, number, _ in controls]
    stay = {(tick, number, value) for tick, number, value in controls if tick or numbers.count(number) > 1}
    banks = {next((c for c in controls if c[1] == number), (0, number, 0)) for number in (0, 32)}
    return tuple(sorted(stay | banks))


def from_session(session: Path) -> Seen:
    """Read a session."""
    root = ET.parse(session / "imported.ardour").getroot()
    folder = session / "interchange" / "session" / "midifiles"
    sources = [source.get("name") for source in root.iterfind("Sources/Source[@type='midi']")]
    tempos = [(_quarters(e), round(float(e.get("npm")), 2)) for e in root.iter("Tempo")]
    meters = [(_quarters(e), int(e.get("divisions-per-bar")), int(e.get("note-value"))) for e in root.iter("Meter")]
    return Seen(tuple(_part(folder / name) for name in sources), changes(tempos), changes(meters))


def _quarters(element: ET.Element) -> int:
    quarters, ticks = element.get("quarters").split(":")
    return int(quarters) * 480 + int(ticks) // SCALE


def _part(path: Path) -> Part:
    file = mido.MidiFile(path)
    scale = file.ticks_per_beat // 480
    events = [event for track in file.tracks for event in absolute(track)]
    program = next((m.program for _, m in events if m.type == "program_change"), None)
    name = re.sub(r"^\w+\.|-\d+$", "", path.stem)
    is_drum = any(m.channel == 9 for _, m in events if m.type == "note_on")
    return Part(name, notes_of(events, scale), program, is_drum, (), _controls(controls_of(events, scale)))

"""The script for Ardour, in Ardour itself: it starts, imports a file, sends its regions, and takes come as tracks."""

import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from daws.ardour import NEEDS, SETTINGS, _started
from daws.desk import Desk, picture, screen, wait_for
from support.primers import kit, part, primer
from support.studio_client import running

import melody
from melody.music.score import note_count

SCRIPT = Path(__file__).parents[2] / "integrations" / "ardour" / "melody.lua"
START = """ardour { ["type"] = "SessionInit", name = "Studio" }
function factory () return function ()
  local files = C.StringVector ()
  files:push_back (os.getenv ("MIDI_FILE"))
  Editor:do_import (files, Editing.ImportDistinctFiles, Editing.ImportAsTrack, ARDOUR.SrcQuality.SrcBest,
    ARDOUR.MidiTrackNameSource.SMFTrackName, ARDOUR.MidiTempoMapDisposition.SMFTempoUse,
    Temporal.timepos_t (0), ARDOUR.PluginInfo (), ARDOUR.Track (), false)
  local file = io.open (os.getenv ("MELODY_SCRIPT"))
  local text = file:read ("a")
  file:close ()
  ardour = function () end
  load (text) ()
  factory () ()
  Session:save_state ("composed", false, false, false, false, false)
end end
"""


PICTURES = os.environ.get("MELODY_PICTURES")  # a folder for what Ardour shows then


@pytest.fixture
def display(tmp_path: Path) -> Iterator[str]:
    with screen(tmp_path) as name:
        yield name


@pytest.mark.slow
@pytest.mark.skipif(not all(map(shutil.which, (*NEEDS, "curl"))), reason="Ardour, Xvfb, xdotool or curl not installed")
def test_takes_come_as_tracks_behind_the_regions(tmp_path: Path, display: str) -> None:
    desk = Desk(tmp_path, display)
    settings = tmp_path / "config" / "ardour7"
    (settings / "scripts").mkdir(parents=True)
    (settings / ".a7").touch()
    (settings / "config").write_text(SETTINGS)
    (settings / "scripts" / "studio.lua").write_text(START)
    melody.write(primer(kit(), part("Bass", [40, 40, 43, 45] * 2, 33)), tmp_path / "band.mid")
    session = tmp_path / "session"
    with running(tmp_path / "studio") as client:
        given = {"MIDI_FILE": str(tmp_path / "band.mid"), "MELODY_SCRIPT": str(SCRIPT), "TMPDIR": str(tmp_path)}
        given |= {"MELODY_URL": f"http://127.0.0.1:{client.port}", "MELODY_TOKEN": client.token}
        with desk.started("ardour", "-a", "-d", "-n", "-N", session, "-T", "Studio", **given):
            assert _started(desk), "Ardour did not start"
            done = wait_for(lambda: (session / "composed.ardour").exists() or None)
            if PICTURES:
                time.sleep(8)  # until it is drawn
                picture(tmp_path, Path(PICTURES) / "ardour.png")
        output = (tmp_path / "output").read_text(errors="replace")
        assert done, output
        sent = [sheet for sheet in client.serving.desk.shelf._sheets.values() if sheet.name == "ardour.mid"]
        assert sent, output
        score = melody.read(sent[0].midi)
        assert sorted(len(track.notes) for track in score.tracks) == [16, 24]
    root = ET.parse(session / "composed.ardour").getroot()
    tracks = [route.get("name") for route in root.iterfind("Routes/Route") if route.get("default-type") == "midi"]
    takes = [name for name in tracks if re.search("take", name or "")]
    assert len(tracks) == 2 + len(takes)
    assert takes
    files = list((session / "interchange" / "session" / "midifiles").glob("melody-take-*"))
    for number in (1, 2):
        assert sum(note_count(melody.read(path)) for path in files if f"take-{number}-" in path.name) > 0
    starts = {region.get("length", "").partition("@")[2] for region in root.iter("Region")}
    assert len(starts) == 2  # the start, and where the regions end

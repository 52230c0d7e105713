"""Ears of the server: a hummed tune by its notes, and a MIDI port for browsers that have none."""

import http.client
import io
import json
import time
from pathlib import Path

import mido
import pytest
import soundfile
from support.recordings import ODE, RATE, hum
from support.studio_client import Client

import melody.live.ports


def test_the_notes_of_a_hummed_tune(client: Client) -> None:
    pytest.importorskip("swift_f0")
    file = io.BytesIO()
    soundfile.write(file, hum(ODE), RATE, format="WAV")
    heard = client.json("POST", "/v1/hear?name=hum.wav", file.getvalue())
    assert [note[2] for note in heard["notes"]] == [pitch for pitch, _ in ODE]
    assert heard["notes"][0][0] == pytest.approx(0.3, abs=0.06)  # seconds, as they stand in the recording
    assert any("notes" in line for line in heard["told"])
    assert client.json("GET", "/v1/about")["hears"] is True
    silence = io.BytesIO()
    soundfile.write(silence, [0.0] * RATE, RATE, format="WAV")
    status, code, line = client.error("POST", "/v1/hear?name=hum.wav", silence.getvalue())
    assert (status, code) == (422, "unreadable_file")
    assert line.startswith("hum.wav: ")


class Keyboard:
    """A port on which two notes come."""

    name, closed = "melody", False

    def __init__(self) -> None:
        self.coming = [mido.Message("control_change", control=64, value=9)]
        kinds = ("note_on", "note_off")
        self.coming += [mido.Message(kind, note=note, velocity=90) for note in (60, 64) for kind in kinds]

    def poll(self) -> object:
        return self.coming.pop(0) if self.coming else None

    def close(self) -> None:
        self.closed = True


def test_a_midi_port_is_listened_to_until_the_client_goes(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    keyboard = Keyboard()
    monkeypatch.setattr(melody.live.ports, "open_inlet", lambda name: keyboard)
    connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=60)
    connection.request("GET", "/v1/midi", headers={"Authorization": f"Bearer {client.token}"})
    answer = connection.getresponse()
    events = []
    while len(events) < 5:
        line = answer.readline()
        if line.startswith(b"data: "):
            events.append(json.loads(line[6:]))
    assert events[0] == {"event": "listening", "port": "melody"}
    assert [event["data"] for event in events[1:]] == [[0x90, 60, 90], [0x80, 60, 90], [0x90, 64, 90], [0x80, 64, 90]]
    assert client.error("GET", "/v1/midi")[:2] == (429, "busy")  # one listens at a time
    answer.close()
    connection.close()
    deadline = time.monotonic() + 60
    while not keyboard.closed:
        assert time.monotonic() < deadline, "the port stays open though nobody listens"
        time.sleep(0.05)


def test_a_port_that_is_not_there_is_one_line(client: Client, tmp_path: Path) -> None:
    status, code, line = client.error("GET", "/v1/midi?port=socket:127.0.0.1:1")
    assert (status, code) == (422, "refused")
    assert "start the program that listens there first" in line

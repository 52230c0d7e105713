"""Live music over real ports: the system's MIDI where it has one, TCP, and the commands that use them."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

import melody
from melody.cli import run
from melody.errors import MelodyError, UsageError

mido = pytest.importorskip("mido")
from support.live_fakes import as_notes, hanging, off, on, silenced, tune  # noqa: E402

from melody.live import ports as midi_ports  # noqa: E402

# ---- ports ----------------------------------------------------------------------------------------------------------


def test_a_port_is_found_by_a_part_of_its_name():
    names = ["Digital Piano MIDI 1", "IAC Driver Bus 1", "IAC Driver Bus 2"]
    assert midi_ports.find_name("piano", names) == names[0]
    assert midi_ports.find_name("IAC Driver Bus 1", names) == names[1]
    for wanted, words in (("IAC", "several fit"), ("organ", "there are: Digital Piano MIDI 1, IAC")):
        with pytest.raises(UsageError, match=words):
            midi_ports.find_name(wanted, names)


def test_without_rtmidi_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    def missing() -> None:
        raise ModuleNotFoundError("No module named 'rtmidi'", name="rtmidi")

    monkeypatch.setattr(mido, "get_output_names", missing)
    with pytest.raises(MelodyError, match=r"need rtmidi: pip install 'melody\[live\]'"):
        midi_ports.open_outlet(None)


def test_without_a_midi_system_the_error_says_what_was_found(monkeypatch: pytest.MonkeyPatch):
    def refuse() -> None:
        os.write(2, b"ALSA lib seq_hw.c:466: open /dev/snd/seq failed\n")
        raise OSError("MidiInAlsa::initialize: error creating ALSA sequencer client object.")

    monkeypatch.setattr(mido, "get_input_names", refuse)
    with pytest.raises(MelodyError, match=r"no MIDI system here \(MidiInAlsa.*snd-seq.*socket:"):
        midi_ports.port_names()


def test_what_c_libraries_print_is_not_shown(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    test_without_a_midi_system_the_error_says_what_was_found(monkeypatch)
    os.write(2, b"but this is\n")
    assert capfd.readouterr().err == "but this is\n"


def test_where_there_are_no_virtual_ports_the_others_are_named(monkeypatch: pytest.MonkeyPatch):
    def refuse(name: str, **options: Any) -> None:
        raise NotImplementedError("Virtual ports are not supported by the Windows MultiMedia API.")

    monkeypatch.setattr(mido, "get_output_names", lambda: ["loopMIDI Port 1"])
    monkeypatch.setattr(mido, "open_output", refuse)
    with pytest.raises(MelodyError, match="give --port NAME with one of: loopMIDI Port 1"):
        midi_ports.open_outlet(None)


@pytest.mark.parametrize("name", ["socket:", "socket:localhost", "socket:localhost:0", "socket::9", "socket:x:99999"])
def test_addresses_are_checked(name: str):
    with pytest.raises(UsageError, match="socket:HOST:PORT"):
        midi_ports.open_outlet(name)


def test_a_virtual_port_of_the_system():
    """Over ALSA, JACK or CoreMIDI; JACK alone needs MIDO_BACKEND=mido.backends.rtmidi/UNIX_JACK."""
    try:
        outlet = midi_ports.open_outlet(None)
    except MelodyError as error:
        pytest.skip(str(error))
    with closing(outlet), closing(midi_ports.open_inlet(midi_ports.NAME)) as inlet:
        deadline = time.monotonic() + 5
        message = None
        while message is None and time.monotonic() < deadline:
            outlet.send(on(60))
            time.sleep(0.05)
            message = inlet.poll()
    assert message == on(60)


# ---- over TCP -------------------------------------------------------------------------------------------------------


@contextmanager
def listening(handle: Callable[[Any, list[Any]], None] | None = None) -> Iterator[tuple[str, list[Any]]]:
    """A program at the other end: its address, and what it hears; `handle` may answer each message."""
    heard: list[Any] = []
    server = socket.create_server(("localhost", 0))
    server.settimeout(30)

    def listen() -> None:
        connection, _ = server.accept()
        parser = mido.Parser()
        with connection:
            while data := connection.recv(4096):
                parser.feed(data)
                for message in parser:
                    heard.append(message)
                    if handle:
                        handle(connection, heard)

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    yield f"socket:localhost:{server.getsockname()[1]}", heard
    thread.join(20)
    server.close()
    assert not thread.is_alive()


@pytest.fixture
def theme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return melody.write(tune(480), "theme.mid")


def test_play_over_tcp_and_on(theme: Path, capsys: pytest.CaptureFixture[str]):
    with listening() as (port, heard):
        arguments = ["theme.mid", "--bars", "2", "--seed", "3", "--port", port, "--out", "whole.mid", "--json"]
        assert run(["play", *arguments]) == 0
    report = json.loads(capsys.readouterr().out)
    whole = melody.read("whole.mid")
    sent = sum(message.type == "note_on" for message in heard)
    assert sum(message.type == "clock" for message in heard) == 4 * 4 * 24
    assert silenced(heard)
    assert (report["seed"], report["notes"]["sent"]) == (3, sent)
    assert sent + report["missed"] == sum(len(track.notes) for track in whole.tracks) > 8  # a busy machine may miss
    assert run(["compose", "theme.mid", "--bars", "2", "--seed", "3", "--out", "again.mid"]) == 0
    assert [as_notes(t) for t in melody.read("again.mid").tracks] == [as_notes(t) for t in whole.tracks]


def test_jam_over_tcp(theme: Path, capsys: pytest.CaptureFixture[str]):
    """The player hears the clock and plays on each quarter after the count-in."""

    def player(connection: socket.socket, heard: list[Any]) -> None:
        quarter, pulse = divmod(sum(message.type == "clock" for message in heard), 24)
        if heard[-1].type == "clock" and quarter >= 4 and pulse in (0, 18):
            message = (off if pulse else on)(60 + quarter % 12)
            connection.sendall(bytes(message.bytes()))

    with listening(player) as (port, heard):
        arguments = [
            "--bars",
            "2",
            "--tempo",
            "240",
            "--rounds",
            "1",
            "--seed",
            "3",
            "--port",
            port,
            "--out",
            "jam.mid",
        ]
        assert run(["jam", *arguments, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert silenced(heard)
    (only,) = report["rounds"]
    assert only["heard"] >= 1
    assert only["answered"] + report["missed"] >= 1
    assert sum(len(track.notes) for track in melody.read(report["file"]).tracks) >= only["heard"] + only["answered"]
    if only["answered"]:
        assert 0 < only["wait_seconds"] < 4
        assert report["wait"]["max_ms"] == pytest.approx(1000 * only["wait_seconds"], abs=0.001)


def test_a_jam_whose_port_closes_is_written(theme: Path, capsys: pytest.CaptureFixture[str]):
    """The player plays one note after the count-in and goes."""

    def player(connection: socket.socket, heard: list[Any]) -> None:
        quarter, pulse = divmod(sum(message.type == "clock" for message in heard), 24)
        if heard[-1].type == "clock" and quarter == 4 and pulse in (6, 12):
            connection.sendall(bytes((off if pulse == 12 else on)(60).bytes()))
        if quarter == 5:
            connection.shutdown(socket.SHUT_WR)

    with listening(player) as (port, _):
        assert run(["jam", "--tempo", "240", "--port", port, "--out", "jam.mid"]) == 1
    assert "the other side has closed it" in capsys.readouterr().err
    assert [note.pitch for note in as_notes(melody.read("jam.mid").tracks[0])] == [60]


@pytest.mark.skipif(not hasattr(signal, "SIGTERM") or sys.platform == "win32", reason="no signals to be sent here")
@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_an_end_from_outside_leaves_silence(theme: Path, number: str):
    melody.write(tune(20), "slow.mid")
    with listening() as (port, heard):
        command = [sys.executable, "-m", "melody", "play", "slow.mid", "--port", port]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            deadline = time.monotonic() + 30
            while not any(message.type == "note_on" for message in heard) and time.monotonic() < deadline:
                time.sleep(0.02)
            process.send_signal(getattr(signal, number))
            assert process.communicate(timeout=30)[1] == "melody: interrupted\n"
            assert process.returncode == 130
    assert hanging(heard[:-34])
    assert silenced(heard)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["play"], 2, "--bars 16"),
        (["play", "theme.mid", "--tempo", "90"], 2, "a file has its own"),
        (["play", "theme.mid", "--key", "C major"], 2, "give --bars too"),
        (["play", "theme.mid", "--port", "socket:localhost"], 2, "socket:HOST:PORT"),
        (["play", "theme.mid", "--bars", "2", "--out", "theme.mid"], 1, "is what you gave"),
        (["jam", "--rounds", "0"], 2, "rounds"),
        (["jam", "--channel", "17"], 2, "channel"),
        (["jam", "--meter", "5/3"], 2, "5/3"),
        (["jam", "--tempo", "0"], 2, "tempo must lie in"),
        (["jam", "--bars", "0"], 2, "bars must lie in"),
    ],
)
def test_errors_are_one_line(theme: Path, capsys, arguments: list[str], code: int, words: str):
    assert run(arguments) == code
    error = capsys.readouterr().err
    assert error.startswith("melody: ")
    assert error.count("\n") == 1
    assert words in error


def test_over_tcp_the_last_messages_arrive_though_nobody_read_what_came():
    def chatter(connection: socket.socket, heard: list[Any]) -> None:
        connection.sendall(bytes(on(60).bytes()))

    with listening(chatter) as (name, heard), closing(midi_ports.open_outlet(name)) as outlet:
        for pitch in range(100):
            outlet.send(on(pitch))
        time.sleep(0.2)
    assert len(heard) == 100


def test_nobody_listens(theme: Path, capsys):
    with socket.create_server(("localhost", 0)) as server:
        number = server.getsockname()[1]
    assert run(["play", "theme.mid", "--port", f"socket:localhost:{number}"]) == 1
    assert "start the program that listens there first" in capsys.readouterr().err


def test_nothing_but_this_room_knows_mido():
    package = Path(melody.__file__).parent
    knowing = {path.parent.name for path in package.rglob("*.py") if "import mido" in path.read_text(encoding="utf-8")}
    assert knowing == {"live"}

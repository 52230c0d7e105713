"""MIDI ports by name: one of the system's, a virtual one that other programs see, or MIDI over TCP.

mido opens them, by default through RtMidi: ALSA or JACK on Linux, CoreMIDI on macOS, WinMM on Windows (which makes no
virtual ports). ``socket:HOST:PORT`` needs no MIDI system: the bytes of MIDI over TCP, as `mido.sockets` speaks it.
"""

import os
import select
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Protocol

import mido

from melody.errors import MelodyError, UsageError

NAME = "melody"  # of the virtual port
SOCKET = "socket:"
PATIENCE_SECONDS = 5.0
LINGER_SECONDS = 0.5
READ_BYTES = 256  # from a connection at once: of bytes that are messages of their own, a millisecond's work
STATUS, SYSEX, REAL_TIME = 0x80, 0xF0, 0xF8  # the first byte of messages; of these


class Inlet(Protocol):
    """A port to hear from, as mido's are."""

    closed: bool

    def poll(self) -> Any: ...

    def close(self) -> None: ...


class Outlet(Protocol):
    """A port to send to, as mido's are."""

    def send(self, message: Any) -> None: ...

    def close(self) -> None: ...


def port_names() -> tuple[list[str], list[str]]:
    """The names of what can be heard, and of what can be sent to. Raises `MelodyError` where there is no MIDI."""
    with _system():
        return list(mido.get_input_names()), list(mido.get_output_names())


def open_outlet(name: str | None) -> Any:
    """A port to send to; without a name a virtual one. Raises `MelodyError`: what was found, and what to try."""
    if name and name.startswith(SOCKET):
        return _connect(name)
    return _open(name, "output")


def open_inlet(name: str | None) -> Any:
    """A port to hear from; without a name a virtual one. Raises `MelodyError`: what was found, and what to try."""
    if name and name.startswith(SOCKET):
        return _connect(name)
    return _open(name, "input")


def open_pair(name: str | None, inlet: str | None = None) -> tuple[Any, Any]:
    """Ports to hear from and to send to: of one name, unless another is given for the first."""
    outlet = open_outlet(name)
    if inlet is None and name and name.startswith(SOCKET):
        return outlet, outlet  # a connection goes both ways
    try:
        return open_inlet(inlet or name), outlet
    except MelodyError:
        outlet.close()
        raise


def find_name(wanted: str, names: Sequence[str]) -> str:
    """The name that is meant: as written, or the one that holds it. Raises `UsageError`."""
    if wanted in names:
        return wanted
    holding = [name for name in names if wanted.casefold() in name.casefold()]
    if len(holding) == 1:
        return holding[0]
    listed = ", ".join(holding or names) or "none"
    raise UsageError(f"port {wanted!r}: {'several fit' if holding else 'not here'}; there are: {listed}")


def _open(name: str | None, way: str) -> Any:
    opened = getattr(mido, f"open_{way}")
    with _system():
        names = list(getattr(mido, f"get_{way}_names")())
        if name is not None:
            return opened(find_name(name, names))
        try:
            return opened(NAME, virtual=True, client_name=NAME)
        except (OSError, NotImplementedError) as error:
            listed = ", ".join(names) or "none; on Windows loopMIDI makes one"
            raise MelodyError(f"no virtual port ({error}); give --port NAME with one of: {listed}") from None


@contextmanager
def _system() -> Iterator[None]:
    """Ask the MIDI system: its failure becomes one line, and the prints of C libraries are not shown."""
    try:
        with _quiet():
            yield
    except ImportError as error:
        raise MelodyError(
            f"MIDI ports need {error.name}: pip install 'melody[live]'; or give --port socket:HOST:PORT"
        ) from None
    except OSError as error:
        raise MelodyError(
            f"no MIDI system here ({str(error).rstrip('.')}); on Linux load the kernel module snd-seq, for JACK alone "
            "set MIDO_BACKEND=mido.backends.rtmidi/UNIX_JACK, or give --port socket:HOST:PORT"
        ) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing on the file behind stderr: ALSA's and JACK's libraries write there whatever they cannot open."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _connect(name: str) -> "TcpPort":
    """A connection to whoever listens at ``socket:HOST:PORT``."""
    host, _, number = name.removeprefix(SOCKET).rpartition(":")
    if not host or not number.isdecimal() or not 0 < int(number) < 2**16:
        raise UsageError(f"--port {name}: write it as socket:HOST:PORT, as socket:localhost:9080")
    try:
        connection = socket.create_connection((host, int(number)), timeout=PATIENCE_SECONDS)
    except OSError as error:
        raise MelodyError(f"{name}: {error.strerror or error}; start the program that listens there first") from None
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else a note may wait 40 ms for its neighbour
    return TcpPort(name, connection)


class TcpPort:
    """The bytes of MIDI over a connection, both ways; as a port of mido's, which looks for one byte at a time.

    The other side may send without end. So each look takes a little from the connection, which then makes the sender
    wait, and no system-exclusive message is kept: nothing here reads them, and one may never end.
    """

    def __init__(self, name: str, connection: socket.socket) -> None:
        self.name, self.closed = name, False
        self._connection, self._parser = connection, mido.Parser()
        self._in_sysex = False

    def send(self, message: Any) -> None:
        """Raises `OSError` where the other side has gone, or takes nothing for seconds."""
        self._connection.sendall(message.bin())

    def poll(self) -> Any:
        """Return the next message that has come, or None."""
        if (message := self._parser.get_message()) is not None or self.closed:
            return message
        if select.select([self._connection], [], [], 0)[0]:
            try:
                data = self._connection.recv(READ_BYTES)
            except OSError:
                data = b""
            self._parser.feed(self._without_sysex(data))
            self.closed = not data
        return self._parser.get_message()

    def _without_sysex(self, data: bytes) -> bytes:
        """Leave out system-exclusive messages; real-time messages may stand in them and stay."""
        kept = bytearray()
        for byte in data:
            if byte < REAL_TIME and byte >= STATUS:
                self._in_sysex = byte == SYSEX
            if not self._in_sysex or byte >= REAL_TIME:
                kept.append(byte)
        return bytes(kept)

    def close(self) -> None:
        """Wait a little for the other side to end: to close over unread messages would take back what was sent."""
        deadline = time.perf_counter() + LINGER_SECONDS
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)
            self._connection.settimeout(LINGER_SECONDS)
            while self._connection.recv(4096) and time.perf_counter() < deadline:
                pass
        self._connection.close()

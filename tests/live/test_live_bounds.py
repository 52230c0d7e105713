"""A player who sends without end: what is heard and kept is bounded, and what is due goes out in time."""

import itertools
import socket
from collections.abc import Iterator
from typing import Any

import pytest

mido = pytest.importorskip("mido")
from support.live_fakes import START, Echo, FakeClock, Wire, as_notes, jam, off, on, played  # noqa: E402

from melody.live import Jam, JamSettings  # noqa: E402
from melody.live import jam as jamming  # noqa: E402
from melody.live.composing import at_once  # noqa: E402
from melody.live.ports import TcpPort  # noqa: E402


class Flood(Wire):
    """A port from which there is always one more message, until a time."""

    until = float("inf")

    def __init__(self, clock: FakeClock, messages: Iterator[Any]) -> None:
        super().__init__(clock)
        self.messages, self.polls = messages, 0

    def poll(self) -> Any:
        self.polls += 1
        return next(self.messages) if self.clock.time < self.until else None


def test_a_flood_of_notes_stops_nothing_and_is_not_kept():
    clock, said = FakeClock(), []
    wire = Flood(clock, itertools.cycle([*map(on, range(100)), *map(off, range(100))]))
    rules = JamSettings(bars=1, qpm=120, rounds=2)
    session = Jam(lambda *heard: at_once(Echo()(*heard)), (wire, wire), clock, rules, say=said.append)
    session.run()
    assert max(session.figures.notes) < 0.001  # every click and note on its time
    assert [one.heard <= jamming.MOST_HEARD for one in session.rounds] == [True, True]
    assert len(session._ear._heard) < 2 * jamming.MOST_HEARD
    assert any("passed over the rest" in line for line in said)
    assert wire.polls < 2 * jamming.MOST_A_STEP * (clock.time - 100) * 1000  # steps of a millisecond, and messages


def test_what_was_played_long_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(jamming, "MOST_KEPT", 8)
    incoming = [pair for bar in range(6) for pair in played([(0, 60 + bar), (1, 70), (2, 72)], START + 4 * bar)]
    session, _, _ = jam(Echo(), incoming, rounds=6, click=False)
    call, answer = session.score().tracks
    assert len(as_notes(call)) == len(as_notes(answer)) == 8
    assert 65 in [note.pitch for note in as_notes(call)]  # the last call
    assert len(session._ear._heard) <= 3


def test_a_flood_of_pulses_makes_few_bars():
    clock, said = FakeClock(), []
    pulses = itertools.chain([mido.Message("start")], itertools.repeat(mido.Message("clock")))
    wire = Flood(clock, pulses)
    wire.until = 101
    rules = JamSettings(bars=1, qpm=120, follows=True, rounds=1)
    with pytest.raises(ClosedAtLast):
        Jam(lambda *heard: at_once(Echo()(*heard)), (ClosesAt(wire, 103), wire), clock, rules, say=said.append).run()
    assert sum("heard nothing" in line for line in said) < 6


class ClosedAtLast(Exception):
    pass


class ClosesAt:
    """A port that ends the session at a time."""

    name, closed = "wire", False

    def __init__(self, wire: Flood, seconds: float) -> None:
        self.wire, self.seconds = wire, seconds

    def poll(self) -> Any:
        if self.wire.clock.time > self.seconds:
            raise ClosedAtLast
        return self.wire.poll()


# ---- over TCP -------------------------------------------------------------------------------------------------------


@pytest.fixture
def link() -> Iterator[tuple[TcpPort, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield TcpPort("socket:test", ours), theirs


def heard(port: TcpPort, looks: int) -> list[Any]:
    return [message for _ in range(looks) if (message := port.poll()) is not None]


def test_one_look_takes_little_whatever_has_come(link: Any):
    port, theirs = link
    theirs.sendall(on(60).bin() * 5000)
    assert port.poll() == on(60)
    assert len(port._parser) < 256
    assert len(heard(port, 10_000)) == 4999


def test_sysex_without_end_is_not_kept_and_hides_nothing(link: Any):
    port, theirs = link
    theirs.sendall(b"\xf0" + b"\x11" * 50_000)
    assert heard(port, 1000) == []
    assert not port._parser._tok._bytes
    theirs.sendall(b"\x11\xf8\x11\xf7" + on(61).bin() + b"\xf0\x01\x02" + on(62).bin())
    assert heard(port, 10) == [mido.Message("clock"), on(61), on(62)]


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_messages_cut_anywhere_come_whole(size: int, link: Any):
    port, theirs = link
    data = on(60).bin() + b"\xf0\x41\x10\xf7" + off(60).bin() + mido.Message("songpos", pos=300).bin()
    found = []
    for start in range(0, len(data), size):
        theirs.sendall(data[start : start + size])
        found += heard(port, 5)
    assert found == [on(60), off(60), mido.Message("songpos", pos=300)]


def test_a_side_that_has_gone_is_seen_once_its_messages_are_heard(link: Any):
    port, theirs = link
    theirs.sendall(on(60).bin() * 3)
    theirs.close()
    assert len(heard(port, 10)) == 3
    assert port.closed

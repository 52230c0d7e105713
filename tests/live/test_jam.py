"""Call and response by a clock that waits for nobody: answers on their lines, other clocks, calls that fail."""

from collections.abc import Iterator
from typing import Any

import pytest

import melody
from melody.errors import MelodyError
from melody.generation import Composer, NewNote
from melody.music.score import GRID, Score, bars

mido = pytest.importorskip("mido")
from support.live_fakes import (  # noqa: E402
    BAR,
    START,
    Echo,
    FakeClock,
    Wire,
    as_notes,
    clock_of,
    hanging,
    jam,
    off,
    on,
    played,
    silenced,
)

from melody.live import Jam, JamSettings  # noqa: E402
from melody.live.composing import at_once  # noqa: E402


@pytest.fixture(scope="module")
def composer() -> Composer:
    return melody.load("chorale")


def test_the_answer_begins_on_the_next_bar_line():
    session, wire, said = jam(Echo(), played(BAR, START), click=False)
    sent = [(when, message.note) for when, message in wire.of("note_on")]
    assert sent == [(pytest.approx(START + 2 + 0.5 * n, abs=1e-6), 72 + 2 * n) for n in range(3)]
    assert session.rounds[0].wait_seconds == pytest.approx(1 - 0.007, abs=0.002)
    assert (session.rounds[0].heard, session.rounds[0].answered) == (3, 3)
    assert said[0].startswith("bar 1: heard 3 notes, answered 3, 0.99 s after your last")
    assert wire.of("stop")[0][0] == pytest.approx(START + 4)
    assert silenced([message for _, message in wire.sent])


def test_the_click_counts_in_and_goes_with_the_player_alone():
    _, wire, _ = jam(Echo(), played(BAR, START))
    heard = [(round((when - 100.25) / 0.5), m.note) for when, m in wire.of("note_on") if m.channel == 9]
    assert heard == [(beat, 77 if beat % 4 else 76) for beat in range(8)]


def test_calls_and_answers_alternate_and_are_remembered():
    incoming = played(BAR, START) + played([(0, 65), (2, 67)], START + 4) + played([(1, 48)], START + 8)
    echo = Echo()
    session, wire, _ = jam(echo, incoming, rounds=3, click=False)
    assert [one.bar for one in session.rounds] == [1, 3, 5]
    assert [len(bars(primer)) - 1 for primer in echo.primers] == [1, 3, 5]
    assert [message.note for _, message in wire.of("note_on")] == [72, 74, 76, 77, 79, 60]
    call, answer = session.score().tracks
    assert [note.onset // GRID for note in as_notes(call)] == [0, 1, 2, 8, 10, 17]
    assert [note.onset // GRID for note in as_notes(answer)] == [4, 5, 6, 12, 14, 21]


def test_what_comes_after_the_last_beat_is_remembered_but_not_answered():
    echo = Echo()
    session, _, _ = jam(echo, played([*BAR, (3.5, 71)], START), click=False)
    assert [note.pitch for note in as_notes(echo.primers[0].tracks[0])] == [60, 62, 64]
    assert 71 in [note.pitch for note in as_notes(session.score().tracks[0])]


def test_later_answers_listen_longer():
    echo = Echo()
    jam(echo, played(BAR, START) + played([*BAR, (3.5, 71)], START + 4), rounds=2, click=False)
    assert as_notes(echo.primers[1].tracks[0])[-1].pitch == 71


def test_an_answer_is_expected_where_the_player_takes_breath_in_the_last_bar():
    clock, echo, expected = FakeClock(), Echo(), []
    incoming = played([(0, 60), (2, 62), (3, 64), (4, 65), (4, 69), (5.5, 67)], START)
    wire = Wire(clock, incoming)
    session = Jam(
        lambda *heard: at_once(echo(*heard)),
        (wire, wire),
        clock,
        JamSettings(bars=2, qpm=120, rounds=1, click=False),
        expect=lambda primer, number: expected.append((clock.time - START, primer, number)),
    )
    session.run()
    # the chord, its end, the last note, its end
    assert [when for when, _, _ in expected] == pytest.approx([2.047, 2.497, 2.783, 3.233], abs=0.005)
    assert [[note.pitch for note in as_notes(one.tracks[0])] for _, one, _ in expected[:2]] == [
        [60, 62, 64, 65, 69]
    ] * 2
    assert [number for _, _, number in expected] == [1] * 4
    assert expected[-1][1] == echo.primers[0]
    assert expected[-2][1] != echo.primers[0]  # the key was still held


def test_silence_is_waited_for():
    session, _, said = jam(Echo(), played(BAR, START + 4), click=False)
    assert said[:2] == ["bar 1: heard nothing, listening on", "bar 2: heard nothing, listening on"]
    assert session.rounds[0].bar == 3


def test_an_early_hand_and_rests_at_the_end_keep_the_answer_on_its_line():
    _, wire, _ = jam(Echo(), played([(-0.05, 60)], START), bars=2, click=False)  # the second bar is empty
    assert wire.of("note_on")[0][0] == pytest.approx(START + 4)


def test_channels_come_back_or_go_where_they_are_sent():
    incoming = [
        (START + 0.1, on(60, 4)),
        (START + 0.2, on(40, 9)),
        (START + 0.5, off(60, 4)),
        (START + 0.5, off(40, 9)),
    ]
    _, wire, _ = jam(Echo(), list(incoming), click=False)
    assert {(m.note, m.channel) for _, m in wire.of("note_on")} == {(72, 4), (52, 9)}
    _, wire, _ = jam(Echo(), list(incoming), click=False, channel=11)
    assert {m.channel for _, m in wire.of("note_on")} == {11}


class Choosy(Echo):
    """Answers high calls alone."""

    def __call__(self, primer: Score, number: int) -> Iterator[NewNote]:
        if min(note.pitch for note in as_notes(primer.tracks[0])) < 50:
            raise MelodyError("too low")
        yield from super().__call__(primer, number)


def test_a_call_that_cannot_be_answered_is_said_and_the_next_one_is_heard():
    incoming = played([(0, 40), (1, 62)], START) + played(BAR, START + 2)
    session, wire, said = jam(Choosy(), incoming)
    assert said[0] == "no answer: too low; listening on"
    assert [(one.bar, one.heard, one.answered) for one in session.rounds] == [(2, 3, 3)]
    assert [m.note for when, m in wire.of("note_on") if m.channel == 0] == [72, 74, 76]
    assert [note.pitch for note in as_notes(session.score().tracks[0])] == [40, 62, 60, 62, 64]
    assert len(session.figures.notes) == 3  # without the clicks
    assert silenced([message for _, message in wire.sent])


class Closing(Wire):
    """The other side goes at a time."""

    at_seconds = START

    @property
    def closed(self) -> bool:
        return self.clock.time >= self.at_seconds


@pytest.mark.parametrize(("seconds", "known"), [(0.1, [[60]]), (0.7, [[60, 62]]), (2.7, [[60, 62, 64], [72, 74]])])
def test_what_was_played_is_known_whenever_it_ends(seconds: float, known: list[list[int]]):
    clock = FakeClock()
    wire = Closing(clock, played(BAR, START))
    wire.at_seconds = START + seconds
    session = Jam(lambda *heard: at_once(Echo()(*heard)), (wire, wire), clock, JamSettings(bars=1, qpm=120))
    with pytest.raises(MelodyError, match="closed"):
        session.run()
    assert [[note.pitch for note in as_notes(track)] for track in session.score().tracks] == known


def test_it_ends_when_the_other_side_closes():
    clock = FakeClock()
    wire = Wire(clock)
    wire.closed = True
    with pytest.raises(MelodyError, match="closed"):
        Jam(Echo(), (wire, wire), clock, JamSettings()).run()


def test_another_clock_is_followed():
    incoming = clock_of(103, 16, 90) + played(BAR, 103, 90)
    session, wire, said = jam(Echo(), incoming, qpm=120, follows=True, click=False)
    line = 103 + 4 * 60 / 90
    assert [when for when, _ in wire.of("note_on")] == pytest.approx([line + n * 60 / 90 for n in range(3)], abs=0.004)
    assert not wire.of("clock", "start", "stop")
    assert said[0] == "waiting for the clock to start"
    assert [round(tempo.qpm) for tempo in session.score().tempos] == [90]


def test_a_clock_that_stops_silences_and_begins_anew():
    first = [*clock_of(101, 5, 120), (101 + 2.4, mido.Message("stop")), *played(BAR, 101)]
    session, wire, said = jam(
        Echo(), first + clock_of(110, 8, 120) + played(BAR, 110), qpm=120, follows=True, click=False
    )
    assert "the clock has stopped" in said
    assert [when for when, _ in wire.of("note_on")][-3:] == pytest.approx([112, 112.5, 113], abs=0.004)
    assert not hanging([m for when, m in wire.sent if when < 103.5])
    assert len(session.rounds) == 1


def test_a_clock_that_is_lost_has_stopped():
    incoming = clock_of(101, 2, 120) + clock_of(110, 8, 120) + played(BAR, 110)
    _, _, said = jam(Echo(), incoming, qpm=120, follows=True, click=False)
    assert said.count("the clock has stopped") == 1


def test_melody_answers_with_as_many_bars_in_the_players_range(composer: Composer):
    incoming = played([(n, 67 + [0, 2, 4, 5, 7, 5, 2][n]) for n in range(7)], START)

    def answer(primer: Score, number: int) -> Any:
        return composer.stream(primer, seed=number, bars=2, ending=False)

    session, wire, _ = jam(answer, incoming, bars=2, click=False)
    sent = wire.of("note_on")
    assert session.rounds[0].answered == len(sent) >= 2
    assert all(START + 4 <= when < START + 8 for when, _ in sent)
    assert all(60 <= message.note <= 84 for _, message in sent)

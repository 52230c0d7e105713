"""Playing and jamming by a clock that waits for nobody: deadlines, silence at the end, hearing, call and response."""

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import melody
from melody.errors import MelodyError
from melody.generation import Composer, NewNote
from melody.music.score import GRID, Score, bars

mido = pytest.importorskip("mido")
from support.live_fakes import QUARTER, FakeClock, Wire, as_notes, hanging, off, on, silenced, tune  # noqa: E402

from melody.live import ComposerProcess, Jam, Rules, play  # noqa: E402
from melody.live.clock import ClockFollower, TempoMap  # noqa: E402
from melody.live.composing import at_once, empty_score  # noqa: E402
from melody.live.events import clicks, events_of, final_line  # noqa: E402
from melody.live.scheduler import Figures, Stage, performing  # noqa: E402
from melody.live.transcribe import Ear, Tone, quantized_onsets, score_of  # noqa: E402

# ---- time -----------------------------------------------------------------------------------------------------------


def test_seconds_of_a_tempo_map_by_hand():
    there = TempoMap([(0, 120), (960, 60), (1440, 240)], start=10)
    assert [there.seconds_at(tick) for tick in (0, 480, 960, 1440, 1920)] == [10, 10.5, 11, 12, 12.25]


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(1, 5000), st.floats(20, 400)), max_size=5),
    st.floats(0, 50_000),
)
def test_a_tempo_map_leads_back(changes: list[tuple[int, float]], tick: float):
    ticks = np.cumsum([step for step, _ in changes]).tolist()
    there = TempoMap([(0, 100), *zip(ticks, [qpm for _, qpm in changes], strict=True)], start=3)
    assert there.tick_at(there.seconds_at(tick)) == pytest.approx(tick, abs=1e-4)


def test_a_follower_takes_the_jitter_out_of_a_clock():
    follower, chance = ClockFollower(120), np.random.default_rng(1)
    follower.start()
    pulse = 60 / 93 / 24
    for number in range(100):
        follower.pulse(50 + number * pulse + chance.uniform(-0.002, 0.002))
    assert follower.qpm == pytest.approx(93, rel=0.01)
    assert follower.seconds_at(120 * 20) == pytest.approx(50 + 120 * pulse, abs=0.004)


def test_a_follower_follows_a_new_tempo_within_a_quarter_and_starts_again():
    follower, now = ClockFollower(120), 0.0
    follower.start()
    for qpm in [60] * 48 + [140] * 48:
        now += 60 / qpm / 24
        follower.pulse(now)
    assert follower.qpm == pytest.approx(140, rel=0.001)
    follower.stop()
    follower.pulse(now + 1)
    assert not follower.running
    follower.locate(1920)
    follower.resume()
    follower.pulse(now + 5)
    assert follower.tick_at(now + 5) == pytest.approx(1920)
    assert follower.is_lost(now + 7)


# ---- the stage ------------------------------------------------------------------------------------------------------


def test_every_message_goes_out_at_its_deadline_whatever_the_tempo():
    clock = FakeClock()
    wire = Wire(clock)
    score = tune(100, tempos=((1000, 47.3), (2500, 180)))
    figures = play(score, wire, clock)
    there = TempoMap([(tempo.time, tempo.qpm) for tempo in score.tempos], start=100.25)
    sent = [(when, message.note) for when, message in wire.of("note_on")]
    assert [note for _, note in sent] == [72, 74, 76, 77, 79, 77, 74, 72]
    assert [when for when, _ in sent] == pytest.approx([there.seconds_at(n * QUARTER) for n in range(8)], abs=1e-6)
    assert max(figures.notes) < 1e-6
    pulses = [when for when, _ in wire.of("clock")]
    assert pulses == pytest.approx([there.seconds_at(20 * n) for n in range(8 * 24)], abs=1e-6)
    kinds = [message.type for _, message in wire.sent]
    assert kinds.index("program_change") < kinds.index("start") < kinds.index("clock") < kinds.index("note_on")
    assert kinds[-1] == "stop"
    assert silenced([message for _, message in wire.sent])


def test_waking_late_leaves_no_drift():
    clock = FakeClock(late=0.0007)
    figures = play(tune(), Wire(clock), clock)
    assert max(figures.notes + figures.pulses) < 0.0008


def test_of_one_tick_the_pulse_comes_first_and_notes_end_before_others_begin():
    clock = FakeClock()
    wire = Wire(clock)
    play(tune(), wire, clock)
    at_second = [message.type for when, message in wire.sent if when == pytest.approx(100.75, abs=1e-6)]
    assert at_second == ["clock", "note_off", "note_on"]


def test_without_clock_only_notes_are_sent():
    clock = FakeClock()
    wire = Wire(clock)
    play(tune(), wire, clock, sends_clock=False)
    assert not wire.of("clock", "start", "stop")
    assert len(wire.of("note_on")) == 8


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError("a bug")])
def test_nothing_sounds_on_whatever_happens(error: Any):
    clock = FakeClock()
    wire = Wire(clock)
    stage = Stage(wire, clock, TempoMap([(0, 120)], 100), sends_clock=True, step_seconds=0.001)
    stage.add_note(0, 10 * QUARTER, 60, 90, 3)

    def attend(now: float) -> None:
        if now > 101:
            raise error

    stage.attend = attend
    with pytest.raises(error if isinstance(error, type) else type(error)), performing(stage):
        stage.run_until(4 * QUARTER)
    messages = [message for _, message in wire.sent]
    assert silenced(messages)
    assert messages[-1].type == "stop"


def test_a_port_that_closes_is_told_in_one_line():
    clock = FakeClock()

    class Broken(Wire):
        def send(self, message: Any) -> None:
            if self.clock.time > 101:
                raise OSError("Broken pipe")
            super().send(message)

    with pytest.raises(MelodyError, match="wire: closed while playing"):
        play(tune(), Broken(clock), clock)


def test_a_note_that_comes_late_sounds_at_once_or_not_at_all():
    clock = FakeClock()
    wire = Wire(clock)
    stage = Stage(wire, clock, TempoMap([(0, 120)], 100), sends_clock=False, step_seconds=0.001)
    clock.time = 101  # a half note later
    assert stage.add_note(480, 960, 60, 90, 0)
    assert not stage.add_note(480, 480, 62, 90, 0)
    stage.run_until(1920)
    assert [(when, m.note) for when, m in wire.of("note_on")] == [(101, 60)]
    assert (stage.figures.behind, stage.figures.missed) == (1, 1)
    assert stage.figures.notes == [pytest.approx(0.5)]


def test_figures_by_hand():
    figures = Figures(notes=[0.001, 0.002, 0.003], missed=2)
    assert figures.to_dict() == {
        "notes": {"sent": 3, "median_ms": 2, "p95_ms": 2.9, "max_ms": 3},
        "behind": 0,
        "missed": 2,
    }
    assert figures.lines()[0] == "3 notes sent, late by 2.00 ms (median), 2.90 ms (95 %), 3.00 ms (max)"
    assert figures.lines()[1] == "composed too late: 0 notes that sounded late, 2 that were left out"


def test_a_score_keeps_its_channels_programs_and_drums():
    score = tune(tracks=3)
    score.tracks[1].is_drum = True
    events = [event.message for event in events_of(score)]
    assert [(m.channel, m.program) for m in events if m.type == "program_change"] == [(0, 10), (9, 11), (1, 12)]
    assert {m.channel for m in events if m.type == "note_on"} == {0, 9, 1}
    assert not hanging(events)


def test_clicks_by_the_meter():
    heard = [(e.tick, e.message.note) for e in clicks(1440, 4320, (6, 8)) if e.message.type == "note_on"]
    assert heard == [(1440 + 240 * n, 77 if n % 6 else 76) for n in range(12)]


# ---- playing on -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def composer() -> Composer:
    return melody.load("chorale")


def test_what_is_composed_follows_the_theme_without_a_break(composer: Composer):
    clock = FakeClock()
    wire, theme = Wire(clock), tune(tracks=2)
    new = at_once(composer.stream(theme, bars=3, seed=5))
    play(theme, wire, clock, new=new)
    take = composer.compose(theme, bars=3, seed=5)[0]
    wanted = sorted((100.25 + n.onset / 960, n.pitch) for t in take.score.tracks for n in as_notes(t))
    sent = sorted((when, message.note) for when, message in wire.of("note_on"))
    assert np.allclose(wanted, sent, atol=1e-6)
    assert wire.of("stop")[0][0] == pytest.approx(100.25 + 5 * 2)
    assert new.take
    assert final_line(new.take.score) == 5 * 1920


def test_from_nothing_it_sounds_with_the_tracks_of_the_model(composer: Composer):
    clock = FakeClock()
    wire = Wire(clock)
    new = at_once(composer.stream(None, bars=2, seed=5, tempo_qpm=90))
    play(empty_score(composer.bundle.tracks, 90), wire, clock, new=new)
    assert {message.channel for _, message in wire.of("note_on")} == {0, 1, 2, 3}
    assert wire.of("note_on")[0][0] == pytest.approx(100.25)
    assert new.first_after_seconds > 0


def test_what_composing_raises_is_raised_where_it_plays(composer: Composer):
    clock = FakeClock()
    wire, empty = Wire(clock), empty_score(composer.bundle.tracks, 90)
    new = at_once(composer.stream(empty, bars=2))
    with pytest.raises(MelodyError, match="no notes"):
        play(tune(), wire, clock, new=new)
    assert silenced([message for _, message in wire.sent])


def awaited(composing: Any) -> list[NewNote]:
    """All notes of a composition, however long it takes."""
    notes, deadline = [], time.monotonic() + 60
    while composing.take is None and time.monotonic() < deadline:
        notes += composing.ready()
        time.sleep(0.005)
    return notes


def test_another_process_composes_the_same_and_gives_up_when_it_is_asked_for_more(composer: Composer):
    theme, before = tune(), composer.compose(tune(), bars=3, seed=5)[0]
    with closing(ComposerProcess("chorale")) as process:
        assert (process.name, process.tempo_qpm) == (composer.bundle.name, composer.bundle.tempo_qpm)
        given_up = process.begin(theme, bars=1000, seed=1)
        composing = process.begin(theme, bars=3, seed=5)
        notes = awaited(composing)
        assert len(notes) == before.notes
        assert composing.take.settings == before.settings
        assert composing.first_after_seconds > 0
        assert given_up.take is None
        failing = process.begin(empty_score(process.tracks, 90), bars=1)
        with pytest.raises(MelodyError, match="no notes"):
            awaited(failing)
        process._process.terminate()
        process._process.join()
        with pytest.raises(MelodyError, match="ended unexpectedly"):
            awaited(composing.__class__(lambda: process._received(9)))


def test_a_model_that_is_not_there_is_told_at_once():
    with pytest.raises(MelodyError, match="did you mean chorale"):
        ComposerProcess("chorle")


# ---- hearing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("played", "meant"),
    [
        ([0.4, 5.5, 12.6, 18.3], [0, 6, 12, 18]),  # sixteenths
        ([0.4, 8.6, 15.5], [0, 8, 16]),  # a triplet
        ([23.2, 32.4, 39.3, 48.5], [24, 32, 40, 48]),  # one that begins a little early
        ([0, 15.3, 24.4, 39.8], [0, 16, 24, 40]),  # swung quavers
        ([0, 11.2, 24, 31.6, 40.2], [0, 12, 24, 32, 40]),  # straight, then a triplet
        ([-0.9, 7], [0, 6]),  # one onset between both is no triplet
    ],
)
def test_hands_are_heard_as_they_were_meant(played: list[float], meant: list[int]):
    assert quantized_onsets(np.array(played)).tolist() == meant


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 40), st.floats(-1.1, 1.1)), min_size=1, max_size=20))
def test_sixteenths_within_a_hundredth_of_a_second_come_back(notes: list[tuple[int, float]]):
    """1.1 ticks are 23 ms at 120."""
    meant = np.array([6 * slot for slot, _ in notes])
    played = meant + np.array([error for _, error in notes])
    heard = quantized_onsets(played)
    assert (np.abs(heard - meant) <= 2).all()  # a slot may be taken for a triplet's, when it alone is there
    whole = np.unique(meant // GRID)[np.bincount(meant // GRID)[np.unique(meant // GRID)] > 0]
    for quarter in whole:
        here = meant // GRID == quarter
        if {0, 6, 12, 18} <= set((meant[here] % GRID).tolist()):
            assert (heard[here] == meant[here]).all()


def test_an_ear_hears_what_begins_in_a_call():
    ear = Ear()
    for tick, message in [(0, on(50)), (100, off(50)), (1915, on(60, 2, 70)), (2410, off(60, 2)), (2880, on(64))]:
        assert ear.hear(message, tick) == (message.type == "note_on")
    assert not ear.hear(on(67, velocity=0), 2900)
    assert ear.tones(1920, 3840) == [Tone(2, 96, 24, 60, 70), Tone(0, 144, 48, 64, 80)]  # the last is held
    score, channels = score_of(ear.tones(1920, 3840), 96, (4, 4), 90)
    assert channels == [0, 2]
    assert [(n.onset, n.pitch) for t in score.tracks for n in as_notes(t)] == [(48, 64), (0, 60)]
    assert len(bars(score)) - 1 == 1


# ---- call and response ----------------------------------------------------------------------------------------------


class Echo:
    """An answer that repeats the last bars heard an octave higher, and remembers what it was given."""

    def __init__(self, count: int = 1) -> None:
        self.primers: list[Score] = []
        self.count = count

    def __call__(self, primer: Score, number: int) -> Iterator[NewNote]:
        self.primers.append(primer)
        length = final_line(primer)
        for index, track in enumerate(primer.tracks):
            for note in as_notes(track):
                onset, duration = note.onset * 20, note.duration * 20
                if onset >= length - self.count * 1920:
                    yield NewNote(index, onset + self.count * 1920, duration, note.pitch + 12, 80, 0)


def played(notes: list[tuple[float, int]], start: float, qpm: float = 120) -> list[tuple[float, Any]]:
    """Messages of quarters by their place in quarters, with the unevenness of a hand."""
    second = 60 / qpm
    return [
        (start + second * (at + shift) + 0.007 * (-1) ** place, message)
        for place, (at, pitch) in enumerate(notes)
        for shift, message in ((0, on(pitch)), (0.9, off(pitch)))
    ]


BAR = [(0, 60), (1, 62), (2, 64)]
START = 100.25 + 2  # after a bar of count-in at 120


def jam(answer: Any, incoming: list[tuple[float, Any]], **rules: Any) -> tuple[Jam, Wire, list[str]]:
    clock, said = FakeClock(), []
    wire = Wire(clock, incoming)
    rules = {"bars": 1, "qpm": 120, "rounds": 1} | rules
    session = Jam(lambda *heard: at_once(answer(*heard)), (wire, wire), clock, Rules(**rules), say=said.append)
    session.run()
    return session, wire, said


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
    session = Jam(lambda *heard: at_once(Echo()(*heard)), (wire, wire), clock, Rules(bars=1, qpm=120))
    with pytest.raises(MelodyError, match="closed"):
        session.run()
    assert [[note.pitch for note in as_notes(track)] for track in session.score().tracks] == known


def test_it_ends_when_the_other_side_closes():
    clock = FakeClock()
    wire = Wire(clock)
    wire.closed = True
    with pytest.raises(MelodyError, match="closed"):
        Jam(Echo(), (wire, wire), clock, Rules()).run()


def clock_of(start: float, quarters: int, qpm: float) -> list[tuple[float, Any]]:
    pulses = [(start + n * 60 / qpm / 24, mido.Message("clock")) for n in range(24 * quarters)]
    return [(start - 0.01, mido.Message("start")), *pulses]


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

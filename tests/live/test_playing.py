"""Playing by a clock that waits for nobody: deadlines, silence at the end, and what is composed behind a score."""

import time
from contextlib import closing
from typing import Any

import numpy as np
import pytest

import melody
from melody.errors import MelodyError
from melody.generation import Composer, NewNote
from melody.music.score import notes_of, set_notes

mido = pytest.importorskip("mido")
from support.live_fakes import QUARTER, FakeClock, Wire, as_notes, hanging, silenced, tune  # noqa: E402

from melody.live import ComposerProcess, play  # noqa: E402
from melody.live.clock import TempoMap  # noqa: E402
from melody.live.composing import _Begun, at_once, empty_score  # noqa: E402
from melody.live.events import clicks, events_of, final_line  # noqa: E402
from melody.live.scheduler import Lateness, Scheduler, performing  # noqa: E402


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
    scheduler = Scheduler(wire, clock, TempoMap([(0, 120)], 100), sends_clock=True, step_seconds=0.001)
    scheduler.add_note(0, 10 * QUARTER, 60, 90, 3)

    def attend(now: float) -> None:
        if now > 101:
            raise error

    scheduler.attend = attend
    with pytest.raises(error if isinstance(error, type) else type(error)), performing(scheduler):
        scheduler.run_until(4 * QUARTER)
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
    scheduler = Scheduler(wire, clock, TempoMap([(0, 120)], 100), sends_clock=False, step_seconds=0.001)
    clock.time = 101  # a half note later
    assert scheduler.add_note(480, 960, 60, 90, 0)
    assert not scheduler.add_note(480, 480, 62, 90, 0)
    scheduler.run_until(1920)
    assert [(when, m.note) for when, m in wire.of("note_on")] == [(101, 60)]
    assert (scheduler.figures.behind, scheduler.figures.missed) == (1, 1)
    assert scheduler.figures.notes == [pytest.approx(0.5)]


def test_figures_by_hand():
    figures = Lateness(notes=[0.001, 0.002, 0.003], missed=2)
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
    assert new.took_seconds > 0
    assert new.bar_after_seconds > 0


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
        assert 0 < composing.took_seconds < composing.bar_after_seconds
        assert given_up.take is None
        failing = process.begin(empty_score(process.tracks, 90), bars=1)
        with pytest.raises(MelodyError, match="no notes"):
            awaited(failing)
        process._process.terminate()
        process._process.join()
        with pytest.raises(MelodyError, match="ended unexpectedly"):
            awaited(composing.__class__(lambda: process._received(9)))


@pytest.mark.parametrize("ended", [(8, 5), (8, 6), (7, 5)])  # as it was expected, with another seed, a note less
def test_what_was_expected_is_composed_and_anything_else_too(composer: Composer, ended: tuple[int, int]):
    notes, seed = ended
    theme, expected = tune(), tune()
    set_notes(theme.tracks[0], notes_of(theme.tracks[0]).take(np.arange(notes)))
    with closing(ComposerProcess("chorale")) as process:
        process.expect(expected, bars=3, seed=5)
        composing = process.begin(theme, bars=3, seed=seed)
        found = awaited(composing)
    before = composer.compose(theme, bars=3, seed=seed, humanize=0.0)[0]
    assert composing.take.settings == before.settings
    assert composing.take.score == before.score
    assert len(found) == before.notes


def test_the_first_bar_of_what_is_expected_is_drawn_unless_something_else_is_asked_for(composer: Composer):
    whole, begun, interrupted = (_Begun(composer, (tune(), {"bars": 3, "seed": 5})) for _ in range(3))
    begun.draw_bar(lambda: False)
    interrupted.draw_bar(lambda: True)
    assert [kind for kind, _ in interrupted._drawn] == ["took"]
    bars = [note.bar for kind, note in begun._drawn if kind == "note"]
    assert (bars[0], bars[-1], bars.count(bars[-1])) == (3, 4, 1)
    items = [item for kind, item in whole.items() if kind == "note"]
    assert [item for kind, item in begun.items() if kind == "note"] == items
    assert [item for kind, item in interrupted.items() if kind == "note"] == items


def test_a_model_that_is_not_there_is_told_at_once():
    with pytest.raises(MelodyError, match="did you mean chorale"):
        ComposerProcess("chorle")

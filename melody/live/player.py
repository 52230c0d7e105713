"""``melody play``: a score goes to a port in time, and what is composed behind it follows without a break."""

from collections.abc import Sequence

from melody.formats.midi.writer import channels
from melody.live.clock import TempoMap, TimeSource
from melody.live.composing import Composing
from melody.live.events import events_of, final_line, is_setup, tempos_of
from melody.live.ports import Outlet
from melody.live.scheduler import Lateness, Scheduler, performing
from melody.music.score import TICKS_PER_QUARTER, Score

STEP_SECONDS = 0.005  # how often new notes are looked for
LEAD_IN_SECONDS = (
    0.25  # in which synthesizers load their programs, and a model that starts from nothing its first notes
)


def play(
    score: Score, outlet: Outlet, clock: TimeSource, *, new: Composing | None = None, sends_clock: bool = True
) -> Lateness:
    """Play a score, and after it the notes of `new`, whose tracks are the score's; returns how late each went out.

    A score without notes gives tracks, programs and tempo to music from nothing. Raises `MelodyError` where the port
    is closed; whatever is raised, nothing sounds on.
    """
    transport = TempoMap(tempos_of(score), clock.now() + LEAD_IN_SECONDS)
    scheduler = Scheduler(outlet, clock, transport, sends_clock=sends_clock, step_seconds=STEP_SECONDS)
    events = events_of(score)
    with performing(scheduler):
        scheduler.send_now(event for event in events if is_setup(event))
        scheduler.add(event for event in events if not is_setup(event))
        if new:
            _follow(scheduler, new, channels(score.tracks))
        scheduler.start()
        scheduler.run_until(final_line(score) if any(len(track.notes) for track in score.tracks) else 0)
        if new:
            scheduler.run_until(_end_of(new, scheduler))
    return scheduler.figures


def _follow(scheduler: Scheduler, new: Composing, channel_of: Sequence[int]) -> None:
    """Let the scheduler take new notes as they come."""

    def attend(now: float) -> None:
        for note in new.ready():
            scheduler.add_note(note.onset, note.duration, note.pitch, note.velocity, channel_of[note.track])

    scheduler.attend = attend


def _end_of(new: Composing, scheduler: Scheduler) -> int:
    """The tick of the bar line on which the new music ends; until it is composed, play on."""
    while new.take is None:
        scheduler.run_until(scheduler.transport.tick_at(scheduler.clock.now()) + TICKS_PER_QUARTER // 4)
    return final_line(new.take.score)

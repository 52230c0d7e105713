"""``melody jam``: call and response in tempo. The player has N bars, melody answers with N, and so on.

    | count-in | call ........ | answer ...... | call ........ | answer ...... |
                            ^ composed from what was heard up to here

Composing starts before the bar line, so that the answer stands on it: the first one a beat before, later ones as long
before as the slowest first note of an answer took, twice, and a little more, at most a beat. What is played after that
is remembered for the next answer. A key held down there is heard up to the line. The answer's later notes are
composed while the earlier ones sound.

In the last bar of a call its answer is expected, whenever the player takes breath: as if the call was over, the first
bar of the answer is composed. Where nothing more comes it is there when it is asked for; else it is thrown away, but
what the model has read of the call it does not read again.

A call that the model cannot answer is said, and the next one is waited for: it is composed from without that one.

The tempo is a given one, with a click and a count-in; or that of another's MIDI clock, whose start makes bar 1.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from melody.errors import MelodyError
from melody.live.clock import ClockFollower, TempoMap, TimeSource
from melody.live.composing import Composing
from melody.live.events import clicks, final_line
from melody.live.ports import Inlet, Outlet
from melody.live.scheduler import Lateness, Scheduler, performing
from melody.live.transcribe import MOST_HEARD, SCALE, Ear, HeardNote, score_of
from melody.music.score import TICKS_PER_QUARTER, Score, bar_length

if TYPE_CHECKING:
    from melody.generation import NewNote

# Given what was heard so far, whose last bar line is where the answer begins, and its number from 1.
Answer = Callable[[Score, int], Composing]
# Likewise, of a call that may be over: what is made ready of its answer is there when that is asked for.
Expect = Callable[[Score, int], None]

LEAD_IN_SECONDS = 0.25
STEP_SECONDS = 0.001  # how often what comes in is looked at, and so how exactly onsets are heard
MARGIN_SECONDS = 0.03  # beside twice the time of the slowest first note
BREATH_SECONDS = 0.04  # without a message, after which a call may be over: fingers of a chord are closer
MOST_A_STEP = 32  # messages that are heard before what is due is sent: a MIDI cable carries one a millisecond
MOST_KEPT = 50_000  # notes of the player's and of melody's that a session remembers, for its file: some three hours
MEMORY_BARS = 16  # of what was played that an answer is composed from, or twice the bars of a call


@dataclass(frozen=True)
class JamSettings:
    """Settings of a jam session."""

    bars: int = 4  # of a call, and of its answer
    meter: tuple[int, int] = (4, 4)
    qpm: float = 100.0  # with `follows`: until a sixteenth of clock was heard
    rounds: int | None = None  # answers after which it ends; None: with Ctrl-C
    click: bool = True  # while the player plays
    follows: bool = False  # another's MIDI clock
    channel: int | None = None  # of the answers, from 0; None: the player's


@dataclass(frozen=True)
class JamRound:
    """Facts of an answer."""

    bar: int  # the first of the call, from 1
    heard: int  # notes
    answered: int
    wait_seconds: float | None  # from the call's last onset to the answer's first
    took_seconds: float | None  # of composing, to the first note
    bar_after_seconds: float | None  # from the end of listening until the answer's first bar was there


class ClockStopped(Exception):
    """The clock that is followed has stopped, or is lost."""


class Jam:
    """A session. `run` plays it; afterwards `rounds`, `figures` and `score` tell of it."""

    def __init__(
        self,
        answer: Answer,
        ports: tuple[Inlet, Outlet],
        clock: TimeSource,
        rules: JamSettings,
        *,
        expect: Expect = lambda primer, number: None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.rounds: list[JamRound] = []
        self._expect = expect
        self._answer, self._clock, self._rules, self._say = answer, clock, rules, say
        self._inlet, outlet = ports
        self._bar = int(bar_length(*rules.meter, TICKS_PER_QUARTER))
        self._follower = ClockFollower(rules.qpm)
        self._scheduler = Scheduler(
            outlet, clock, self._follower, sends_clock=not rules.follows, step_seconds=STEP_SECONDS
        )
        self._scheduler.attend = self._attend
        self._composing: Composing | None = None
        self._lead_seconds = float("inf")  # cut to a beat
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._ear = Ear()
        self._calls: deque[HeardNote] = deque(maxlen=MOST_KEPT)
        self._answers: deque[HeardNote] = deque(maxlen=MOST_KEPT)
        self._answered: list[HeardNote] = []  # of the answer that is under way
        self._line = 0  # where the next call begins, in ticks
        self._memory_line = 0  # before it nothing is composed from
        self._last_onset_seconds: float | None = None
        self._call: tuple[int, int] | None = None  # its first tick and its line, while it is listened to
        self._breath_at_seconds: float | None = None  # when the call may be over, where it has changed since

    @property
    def figures(self) -> Lateness:
        """Lateness of the messages that went out."""
        return self._scheduler.figures

    def score(self) -> Score:
        """The session since the clock began, as it was heard: the player's track and melody's."""
        start = 0 if self._rules.follows else self._bar // SCALE
        score, _ = score_of([], start, self._rules.meter, self._qpm)
        for name, tones in (("Call", self._calls), ("Answer", self._answers)):
            part, _ = score_of(tones, start, self._rules.meter, self._qpm)
            for track in part.tracks:
                track.name = name
                score.tracks.append(track)
        return score

    def run(self) -> None:
        """Play until the rounds are over. Raises `MelodyError` where a port is closed or the composer has gone."""
        with performing(self._scheduler):
            while self._goes_on:
                self._session()

    def _session(self) -> None:
        """Play from the start of the clock to its stop."""
        try:
            self._begin()
            while self._goes_on:
                self._round()
        except ClockStopped:
            self._composing = None
            self._scheduler.silence()
            self._say("the clock has stopped")

    @property
    def _goes_on(self) -> bool:
        return self._rules.rounds is None or len(self.rounds) < self._rules.rounds

    @property
    def _qpm(self) -> float:
        return self._follower.qpm if self._rules.follows else self._rules.qpm

    # ---- its parts ---------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Count in, or wait for the clock."""
        self._begin_anew()
        if self._rules.follows:
            self._say("waiting for the clock to start")
            while not self._follower.is_ticking:
                now = self._clock.now()
                self._attend(now)
                self._clock.sleep_until(now + STEP_SECONDS)
            now_tick = self._follower.tick_at(self._clock.now())
            self._line = self._bar * -int(-max(0.0, now_tick - TICKS_PER_QUARTER / 4) // self._bar)
            return
        self._scheduler.transport = TempoMap([(0, self._rules.qpm)], self._clock.now() + LEAD_IN_SECONDS)
        self._scheduler.start()
        self._line = self._bar
        if self._rules.click:
            self._scheduler.add(clicks(0, self._bar, self._rules.meter), counted=False)

    def _round(self) -> None:
        """A call and its answer; after silence, the next call."""
        first, line = self._line, self._line + self._rules.bars * self._bar
        self._line = line
        if self._rules.click:
            self._scheduler.add(clicks(first, line, self._rules.meter), counted=False)
        self._call = first, line
        try:
            self._scheduler.run_until(self._cutoff(line))
            self._call = None
            heard = self._ear.tones(first, line)
            if heard:
                self._compose(heard, line)
            self._scheduler.run_until(line)
        finally:
            self._calls += self._ear.tones(first, line)
            if self._ear.is_full:
                self._say(f"bar {self._number(first)}: heard more than {MOST_HEARD:,} notes and passed over the rest")
            self._ear.forget(line - TICKS_PER_QUARTER)
        if not heard:
            self._say(f"bar {self._number(first)}: heard nothing, listening on")
        elif not self._is_refused:
            self._reply(first, len(heard))

    def _reply(self, first: int, heard: int) -> None:
        """Play the answer to a call that began at `first`."""
        before, last_onset = len(self.figures.notes), self._last_onset_seconds
        self._line += self._rules.bars * self._bar
        try:
            self._scheduler.run_until(self._line)
        finally:
            now_tick = self._scheduler.transport.tick_at(self._clock.now())
            self._answers += [tone for tone in self._answered if tone.onset * SCALE < now_tick]
        if not self._is_refused:
            sent = self.figures.sent_at[before : before + 1]
            self._tell(first, heard, sent[0] - last_onset if sent and last_onset else None)

    @property
    def _is_refused(self) -> bool:
        """True where nothing of an answer could be composed."""
        return self._composing is not None and self._composing.refusal is not None and not self._answered

    def _cutoff(self, line: int) -> float:
        """The tick up to which an answer that begins at `line` listens."""
        transport, beat = self._scheduler.transport, 4 * TICKS_PER_QUARTER / self._rules.meter[1]
        return max(line - beat, transport.tick_at(transport.seconds_at(line) - self._lead_seconds))

    def _compose(self, heard: list[HeardNote], line: int) -> None:
        """Begin an answer to what was heard now and before."""
        primer, self._channels = self._primer(heard, line)
        self._shift = line - final_line(primer)  # bars of rest at a call's end are not heard
        self._answered = []
        self._composing = self._answer(primer, len(self.rounds) + 1)

    def _primer(self, heard: list[HeardNote], line: int) -> tuple[Score, list[int]]:
        """A score of what was heard now and before, and the channels of its tracks."""
        memory = max(MEMORY_BARS, 2 * self._rules.bars) * self._bar // SCALE
        since = max(line // SCALE - memory, self._memory_line // SCALE)
        tones = [tone for tone in (*self._calls, *self._answers) if tone.onset >= since] + heard
        bar = self._bar // SCALE
        start = min(tone.onset for tone in tones) // bar * bar
        qpm = round(self._qpm) if self._rules.follows else self._qpm  # the same while a clock wavers
        return score_of(tones, start, self._rules.meter, qpm)

    def _look_ahead(self, now: float) -> None:
        """Expect an answer to what was heard, where the call has changed, may be over and is in its last bar.

        What would not be there in time, by the slowest answer so far, would only be in the way.
        """
        if self._call is None or self._breath_at_seconds is None or now < self._breath_at_seconds:
            return
        (first, line), transport = self._call, self._scheduler.transport
        in_time = transport.tick_at(now + self._slowest_seconds) <= self._cutoff(line)
        if in_time and transport.tick_at(now) >= line - self._bar:
            self._breath_at_seconds = None
            if heard := self._ear.tones(first, line):
                self._expect(self._primer(heard, line)[0], len(self.rounds) + 1)

    @property
    def _slowest_seconds(self) -> float:
        """The longest time that composing took to a first note; 0 until something is known."""
        return max((one.took_seconds or 0.0 for one in self.rounds), default=0.0)

    def _tell(self, first: int, heard: int, wait: float | None) -> None:
        """Remember the answer, and say what is known of it."""
        assert self._composing
        took, after = self._composing.took_seconds, self._composing.bar_after_seconds
        self._composing = None
        self.rounds.append(JamRound(self._number(first), heard, len(self._answered), wait, took, after))
        if slowest := self._slowest_seconds:
            self._lead_seconds = 2 * slowest + MARGIN_SECONDS
        waited = "" if wait is None else f", {wait:.2f} s after your last"
        composed = "" if after is None else f"; its first bar was there {after * 1000:.0f} ms after your call"
        self._say(f"bar {self._number(first)}: heard {heard} notes, answered {len(self._answered)}{waited}{composed}")

    def _number(self, tick: int) -> int:
        """A bar's number, from 1; the count-in has none."""
        return tick // self._bar + (1 if self._rules.follows else 0)

    # ---- what comes in -----------------------------------------------------------------------------------------------

    def _attend(self, now: float) -> None:
        """Hear what has come, and take what has been composed."""
        for _ in range(MOST_A_STEP):
            if (message := self._inlet.poll()) is None:
                break
            self._hear(message, now)
        if self._inlet.closed:
            raise MelodyError(f"{getattr(self._inlet, 'name', 'port')}: the other side has closed it")
        if self._rules.follows and self._follower.is_lost(now):
            self._follower.stop()
            raise ClockStopped
        self._look_ahead(now)
        if self._composing:
            self._take(self._ready(self._composing))

    def _ready(self, composing: Composing) -> "Sequence[NewNote]":
        """Return the notes that have come of the answer; a call that cannot be answered ends nothing."""
        try:
            return composing.ready()
        except MelodyError as error:
            if composing.refusal is None:  # nothing more will come
                raise
            self._memory_line = self._line
            self._say(f"no answer: {error}; listening on")
            return ()

    def _hear(self, message: Any, now: float) -> None:
        if self._rules.follows and message.type in _FOLLOW:
            _FOLLOW[message.type](self._follower, message, now)
            if message.type == "stop":
                raise ClockStopped
            return
        self._breath_at_seconds = now + BREATH_SECONDS
        if self._ear.hear(message, self._scheduler.transport.tick_at(now)):
            self._last_onset_seconds = now

    def _take(self, notes: "Sequence[NewNote]") -> None:
        """Put notes of the answer on the scheduler."""
        for note in notes:
            channel = self._channels[note.track] if self._rules.channel is None else self._rules.channel
            onset = note.onset + self._shift
            if self._scheduler.add_note(onset, note.duration, note.pitch, note.velocity, channel):
                tone = HeardNote(
                    self._channels[note.track], onset // SCALE, note.duration // SCALE, note.pitch, note.velocity
                )
                self._answered.append(tone)


_FOLLOW: dict[str, Callable[[ClockFollower, Any, float], None]] = {
    "clock": lambda follower, message, now: follower.pulse(now),
    "start": lambda follower, message, now: follower.start(),
    "continue": lambda follower, message, now: follower.resume(),
    "stop": lambda follower, message, now: follower.stop(),
    "songpos": lambda follower, message, now: follower.locate(message.pos * TICKS_PER_QUARTER // 4),
}

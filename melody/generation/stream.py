"""Notes as they are composed, each at the same price however long the piece has grown.

A note is handed over when nothing that follows can change it: at once, where its track is one of the model's. Where
several of the model's tracks go to one of the musician's, notes that meet on a pitch are one (as in
`melody.music.score.without_overlaps`): of one onset the longer counts, a later one ends the one before. There a note
waits for its end; and so do those after it, as notes come in order of onset.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from melody.generation.assemble import NewNote, first_new_grid_tick, junction, loudness, own_sound, own_track
from melody.generation.prepared import Prepared
from melody.generation.primer.primer_view import SCALE
from melody.tokens.plan import (
    BAR,
    BAR_TICKS,
    DRUM,
    DRUM_HIT,
    DURATION,
    KIND_OF,
    METER,
    PITCH,
    POSITION,
    SUSTAIN,
    TRACK,
    VALUE_OF,
    VELOCITY,
)
from melody.tokens.vocabulary import MAX_DURATION, VELOCITIES


def as_they_come(prepared: Prepared, tokens: Iterable[int]) -> Iterator[NewNote]:
    """The notes of the new part, in the musician's tracks, while its tokens are drawn."""
    course = _Course()
    for token in prepared.ids:
        course.read(token)
    offset = junction(prepared) - first_new_grid_tick(prepared) * SCALE
    voices = Counter(prepared.region.tracks.values())
    waiting: list[NewNote] = []
    for token in tokens:
        duration = course.read(token)
        if duration and course.track in prepared.region.tracks:  # fixed notes stand there already
            waiting = _together(waiting, _latest(prepared, course, duration, offset))
        now = course.tick * SCALE + offset
        while waiting and (voices[waiting[0].track] < 2 or waiting[0].onset + waiting[0].duration <= now):
            yield waiting.pop(0)
    yield from waiting


class _Course:
    """The place in the piece and the note under way: the little of a `Reader` that a note needs, many times as fast."""

    def __init__(self) -> None:
        self.bar, self.tick, self.track, self.pitch = -1, 0, 0, 0
        self.velocity: dict[int, int] = {}  # of each track
        self._bar_start = self._bar_ticks = self._held = 0

    def read(self, token: int) -> int:
        """Take a token; return the ticks of the note that ends with it, 0 for none."""
        kind, value = KIND_OF[token], VALUE_OF[token]
        if kind == DURATION:
            ticks, self._held = self._held + value + 1, 0
            return ticks
        if kind in (PITCH, DRUM):
            self.pitch = value % DRUM_HIT
        elif kind == POSITION:
            self.tick = self._bar_start + value
        elif kind == VELOCITY:
            self.velocity[self.track] = VELOCITIES[value]
        elif kind == TRACK:
            self.track = value
        elif kind == SUSTAIN:
            self._held += MAX_DURATION
        elif kind == BAR:
            self.bar += 1
            self._bar_start += self._bar_ticks
            self.tick = self._bar_start
        elif kind == METER:
            self._bar_ticks = BAR_TICKS[value]
        return 0


def _latest(prepared: Prepared, course: _Course, duration: int, offset: int) -> NewNote:
    """The note that has just been read."""
    track = course.track
    velocity = loudness(prepared, track).of(course.velocity[track])
    onset = course.tick * SCALE + offset
    pitch = own_sound(prepared, track, course.pitch)
    own = own_track(prepared, prepared.region.tracks[track], pitch)
    bar = prepared.region.bar_of(course.tick, course.bar)
    return NewNote(own, onset, duration * SCALE, pitch, velocity, bar + 1)


def _together(waiting: Sequence[NewNote], new: NewNote) -> list[NewNote]:
    """Return the notes that wait, with a new one that may meet one of its track and pitch."""
    met = next((n for n in reversed(waiting) if (n.track, n.pitch) == (new.track, new.pitch)), None)
    if met is None:
        return [*waiting, new]
    if met.onset == new.onset:
        longer = max(met, new, key=lambda note: (note.duration, note.velocity))
        return [longer if note is met else note for note in waiting]
    shorter = met._replace(duration=min(met.duration, new.onset - met.onset))
    return [*(shorter if note is met else note for note in waiting), new]

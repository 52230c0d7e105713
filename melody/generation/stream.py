"""Notes as they are composed, each at the same price however long the piece has grown.

A note is handed over when nothing that follows can change it: at once, where its track is one of the model's. Where
several of the model's tracks go to one of the musician's, notes that meet on a pitch are one (as in
`melody.music.score.without_overlaps`): of one onset the longer counts, a later one ends the one before. There a note
waits for its end; and so do those after it, as notes come in order of onset.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from melody.generation.assemble import NewNote, first_new_grid_tick, junction, louder, own_sound, own_track
from melody.generation.prepared import Prepared
from melody.generation.primer.primer_view import SCALE
from melody.tokens import EventTokenizer, Plan, Reader
from melody.tokens.channels import layout_of
from melody.tokens.vocabulary import VELOCITIES


def as_they_come(prepared: Prepared, tokens: Iterable[int]) -> Iterator[NewNote]:
    """The notes of the new part, in the musician's tracks, while its tokens are drawn."""
    reader = Reader(EventTokenizer.vocabulary, Plan(), layout_of(("position",)))  # which tells as little as can be
    reader.read_all(prepared.ids)
    offset = junction(prepared) - first_new_grid_tick(prepared) * SCALE
    voices = Counter(prepared.region.tracks.values())
    waiting: list[NewNote] = []
    for token in tokens:
        reader.read(token)
        if reader.kind == "Duration" and reader.track in prepared.region.tracks:  # fixed notes stand there already
            waiting = _together(waiting, _latest(prepared, reader, offset))
        now = reader.tick * SCALE + offset
        while waiting and (voices[waiting[0].track] < 2 or waiting[0].onset + waiting[0].duration <= now):
            yield waiting.pop(0)
    yield from waiting


def _latest(prepared: Prepared, reader: Reader, offset: int) -> NewNote:
    """The note that has just been read."""
    track, note = reader.track, reader.history[reader.track]
    assert note is not None
    velocity = min(max(VELOCITIES[reader.velocity[track]] + louder(prepared, track), 1), 127)
    onset = note.onset * SCALE + offset
    pitch = own_sound(prepared, track, note.pitch)
    own = own_track(prepared, prepared.region.tracks[track], pitch)
    bar = prepared.region.bar_of(note.onset, reader.bar)
    return NewNote(own, onset, note.duration * SCALE, pitch, velocity, bar + 1)


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

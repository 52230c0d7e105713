"""``melody compose --follow``: print the bars of a take as they are composed."""

from typing import TYPE_CHECKING

from melody.cli.output import Report
from melody.errors import UsageError
from melody.generation.primer.added import places_of
from melody.generation.ranges import pitch_name
from melody.generation.settings import Settings
from melody.music.score import TICKS_PER_QUARTER, Score

if TYPE_CHECKING:
    from melody.generation import Composer, NewNote, Take


def followed(
    composer: "Composer", theme: Score | None, report: Report, takes: int, seed: int, settings: Settings
) -> "Take":
    """Compose a take and print each bar as soon as it is complete, one line a bar."""
    if takes > 1:
        raise UsageError("--follow shows one take as it grows; leave out --takes")
    stream = composer.stream(theme, settings, seed=seed)
    names = [track.name for track in theme.tracks] if theme else [info.name for info in composer.bundle.tracks]
    infos = composer.bundle.tracks
    if settings.with_tracks:  # a melody alone gets the model's other tracks
        names += [info.name for info in infos if info.name not in names]
    names += [infos[place].name for place in sorted(places_of(part, composer.bundle)[0] for part in settings.add)]
    line: list[NewNote] = []
    while True:
        try:
            note = next(stream)
        except StopIteration as stop:
            report.line(_line(line, names))
            take: Take = stop.value
            return take
        if line and note.bar != line[0].bar:
            report.line(_line(line, names))
            line = []
        line.append(note)


def _line(notes: "list[NewNote]", names: list[str]) -> str:
    """Return a bar as text: each track with its notes in order."""
    if not notes:
        return ""
    parts = []
    for track in sorted({note.track for note in notes}):
        mine = sorted((note for note in notes if note.track == track), key=lambda note: (note.onset, note.pitch))
        name = names[track] if track < len(names) and names[track] else f"track {track + 1}"
        parts.append(f"{name} " + " ".join(f"{pitch_name(n.pitch)}:{n.duration / TICKS_PER_QUARTER:g}" for n in mine))
    return f"bar {notes[0].bar}  " + "  ".join(parts)

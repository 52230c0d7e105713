"""The tracks that a band has no place for: they go on too, in further passes around what has been composed.

A model of a band has eight places, a musician may have more tracks. In the first pass the model continues as many as it
has places for. In each further one it hears some of these in the new bars, the rhythm section first, and composes up to
`GROUP` of the others there, as if it filled a gap: the bars before it are the primer's.

    pass 1   eight tracks |primer ....|new ....         the others |primer ....|
    pass 2   four of them |primer ....|given ..   four of the others |primer ....|new ....
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from melody.generation.model_choice import is_band
from melody.generation.prepared import Prepared
from melody.generation.primer.primer_view import lines_seen, sounding
from melody.generation.settings import Settings
from melody.generation.take import Take
from melody.music.score import GRID, Notes, Score, notes_of, rescale, set_notes

GROUP = 4  # tracks that a further pass composes
LATELY = 4  # bars: a track that is silent for longer at the end of the primer stays so
HEARD_FIRST = ("drums", "bass", "chords", "guitar", "pad", "lead", "arpeggio")

Compose = Callable[[Score, Settings, int, int], Take]  # of a primer, for a seed and a take's number


def left_over(prepared: Prepared) -> list[int]:
    """Return the musician's tracks that sound at the end and go on only in further passes; none for other tasks."""
    settings, primer = prepared.settings, prepared.primer
    if primer is None or not is_band(prepared.bundle) or settings.fill or settings.with_tracks or settings.add:
        return []
    if settings.keep or settings.only_new or prepared.region.own:
        return []
    view = primer.view
    kit = view.kit.tracks if view.kit else ()
    lately = primer.bar_line(max(0, view.bars - LATELY))
    others = [track for track in sounding(primer.score) if track not in view.tracks.values() and track not in kit]
    return [track for track in others if int(_ends(notes_of(primer.score.tracks[track]))) > lately]


def _ends(notes: Notes) -> int:
    return int((notes.onset + notes.duration).max(initial=0))


def with_rest(take: Take, prepared: Prepared, left: Sequence[int], compose: Compose) -> Take:
    """Return a take in which the tracks that were left go on too."""
    assert prepared.primer is not None
    names = prepared.primer.names
    for first in range(0, len(left), GROUP):
        group = left[first : first + GROUP]
        heard = _heard(take.score, group, prepared)
        start, stop = _new_bars(heard, take, prepared)
        if stop > start:
            part = compose(heard, _settings(prepared, group, start, stop), take.seed, take.number)
            take = _joined(take, part, group)
    gone = {f"{names[track] or f'track {track + 1}'}: kept, not continued" for track in left}
    tracks = "1 track" if len(left) == 1 else f"{len(left)} tracks"
    said = f"{tracks} beyond the {len(prepared.bundle.tracks)} that {prepared.bundle.name} writes at once: "
    kept = tuple(message for message in take.messages if message not in gone)
    return replace(take, messages=(*kept, f"{said}composed around the others"))


def _new_bars(heard: Score, take: Take, prepared: Prepared) -> tuple[int, int]:
    """The bars of new music (from 0, and the one behind them) as the model counts them in what it hears.

    The primer alone may have fewer before them: a meter that changes behind its last note cuts its last bar in two.
    """
    lines = rescale(lines_seen(heard), GRID, heard.tpq)
    start = int(np.abs(lines - take.first_new_tick).argmin())
    return start, min(start + prepared.region.stop - prepared.region.first, len(lines) - 1)


def _heard(score: Score, group: Sequence[int], prepared: Prepared) -> Score:
    """The take with the tracks of a group and some that they are composed around; the others are empty."""
    infos, tracks = prepared.bundle.tracks, prepared.region.tracks
    places = sorted(tracks, key=lambda place: (HEARD_FIRST.index(infos[place].role), place))
    pitched = [place for place in places if not infos[place].drums]
    room = sum(not info.drums for info in infos) - len(group)
    guides = {tracks[place] for place in (*(p for p in places if infos[p].drums), *pitched[:room])}
    result = score.copy()
    result.markers = []
    for number, track in enumerate(result.tracks):
        if number not in group and number not in guides:
            set_notes(track, notes_of(track).take(np.zeros(0, np.int64)))
    return result


def _settings(prepared: Prepared, group: Sequence[int], start: int, stop: int) -> Settings:
    """Settings that fill the new bars of a group as the others were composed."""
    asked = prepared.settings
    return Settings(
        fill=(start + 1, stop),
        tracks=tuple(str(track + 1) for track in group),
        best_of=1,
        sampling=asked.sampling,
        key=asked.key,
        strict_key=asked.strict_key,
        chords=asked.chords,
        strict_chords=asked.strict_chords,
        style=asked.style,
        ending=asked.ending,
    )


def _joined(take: Take, part: Take, group: Sequence[int]) -> Take:
    """A take with the tracks of a group as another one has them."""
    score = take.score.copy()
    assert part.score.tpq == score.tpq
    for track in group:
        set_notes(score.tracks[track], notes_of(part.score.tracks[track]))
    notes = take.notes + part.notes
    nats = (take.nats_per_note * take.notes + part.nats_per_note * part.notes) / max(1, notes)
    return replace(take, score=score, notes=notes, nats_per_note=nats, places=(*take.places, *_new_places(take, part)))


def _new_places(take: Take, part: Take) -> list[tuple[str, tuple[str, ...]]]:
    known = {track for track, _ in take.places}
    return [place for place in part.places if place[0] not in known]

"""From tokens to the musician's score: new notes in the musician's tracks, and what the new part states of itself."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from symusic import KeySignature, Tempo, TextMeta, TimeSignature, Track

from melody.bundle import Bundle
from melody.generation.prepared import Prepared
from melody.generation.primer.primer_view import SCALE, PlayedLoudness, new_notes
from melody.generation.told import key_token
from melody.music.key import parse_key
from melody.music.score import (
    GRID,
    TICKS_PER_QUARTER,
    Ints,
    Notes,
    Score,
    meters,
    notes_of,
    rescale,
    set_notes,
    without_overlaps,
)

_TICK_BITS = 32  # more than any tick has


class NewNote(NamedTuple):
    """A note as it is composed; ticks at 480 a quarter from the start of the piece, whatever its take has."""

    track: int
    onset: int
    duration: int
    pitch: int
    velocity: int
    bar: int  # from 1


def placed_notes(prepared: Prepared, ids: Sequence[int], model: Score, bundle: Bundle) -> list[NewNote]:
    """The new notes in the musician's tracks, at 480 ticks a quarter; `model` is what the ids spell."""
    first = first_new_grid_tick(prepared)
    offset = junction(prepared) - first * SCALE
    lines = _bar_lines(prepared, ids, bundle) * SCALE + offset
    by_track: dict[int, list[Notes]] = {}
    for place, notes in new_notes(model, first).items():
        if place not in prepared.region.tracks:
            continue  # fixed notes stand there already
        velocity = np.array(list(map(loudness(prepared, place).of, notes.velocity.tolist())), np.int64)
        pitch = np.array([own_sound(prepared, place, one) for one in notes.pitch.tolist()], np.int64)
        columns = (notes.onset * SCALE + offset, notes.duration * SCALE, pitch, velocity)
        by_track.setdefault(prepared.region.tracks[place], []).append(Notes(*columns))
    result = []
    for track, voices in by_track.items():  # voices that meet on one note are one note
        merged = without_overlaps(Notes(*map(np.concatenate, zip(*voices, strict=True))))
        bar = np.searchsorted(lines, merged.onset, side="right")
        rows = zip(*(column.tolist() for column in (*merged, bar)), strict=True)
        result += [NewNote(own_track(prepared, track, row[2]), *row) for row in rows]
    return result


def own_sound(prepared: Prepared, place: int, pitch: int) -> int:
    """The pitch of a new note in one of the model's tracks: of a drum the sound that the musician's kit has for it."""
    return prepared.primer.view.sounds.get(place, {}).get(pitch, pitch) if prepared.primer else pitch


def own_track(prepared: Prepared, track: int, pitch: int) -> int:
    """The musician's track of a new note: that of its drum, where a kit lies on several."""
    kit = prepared.primer.view.kit if prepared.primer else None
    return kit.track_of(pitch) if kit and track == kit.main else track


def _bar_lines(prepared: Prepared, ids: Sequence[int], bundle: Bundle) -> Ints:
    """The ticks of the grid at which bars begin, as the musician counts them."""
    tokens, region = np.array(ids), prepared.region
    lines: Ints = bundle.tokenizer.ticks(tokens)[tokens == bundle.tokenizer.vocabulary.ids["Bar"][0]]
    return np.concatenate([lines[: region.first], region.new_lines[:-1]]) if region.own else lines


def loudness(prepared: Prepared, place: int) -> PlayedLoudness:
    """The loudness of one of the model's tracks: as the musician plays there, or as loud as the other tracks are."""
    if prepared.primer is None:
        return PlayedLoudness(0)
    known = prepared.primer.view.loudness
    mean = sum(one.louder for one in known.values()) / max(1, len(known))
    return known.get(place, PlayedLoudness(round(mean)))


def put_together(prepared: Prepared, model: Score, notes: Sequence[NewNote], bundle: Bundle, label: str) -> Score:
    """The whole score with the new part, which begins with a marker that says `label`; `model` wrote its maps."""
    score = prepared.given.copy() if prepared.given is not None else _blank(bundle)
    for name in prepared.region.added:
        info = next(info for info in bundle.tracks if info.name == name)
        score.tracks.append(Track(name, 0 if info.drums else info.program, info.drums))
    if prepared.region.replaces:
        _clear(score, prepared)
    _add_notes(score, notes, prepared, _single_lines(prepared))
    if not prepared.region.given:  # between notes that stay, the maps stay
        _add_maps(score, prepared, model, bundle)
    score.markers.append(TextMeta(prepared.seam.start, label))
    return score


def only_new_notes(score: Score, prepared: Prepared, notes: Sequence[NewNote]) -> Score:
    """A copy in which the tracks hold the new notes alone."""
    result = score.copy()
    for track in result.tracks:
        set_notes(track, notes_of(track).take(np.zeros(0, np.int64)))
    _add_notes(result, notes, prepared)
    return result


def _single_lines(prepared: Prepared) -> set[int]:
    """The musician's tracks that get one note at a time."""
    tracks = list(prepared.region.tracks.values())
    single = {place for place, room in prepared.rooms.items() if room.polyphony == 1}
    return {track for place, track in prepared.region.tracks.items() if place in single and tracks.count(track) == 1}


def junction(prepared: Prepared) -> int:
    """The bar line at which new music begins, at 480 ticks a quarter.

    It is the primer's own, which the grid only approximates; `Prepared.seam` has it in the ticks of what was given.
    """
    return 0 if prepared.primer is None else prepared.primer.bar_line(prepared.region.first)


def first_new_grid_tick(prepared: Prepared) -> int:
    """The same line on the grid."""
    return 0 if prepared.primer is None else int(prepared.primer.view.lines[prepared.region.first])


def _blank(bundle: Bundle) -> Score:
    score = Score(TICKS_PER_QUARTER)
    score.tracks = [Track(info.name, 0 if info.drums else info.program, info.drums) for info in bundle.tracks]
    return score


def _add_notes(score: Score, notes: Sequence[NewNote], prepared: Prepared, single: Collection[int] = ()) -> None:
    zero, seam = junction(prepared), prepared.seam.start
    for index, track in enumerate(score.tracks):
        mine = np.array([note[1:5] for note in notes if note.track == index], np.int64).reshape(-1, 4)
        if len(mine):
            placed = Notes(*mine.T)
            start = rescale(placed.onset - zero, TICKS_PER_QUARTER, score.tpq) + seam
            end = rescale(placed.onset + placed.duration - zero, TICKS_PER_QUARTER, score.tpq) + seam
            old = notes_of(track)
            new = beside(old, placed._replace(onset=start, duration=end - start), index in single)
            set_notes(track, Notes(*(np.concatenate(pair) for pair in zip(old, new, strict=True))))


def beside(old: Notes, new: Notes, single: bool) -> Notes:
    """New notes cut so that none overlaps an old one of its pitch, in a `single` line of any pitch.

    On the grid none does; but a hand is rarely on the grid.
    """
    if not len(old.onset):
        return new
    # a line of its own for each pitch: lines follow each other, each with its ticks in order
    of_old, of_new = (np.zeros_like(n.pitch) if single else n.pitch << _TICK_BITS for n in (old, new))
    order = np.lexsort((old.onset, of_old))
    onsets = (of_old + old.onset)[order]
    ends = np.maximum.accumulate((of_old + old.onset + old.duration)[order])  # the last of all that began before
    after = np.searchsorted(onsets, of_new + new.onset, side="right")
    last_end = np.where(after > 0, ends[after - 1], 0) - of_new  # of a lower pitch: far below zero
    next_onset = np.append(onsets, np.iinfo(np.int64).max)[after] - of_new  # of a higher pitch: far behind
    start = np.maximum(new.onset, last_end)
    stop = np.minimum(new.onset + new.duration, next_onset)
    return new._replace(onset=start, duration=stop - start).take(stop > start)


def _clear(score: Score, prepared: Prepared) -> None:
    """Take away what the musician had in the bars that are filled: what begins there, and was meant to."""
    primer = prepared.primer
    assert primer is not None
    lines = prepared.region.lines
    start, stop = lines[prepared.region.first], lines[prepared.region.stop]
    tracks = set(prepared.region.tracks.values())
    kit = primer.view.kit
    for index in tracks.union(kit.tracks if kit and kit.main in tracks else ()):
        notes = notes_of(score.tracks[index])
        inside = np.ones(len(notes.onset), bool)
        for seen in (primer.score, primer.view.written):  # the same notes in the same order
            onset = rescale(notes_of(seen.tracks[index]).onset, TICKS_PER_QUARTER, GRID)
            inside &= (onset >= start) & (onset < stop)
        set_notes(score.tracks[index], notes.take(~inside))


def _add_maps(score: Score, prepared: Prepared, model: Score, bundle: Bundle) -> None:
    """Meters, tempo and key of the new part: what the model wrote, and what was asked for."""
    settings, start = prepared.settings, prepared.seam.start
    _add_meters(score, prepared, model)
    if prepared.primer is None:
        score.tempos = [Tempo(0, qpm=settings.tempo_qpm or bundle.tempo_qpm)]
        score.key_signatures = [KeySignature(k.time * SCALE, k.key, k.tonality) for k in model.key_signatures]
        return
    if settings.tempo_qpm:
        score.tempos = [tempo for tempo in score.tempos if tempo.time < start]  # those after the primer's last note
        score.tempos.append(Tempo(start, qpm=settings.tempo_qpm))
    if settings.key:
        score.key_signatures = [key for key in score.key_signatures if key.time < start]
        score.key_signatures.append(KeySignature(start, *key_token(parse_key(settings.key))))


def _add_meters(score: Score, prepared: Prepared, model: Score) -> None:
    """The meters of the new part: those that the model wrote or, at the seam, went on with, or those asked for."""
    first, start, own = first_new_grid_tick(prepared), prepared.seam.start, prepared.region.own
    written = [(m.time - first, (m.numerator, m.denominator)) for m in model.time_signatures if m.time >= first]
    if own:
        written = [(0, own.meter)]
    elif prepared.primer and (not written or written[0][0] > 0):
        written.insert(0, (0, prepared.primer.view.meters[-1]))
    in_force = [meter for tick, *meter in meters(score) if tick <= start][-1]
    for ticks, meter in written:
        if ticks or prepared.primer is None or [*meter] != in_force:
            score.time_signatures.append(TimeSignature(rescale(ticks, GRID, score.tpq) + start, *meter))

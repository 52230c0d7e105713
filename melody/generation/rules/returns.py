"""Rule of planned returns: where a track's bar is planned as another one, it has the notes that the other one has.

A model that is told a plan and what stood in the planned bar still errs note by note, and over a bar of many notes the
errors add up: loops fray. Rhythm sections of real bands do not. So what the plan calls the same is held to it:

    =   the same: all of the bar                      ~   alike: its first half
    +   nearly: its first three quarters, then the model varies it, as players do before the next bar line

Onsets, pitches and lengths are held, and of drums the loudness within `LOUD` bins, or accents and ghost notes would
move. All else is the model's. A player varies a groove more than a band's file does: a bar that is the same is held
for three quarters, one that is nearly so for its first half (`PLAYED`).

A crash on 1 marks a beginning. Where the bar before had none players leave it out of .88 of the bars that repeat such a
bar at once, and of .71 two bars later, and most who keep time otherwise strike on 1 instead (.81; bands of train,
drummers of Groove alike). Four bars later it mostly comes again, and in grooves that have it in each bar.

As the notes of an onset go by track and pitch, what has to come next follows from where the reader is, and nothing has
to be remembered.
"""

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from melody.generation.rules.contract import Mask, up_to, way_to, without
from melody.generation.rules.fixed_notes import lasting
from melody.generation.rules.native_form import NativeForm
from melody.music.drumkit import CRASHES, KEEPING
from melody.tokens import Reader, Vocabulary
from melody.tokens.plan import DRUM_HIT, FIRST, NEW, Bar, Event, Symbol
from melody.tokens.vocabulary import MAX_TRACKS

HELD, WHOLE = (0, 0, 2, 3, 4), 4  # quarters of a bar, by the class of likeness
PLAYED = (0, 0, 0, 2, 3)
SOON = 2  # bars
LOUD = 4  # bins of velocity: 85 % of the hits of players are nearer to those of a bar that is nearly the same
UNDER_WAY = ("Pitch", "Drum", "Sustain")


class Due(NamedTuple):
    """A note that has to come: tick in the bar, track, pitch or 128 + drum, and bin of velocity."""

    place: int
    track: int
    hit: int
    loud: int


class KeepReturns:
    """The rule that tracks whose bar returns play it. It yields where a note cannot be taken."""

    def __init__(self, vocabulary: Vocabulary, held: Mapping[int, Sequence[int]]) -> None:
        """`held` are, for each track, the quarters of a bar by the class of likeness."""
        self.vocabulary = vocabulary
        self.tracks = tuple(sorted(held))
        self.held = held
        bits = sum(1 << track for track in self.tracks)
        table = np.array([held.get(track, (0,) * len(HELD)) for track in range(MAX_TRACKS)])
        self.native = NativeForm("planned returns", (bits, len(self.tracks)), table=table)
        self._no_note = without(vocabulary, "Pitch", "Drum", "Velocity")

    def __call__(self, reader: Reader) -> Mask | None:
        """Return the tokens (V,) that may follow."""
        if reader.bar < 0 or reader.memory is None:
            return None
        if reader.kind in UNDER_WAY:
            return self._lasting(reader)
        until = self._held(reader)
        if not until:
            return None
        due = self._due(reader, until)
        ids = self.vocabulary.ids
        positions, tracks = ids["Position"].start, ids["Track"].start
        mask = np.ones(len(self.vocabulary), bool)
        here = [note for note in due if note.place == reader.position]
        playing = {note.track for note in here}
        place = max(reader.position, 0)
        for track, end in until.items():
            mask[tracks + track] = track in playing or place >= end
        if reader.track in until and place < until[reader.track]:
            mask &= self._only([note for note in here if note.track == reader.track], reader.velocity[reader.track])
        if here and here[0].track < reader.track:
            mask &= self._no_note
        if due:
            mask &= up_to(reader, due[0].place, due[0].track)
        if len(until) == len(self.tracks):  # nobody is free to play elsewhere, but where what is held has ended
            nobody = np.ones(ids["Position"].stop - positions, bool)
            nobody[: min(until.values())] = False
            nobody[[note.place for note in due]] = True
            mask[positions : ids["Position"].stop] &= nobody
        return mask

    def redirect(self, reader: Reader) -> tuple[int, Mask] | None:
        """Return the token that leads to the next note that is due, and those (V,) that would pass it by."""
        if reader.bar < 0 or reader.kind in UNDER_WAY or reader.memory is None:
            return None
        due = self._due(reader, self._held(reader))
        if not due:
            return None
        note = due[0]
        if note.place == reader.position and reader.noted and reader.track >= note.track:
            return None
        return way_to(reader, note.place, note.track)

    def _held(self, reader: Reader) -> dict[int, int]:
        """The tracks whose bar returns, and the tick in the bar up to which they are held to it."""
        ends = {track: self._until(reader, track) for track in self.tracks}
        return {track: end for track, end in ends.items() if end and self._source(reader, track)}

    def _until(self, reader: Reader, track: int) -> int:
        """The tick in the bar up to which the plan of a track holds it; 0 where it does not."""
        symbol = reader.planned(track)
        return self.held[track][symbol.like] * reader.bar_ticks // WHOLE if symbol.lag else 0

    def _source(self, reader: Reader, track: int) -> Bar:
        """The notes of the bar that a track is to play again; empty where it is not known."""
        memory, lag = reader.memory, reader.planned(track).lag
        if memory is None:
            return ()
        if lag < 0:
            bar = reader.plan.form.ahead.get(reader.bar - lag, ()) if reader.plan.form else ()
        else:
            part = track if memory.voices else 0
            own = memory.bars[part] if part < len(memory.bars) else ()
            bar = own[-lag] if 0 < lag <= len(own) else ()
            if bar and lag <= SOON:
                before = own[-lag - 1] if lag < len(own) else ()
                return played_soon(_of(bar, track), _of(before, track))
        return _of(bar, track)

    def _due(self, reader: Reader, until: dict[int, int]) -> list[Due]:
        """The notes still to come that are held, in order; without those that will sound already."""
        ends = {(track, pitch): end - reader.bar_start for end, track, pitch in reader.active}
        opened = reader.noted or reader.kind in ("Track", "Velocity")
        result = []
        for track, end in until.items():
            notes = self._source(reader, track)
            for place, _, hit, loud, _ in notes[bisect_right(notes, (reader.position,)) :]:
                if place >= end:
                    break
                passed = opened and place == reader.position and _is_past(reader, track, hit % DRUM_HIT)
                if not passed and ends.get((track, hit % DRUM_HIT), 0) <= place:
                    result.append(Due(place, track, hit, loud))
        result.sort()
        return result

    def _lasting(self, reader: Reader) -> Mask | None:
        """The tokens that make the note under way as long as it was; of one that was not there nothing is known."""
        if reader.track not in self.tracks or reader.position >= self._until(reader, reader.track):
            return None
        for place, _, hit, _, duration in self._source(reader, reader.track):
            if place == reader.position and hit % DRUM_HIT == reader.pitch:
                return lasting(self.vocabulary, duration - reader.length)
        return None

    def _only(self, here: Sequence[Due], velocity: int) -> Mask:
        """The track under way plays the next of these notes, or, where there is none, nothing more."""
        if not here:
            return self._no_note
        hit, loud = here[0].hit, here[0].loud
        mask, velocities = self._no_note.copy(), self.vocabulary.ids["Velocity"]
        if hit < DRUM_HIT:
            mask[velocities.start : velocities.stop] = True
            mask[self.vocabulary.ids["Pitch"].start + hit] = True
            return mask
        fits = np.abs(np.arange(len(velocities)) - loud) <= LOUD
        mask[velocities.start : velocities.stop] = fits
        mask[self.vocabulary.ids["Drum"].start + hit - DRUM_HIT] = velocity >= 0 and fits[velocity]
        return mask


def played_soon(bar: Bar, before: Bar) -> Bar:
    """Return the notes of a bar as they return soon: without a crash on 1 that none came `before`."""
    crashes, anew = _on_1(bar, CRASHES), not _on_1(before, CRASHES)
    if not (crashes and anew):
        return bar
    rest = tuple(note for note in bar if note not in crashes)
    kept = next((note for note in rest if note[2] - DRUM_HIT in KEEPING), None)
    return rest if kept is None or kept[0] == 0 else tuple(sorted(((0, *kept[1:]), *rest)))


def _on_1(bar: Bar, drums: Collection[int]) -> list[Event]:
    return [note for note in bar if note[0] == 0 and note[2] - DRUM_HIT in drums]


def _of(bar: Bar, track: int) -> Bar:
    return tuple(note for note in bar if note[1] == track)


def begins_anew(symbol: Symbol) -> bool:
    """Return True for a bar that is planned as `first`, `new`, or hardly alike to another: nothing of it returns."""
    return symbol in (FIRST, NEW) or (symbol.lag != 0 and not HELD[symbol.like])


def _is_past(reader: Reader, track: int, pitch: int) -> bool:
    """Return True for a note of the position under way that would come before what was written last."""
    return track < reader.track or (track == reader.track and pitch <= reader.last_pitch)

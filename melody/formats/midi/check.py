"""A lint for MIDI files: the rules of `writer` that a file breaks, the place, and the consequence.

It looks at the raw events, so it sees what a reader mends. Rules are the keys of `RULES`; bars, beats and notes are
not judged. `CAUTIONS` name what is sound as a file, and what `writer` keeps where it was given, though some programs
read it otherwise: notes of one pitch that overlap.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from symusic import TimeSignature
from symusic.core import ScoreTick as Score

from melody.errors import LimitExceeded
from melody.formats.midi.events import Limits, MidiFile, MidiTrack, scan
from melody.formats.midi.metas import KEY_SIGNATURE, MARKER, PORT, SET_TEMPO, TIME_SIGNATURE, TRACK_NAME, meter_value
from melody.formats.midi.parts import BEND_CENTRE, CONTROL, NOTE_OFF, NOTE_ON, PITCH_BEND, PROGRAM
from melody.music.general_midi import DRUM_CHANNEL
from melody.music.score import GRID, TICKS_PER_QUARTER, Ints, bars

_PITCHED_CHANNELS = 15
RESET_ALL = 121  # all controllers of a channel


class Breach(NamedTuple):
    """One rule broken at one place, and the consequence."""

    rule: str  # a key of RULES, or of CAUTIONS
    place: str
    explanation: str


def check(data: bytes, name: str = "<bytes>", limits: Limits = Limits(), *, cautions: bool = False) -> list[Breach]:
    """Return the rules that the bytes of a MIDI file break; none for a file that opens as meant everywhere.

    With `cautions`, also what some programs read otherwise.

    Raises `UnreadableFile` where there is no MIDI file, `LimitExceeded` past `limits`.
    """
    file = scan(data, name, limits)
    tracks = [_Track(number, track) for number, track in enumerate(file.tracks, 1)]
    rules = RULES | CAUTIONS if cautions else RULES
    return [Breach(rule, *finding) for rule, look in rules.items() for finding in look(file, tracks)]


Finding = tuple[str, str]  # place, explanation


class _Track:
    """A MIDI track with its channel messages as columns and its meta events at hand."""

    def __init__(self, number: int, track: MidiTrack) -> None:
        packed = np.frombuffer(track.messages, np.uint32).astype(np.int64)
        self.place = f"track {number}"
        self.track = track
        self.metas = list(track.metas())
        self.tick = np.frombuffer(track.ticks, np.int64)
        self.kind, self.channel = packed >> 20, packed >> 16 & 0xF
        self.pitch, self.velocity = packed >> 8 & 0x7F, packed & 0x7F
        self.begins = (self.kind == NOTE_ON) & (self.velocity > 0)
        self.channels = np.unique(self.channel[(self.kind >= NOTE_OFF) & (self.kind <= PITCH_BEND)]).tolist()
        self.port = next((payload[0] for _, payload in self.of_kind(PORT) if payload), 0)
        self.has_notes = bool(self.begins.any())
        self.is_pitched = bool((self.begins & (self.channel != DRUM_CHANNEL)).any())

    def of_kind(self, kind: int) -> list[tuple[int, bytes]]:
        """(tick, payload) of the meta events of one type."""
        return [(tick, payload) for tick, meta, payload in self.metas if meta == kind]

    def first(self, where: NDArray[np.bool_], what: str) -> Iterator[Finding]:
        """One finding for all places in a track, at the first."""
        found = np.flatnonzero(where)
        if len(found):
            more = f" (and at {len(found) - 1:,} more places)" if len(found) > 1 else ""
            yield f"{self.place}, tick {int(self.tick[found[0]]):,}", what + more


def _structure(file: MidiFile, tracks: list[_Track]) -> Iterator[Finding]:
    for sentence in file.repairs.sentences():
        yield "file", f"damaged; some programs refuse such a file: {sentence}"


def _type(file: MidiFile, tracks: list[_Track]) -> Iterator[Finding]:
    if file.kind != 1:
        yield "header", f"type {file.kind}, not 1: programs that keep tracks apart want one MIDI track each"


def _resolution(file: MidiFile, tracks: list[_Track]) -> Iterator[Finding]:
    if file.division & 0x8000:
        yield "header", "time code, not ticks a quarter: programs place bars and beats by chance"
    elif file.division < GRID:
        yield "header", f"{file.division} ticks a quarter: too few for triplets of sixteenths; use {TICKS_PER_QUARTER}"


def _conductor(file: MidiFile, tracks: list[_Track]) -> Iterator[Finding]:
    if tracks[0].channels:
        yield "track 1", "holds channel messages; tempo and meter belong in a first track of their own"
    for kind, what in ((SET_TEMPO, "tempo"), (TIME_SIGNATURE, "meter")):
        if not any(tick == 0 for tick, _ in tracks[0].of_kind(kind)):
            yield "track 1, tick 0", f"no {what}: each program takes its own"
    for track in tracks[1:]:
        for kind, what in ((SET_TEMPO, "a tempo"), (TIME_SIGNATURE, "a meter"), (MARKER, "a marker")):
            for tick, _ in track.of_kind(kind)[:1]:
                yield f"{track.place}, tick {tick:,}", f"{what} outside the first track: many programs overlook it"


def _key(file: MidiFile, tracks: list[_Track]) -> Iterator[Finding]:
    keys = sorted({key for track in tracks for key in track.of_kind(KEY_SIGNATURE)})
    for track in tracks:
        if track.is_pitched and sorted(set(track.of_kind(KEY_SIGNATURE))) != keys:
            yield track.place, "lacks key signatures that the file has elsewhere: MuseScore reads a track's own only"
        if track is tracks[0] and sorted(set(track.of_kind(KEY_SIGNATURE))) != keys:
            yield track.place, "lacks key signatures of other tracks: most programs read the first track's only"


def _channel(file: MidiFile, tracks: list[_Track]) -> Iterator[Finding]:
    owner: dict[tuple[int, int], _Track] = {}
    is_crowded = sum(track.is_pitched for track in tracks) > _PITCHED_CHANNELS  # then channels repeat, on other ports
    for track in tracks:
        if len(track.channels) > 1 and track.has_notes:
            listed = ", ".join(str(channel + 1) for channel in track.channels)
            yield track.place, f"uses channels {listed}: programs split or merge it; give each channel a track"
        for channel in track.channels if track.has_notes else []:
            other = owner.setdefault((channel, track.port if is_crowded else 0), track)
            if other is not track and channel != DRUM_CHANNEL:
                what = f"channel {channel + 1} and port {track.port + 1}" if is_crowded else f"channel {channel + 1}"
                yield track.place, f"shares {what} with {other.place}: one takes the other's instrument"


def _program(file: MidiFile, tracks: list[_Track]) -> Iterator[Finding]:
    for track in tracks:
        for channel in np.unique(track.channel[track.begins]).tolist():
            on_channel = track.channel == channel
            note = np.flatnonzero(track.begins & on_channel)[0]
            if not (on_channel & (track.kind == PROGRAM))[:note].any():
                place = f"{track.place}, tick {int(track.tick[note]):,}"
                yield (
                    place,
                    f"a note on channel {channel + 1} before a program change: its instrument is chance",
                )


def _name(file: MidiFile, tracks: list[_Track]) -> Iterator[Finding]:
    owner: dict[bytes, _Track] = {}
    for track in tracks:
        names = [payload for _, payload in track.of_kind(TRACK_NAME)]
        if track.has_notes and not (names and names[0].strip()):
            yield track.place, "has no name"
        for name in names[:1]:
            if any(not 0x20 <= byte < 0x7F for byte in name):
                yield track.place, "has a name that is not plain ASCII: programs disagree about its letters"
            other = owner.setdefault(name, track)
            if other is not track and track.has_notes and other.has_notes:
                yield track.place, f"has the name of {other.place}: some programs merge the two"


def _end(file: MidiFile, tracks: list[_Track]) -> Iterator[Finding]:
    if not 0 < file.division < 0x8000:
        return
    score = Score(file.division)
    meters = {tick: meter_value(payload) for track in tracks for tick, payload in track.of_kind(TIME_SIGNATURE)}
    score.time_signatures = [TimeSignature(tick, *meter) for tick, meter in sorted(meters.items()) if meter]
    last = max((int(track.tick[:-1].max()) for track in tracks if len(track.tick) > 1), default=0)
    try:
        final = int(bars(score, last)[-1])
    except LimitExceeded as error:
        yield "file", str(error)
        return
    for track in tracks:
        if track.track.end != final:
            what = f"ends at tick {track.track.end:,}, not on the final bar line at {final:,}"
            yield track.place, f"{what}: loops and clips come out too short or too long"


def _hang(file: MidiFile, tracks: list[_Track]) -> Iterator[Finding]:
    """Find bends and pedals that a track leaves acting at its end, and notes that its volume makes silent."""
    sounding = {channel for track in tracks for channel in np.unique(track.channel[track.begins]).tolist()}
    for track in tracks:
        for channel in sorted(sounding.intersection(track.channels)):
            yield from _left_acting(track, track.channel == channel)


def _left_acting(track: _Track, mine: NDArray[np.bool_]) -> Iterator[Finding]:
    is_control = mine & (track.kind == CONTROL)
    for number, what in ((64, "sustain pedal"), (66, "sostenuto pedal"), (69, "hold pedal")):
        last = np.flatnonzero(is_control & ((track.pitch == number) | (track.pitch == RESET_ALL)))[-1:]
        if (track.pitch[last] == number).any() and (track.velocity[last] >= 64).any():
            yield _at(track, last), f"the {what} is still down at the end: notes that follow do not end"
    last = np.flatnonzero((mine & (track.kind == PITCH_BEND)) | (is_control & (track.pitch == RESET_ALL)))[-1:]
    bend = (track.velocity[last] << 7 | track.pitch[last]) - BEND_CENTRE
    if (track.kind[last] == PITCH_BEND).any() and bend.any():
        yield (
            _at(track, last),
            f"pitch bend {int(bend[0]):+d} is left open at the end: what follows is out of tune",
        )
    for number, what in ((7, "volume"), (11, "expression")):
        level = np.flatnonzero(is_control & (track.pitch == number))
        notes = np.flatnonzero(mine & track.begins)
        at = np.searchsorted(level, notes) - 1
        silent = notes[(at >= 0) & (track.velocity[level[at]] == 0)] if len(level) else notes[:0]
        if len(silent):
            yield _at(track, silent), f"{len(silent):,} notes under {what} 0: nobody hears them"


def _at(track: _Track, places: Ints) -> str:
    return f"{track.place}, tick {int(track.tick[places[0]]):,}"


def _note_findings(rule: str) -> Callable[[MidiFile, list[_Track]], Iterator[Finding]]:
    def look(file: MidiFile, tracks: list[_Track]) -> Iterator[Finding]:
        for track in tracks:
            yield from track.first(_notes(track)[rule], _NOTE_RULES[rule])

    return look


_NOTE_RULES = {
    "overlap": "a note begins while its pitch still sounds in the track: programs end one or both at the wrong time",
    "length": "a note without length: programs drop it or let it sound for ever",
    "note-end": "a note-on without a note-off, or the other way round: a note may hang",
    "order": "a note-off or a control comes after a note-on of the same tick: it may cut or miss that note",
}


def _notes(track: _Track) -> dict[str, NDArray[np.bool_]]:
    """Return for each rule about notes the events that break it."""
    found = {rule: np.zeros(len(track.tick), np.bool_) for rule in _NOTE_RULES}
    open_: defaultdict[int, deque[int]] = defaultdict(deque)  # channel and pitch -> indices of its note-ons
    last_on = -1
    ticks = track.tick.tolist()
    keys = (track.channel << 7 | track.pitch).tolist()
    for index, (tick, kind, key, begins) in enumerate(
        zip(ticks, track.kind.tolist(), keys, track.begins.tolist(), strict=True)
    ):
        if begins:
            found["overlap"][index] = bool(open_[key])
            open_[key].append(index)
            last_on = tick
        elif kind in (NOTE_ON, NOTE_OFF):
            began = open_[key].popleft() if open_[key] else None
            found["note-end"][index] = began is None
            found["length"][index] = began is not None and ticks[began] == tick
            found["order"][index] = began is not None and ticks[began] != tick and tick == last_on
        elif kind in (CONTROL, PROGRAM, PITCH_BEND):
            found["order"][index] = tick == last_on
    found["note-end"][[index for indices in open_.values() for index in indices]] = True
    return found


RULES: dict[str, Callable[[MidiFile, list[_Track]], Iterator[Finding]]] = {
    "structure": _structure,
    "type": _type,
    "resolution": _resolution,
    "conductor": _conductor,
    "key": _key,
    "channel": _channel,
    "program": _program,
    "name": _name,
    "end": _end,
    "hang": _hang,
    **{rule: _note_findings(rule) for rule in _NOTE_RULES if rule != "overlap"},
}
CAUTIONS = {"overlap": _note_findings("overlap")}

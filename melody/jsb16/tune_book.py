"""Tunes of other pieces: what the choir sang where the tune went as it does now, as channels for four voices.

Chorales share their tunes: a held-out piece often sings one that a training piece has in another key, with other
harmonies, other passing notes. A `TuneBook` holds training pieces; a `TuneReader` follows a piece and finds where the
book's sopranos have gone the same way, in any key, note for note or at least from beat to beat. Of the longest such
passages it takes the one whose other voices agree best, and tells what all voices did there at this step and when they
went on::

    soprano now          ...  C  D  E  .        the longest passage that agrees: in piece 12, a fourth higher
    piece 12             ...  F  G  A  Bb ...   so: the soprano will go up a semitone, in four steps

So a model need not learn the pieces by heart to know their tunes, and can read in them what others did there. The
idea is that of the nearest-neighbour language model (Khandelwal et al. 2019, arXiv:1911.00172), given to the model as
something to know, as `melody.tokens.repetition` does with the piece itself. In training a piece must not find itself,
and finds the others by chance (`melody.jsb16.told`), or what it finds would be a name by which to know it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from melody.tokens.channels import Channel

Grid = NDArray[np.int64]  # (steps, voices): pitches, 0 where a voice rests; the tune is the first voice
Ints = NDArray[np.int64]

NOTES = (3, 4, 6, 8, 12, 16, 24)  # of the tune that agree in interval and duration: lower bounds of a rank
BEATS = (4, 6, 8, 10, 12, 16, 24)  # intervals from beat to beat that agree: as good as so many notes
BEAT = 4  # steps
WIDEST = 12  # semitones of a move that the channels tell apart
RESTS = 2 + 2 * WIDEST  # of a move: the voice rests there
SOON = 16  # steps, beyond which all is later
SPAN = 16  # steps back over which the other voices are compared
SHARES = 6  # of them that agree, in so many classes
MOST = 24  # places of one rank that are compared
VOICES = 4


_CHANNELS = (  # in the order of `TuneReader.context`; 0 where nothing is found
    Channel("tune_rank", 1 + len(NOTES)),
    Channel("tune_share", 1 + SHARES),
    *(Channel(f"tune_move_{voice}", 1 + RESTS) for voice in range(VOICES)),
    Channel("tune_begin", 1 + 2**VOICES),
    Channel("tune_wait", 2 + SOON),
    Channel("tune_next_move", 1 + RESTS),
    Channel("tune_next_wait", 2 + SOON),
)
TOLD = tuple(channel._replace(group="told") for channel in _CHANNELS)


class Places(NamedTuple):
    """Places where passages of one rank go on as the tune does now."""

    rank: int
    piece: Ints  # (P,)
    offset: Ints  # (P,): the step of the book less that of the piece read
    up: Ints  # (P,): semitones from there to here

    def where(self, kept: NDArray[np.bool_]) -> "Places":
        """Some of them."""
        return Places(self.rank, self.piece[kept], self.offset[kept], self.up[kept])


class FoundPlace(NamedTuple):
    """The place that is told of."""

    rank: int
    share: float  # of the other voices' pitches that agree
    piece: int
    offset: int
    up: int


class TuneBook:
    """Pieces whose tunes can be found. Raises `ValueError` for one without a step."""

    def __init__(self, pieces: Sequence[Grid]) -> None:
        lengths = np.array([len(piece) for piece in pieces], np.int64)
        if not lengths.all():
            raise ValueError("a piece without a step has no tune")
        ends = np.cumsum(lengths)
        self.pieces = len(pieces)
        self.pitches = np.concatenate([*pieces, np.zeros((0, VOICES), np.int64)])  # (N, 4), one piece after another
        self.piece = np.repeat(np.arange(len(pieces)), lengths)  # (N,)
        self.begin, self.end = ends - lengths, ends  # of each piece
        changed = np.ones(self.pitches.shape, bool)
        changed[1:] = self.pitches[1:] != self.pitches[:-1]
        changed[self.begin] = True
        self.changes = changed @ (1 << np.arange(VOICES))  # (N,): which voices, as bits
        self.next_change = _next(self.changes > 0, self.end[self.piece])  # (N,): the end, where there is none
        self.next_note = _next(changed[:, 0], self.end[self.piece])
        self._notes: list[dict[tuple[tuple[int, int], ...], Ints]] = []
        self._beats: list[dict[tuple[int, ...], Ints]] = []
        self._index(zip(self.begin.tolist(), pieces, strict=True))

    def _index(self, pieces: Iterable[tuple[int, Grid]]) -> None:
        notes: list[dict[tuple[tuple[int, int], ...], list[int]]] = [defaultdict(list) for _ in NOTES]
        beats: list[dict[tuple[int, ...], list[int]]] = [defaultdict(list) for _ in BEATS]
        for first, piece in pieces:
            tune = piece[:, 0]
            onsets = np.flatnonzero(np.diff(tune, prepend=-1))
            steps = list(zip(np.diff(tune[onsets]).tolist(), np.diff(onsets).tolist(), strict=True))
            by_beat = np.diff(tune[::BEAT]).tolist()
            for rank, (note_count, beat_count) in enumerate(zip(NOTES, BEATS, strict=True)):
                for last in range(note_count, len(steps) + 1):
                    notes[rank][tuple(steps[last - note_count : last])].append(first + int(onsets[last]))
                for last in range(beat_count, len(by_beat) + 1):
                    beats[rank][tuple(by_beat[last - beat_count : last])].append(first + BEAT * last)
        self._notes = [{key: np.array(places) for key, places in ranked.items()} for ranked in notes]
        self._beats = [{key: np.array(places) for key, places in ranked.items()} for ranked in beats]

    def after_notes(self, rank: int, steps: Sequence[tuple[int, int]]) -> Ints:
        """Places where a note follows such a passage: the tune's last intervals and durations are those of `steps`."""
        return self._notes[rank].get(tuple(steps), _NOWHERE)

    def after_beats(self, rank: int, intervals: Sequence[int]) -> Ints:
        """Places where a beat follows such a passage, by the intervals from beat to beat."""
        return self._beats[rank].get(tuple(intervals), _NOWHERE)


_NOWHERE = np.zeros(0, np.int64)


def _next(happens: NDArray[np.bool_], end: Ints) -> Ints:
    """For each step the next one after it at which something happens, or its piece's end."""
    steps = np.flatnonzero(happens)
    later = np.searchsorted(steps, np.arange(len(happens)), side="right")
    following: Ints = np.minimum(np.append(steps, len(happens))[later], end)
    return following


class TuneReader:
    """Follows a piece, told of each voice's new pitch and of the steps that pass; the tune is voice 0."""

    def __init__(self, book: TuneBook, without: Iterable[int] = ()) -> None:
        """`without` are pieces of the book that shall not be found."""
        self._book = book
        self._hidden = np.zeros(book.pieces, bool)
        self._hidden[list(without)] = True
        self._step = 0
        self._pitches = [0] * VOICES
        self._sung: list[list[int]] = []  # of the last steps, what all voices sang
        self._onset = -1  # step and pitch of the tune's last note
        self._note = 0
        self._steps: list[tuple[int, int]] = []  # its last intervals and durations
        self._beats: list[int] = []  # its last pitches on beats
        self._beat = -1  # the latest beat whose pitch is known
        self._by_notes: Places | None = None
        self._by_beats: Places | None = None
        self._found: FoundPlace | None = None

    def sing(self, voice: int, pitch: int) -> None:
        """A voice comes to a pitch (0: a rest) at this step. The tune comes first, if it does."""
        self._pitches[voice] = pitch
        if voice == 0:
            if self._onset >= 0:
                self._steps = [*self._steps[1 - NOTES[-1] :], (pitch - self._note, self._step - self._onset)]
            self._onset, self._note = self._step, pitch
            self._by_notes = self._look_up(NOTES, self._steps, self._book.after_notes)
        known = self._know_beat()
        if voice == 0 or known:
            self._choose()

    def wait(self, steps: int) -> None:
        """So many steps pass."""
        for _ in range(steps):
            self._know_beat()
            self._sung = [*self._sung[1 - SPAN :], [*self._pitches]]
            self._step += 1
        if self._by_notes:
            self._by_notes = self._by_notes.where(self._still_held(self._by_notes))
        self._choose()

    def _know_beat(self) -> bool:
        """Look for the passage of beats that ends here, once the tune's pitch here is known."""
        if self._step % BEAT or self._beat == self._step:
            return False
        self._beat = self._step
        self._beats = [*self._beats[-BEATS[-1] :], self._note]
        intervals = [after - before for before, after in zip(self._beats, self._beats[1:], strict=False)]
        self._by_beats = self._look_up(BEATS, intervals, self._book.after_beats)
        return True

    def _look_up(
        self, counts: Sequence[int], passage: Sequence[Any], find: Callable[[int, Sequence[Any]], Ints]
    ) -> Places | None:
        """Places where the longest passages that agree go on."""
        book = self._book
        for rank in reversed(range(len(counts))):
            last = passage[-counts[rank] :]
            if len(last) < counts[rank] or not any(last):
                continue
            places = find(rank, last)
            places = places[~self._hidden[book.piece[places]]][-MOST:]
            if len(places):
                return Places(rank, book.piece[places], places - self._step, self._note - book.pitches[places, 0])
        return None

    def _still_held(self, one: Places) -> NDArray[np.bool_]:
        """At which places the tune's note has not ended sooner than here."""
        return self._book.next_note[one.offset + self._onset] >= one.offset + self._step

    def _choose(self) -> None:
        """Return the best of the places found: of the longest passages the one where the other voices agree most."""
        found = [one for one in (self._by_notes, self._by_beats) if one and len(one.piece)]
        candidates = [candidate for one in found for candidate in self._candidates(one)]
        # Of equals the last one found, as good as any.
        self._found = max(reversed(candidates), key=lambda one: (one.rank, one.share), default=None)

    def _candidates(self, one: Places) -> Iterator[FoundPlace]:
        """Return the passages whose pieces have not ended."""
        one = one.where(one.offset + self._step < self._book.end[one.piece])
        columns = (self._shares(one), one.piece, one.offset, one.up)
        for values in zip(*(column.tolist() for column in columns), strict=True):
            yield FoundPlace(one.rank, *values)

    def _shares(self, one: Places) -> NDArray[np.float64]:
        """Share of what the other voices sang lately that they sang there too, for each place (P,)."""
        if not self._sung:
            return np.zeros(len(one.piece))
        sung = np.array(self._sung)[:, 1:]  # (L, 3)
        book = self._book
        places = one.offset[:, None] + np.arange(self._step - len(sung), self._step)  # (P, L)
        there = (places >= book.begin[one.piece, None]) & (places < book.end[one.piece, None])
        others = book.pitches[np.where(there, places, 0), 1:]
        agree = np.where(others > 0, others + one.up[:, None, None], 0) == sung  # (P, L, 3)
        alike: NDArray[np.float64] = (agree & there[:, :, None]).sum(axis=(1, 2)) / np.maximum(1, 3 * there.sum(axis=1))
        return alike

    @property
    def context(self) -> list[int]:
        """The values of the channels `TOLD`."""
        if self._found is None:
            return [0] * len(TOLD)
        rank, share, piece, offset, up = self._found
        book, place = self._book, offset + self._step
        change, note = int(book.next_change[place]), int(book.next_note[place])
        ends = note == book.end[piece]
        return [
            1 + rank,
            1 + min(SHARES - 1, int(share * SHARES)),
            *(self._move(voice, pitch, up) for voice, pitch in enumerate(book.pitches[place].tolist())),
            1 + int(book.changes[place]),
            1 + min(SOON, change - place),
            0 if ends else self._move(0, int(book.pitches[note, 0]), up),
            0 if ends else 1 + min(SOON, note - place),
        ]

    def _move(self, voice: int, pitch: int, up: int) -> int:
        """From where a voice is now to a pitch of the place found."""
        if not pitch:
            return RESTS
        here = self._pitches[voice]
        return 1 + WIDEST + max(-WIDEST, min(WIDEST, pitch + up - here)) if here else 0

"""Feel of new music: notes moved off the grid as players move them, after all that looks at the grid has looked.

What a player would do is drawn by the feel of the bundle, or where it has none, by that of the shipped drummers; then
pitched tracks move as the drummers' hi-hat hand does. A primer that was played gives its own habits, track by track and
drum by drum, and its own accents where the model writes all notes equally loud. Swing comes first, so a hit is moved
from where it swings. A hit may come before its bar line, as players' do, but none leaves the new part; notes of a pitch
keep their order, and none of them overlap.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from melody.bundle import SHIPPED, Bundle, open_bundle
from melody.generation.assemble import NewNote, junction
from melody.generation.prepared import Prepared
from melody.generation.primer.manner import Manner, voice_and_part
from melody.generation.primer.primer_view import SCALE, Seen
from melody.generation.seeds import Seed
from melody.music.feel import CELL, UNKNOWN, Feel, Hit, Player, Stroke, accents_of, double_of, sixteenth_of
from melody.music.score import GRID, TICKS_PER_QUARTER, Ints, Score, bars, meters, rescale
from melody.music.swing import Swing, is_triplet

PLAYERS = "drums"  # the shipped model whose feel serves models without one
ACCENTS = 0.25  # of a drummer's accents, for tracks of one loudness that no primer shows how to play
DOUBLE_TICKS = 24  # of a second stroke, at 480 a quarter
NEAREST = 15  # ticks from one stroke of a drum to the next: a 128th, the shortest note that notation programs know

Floats = NDArray[np.float64]


def felt(prepared: Prepared, bundle: Bundle, seed: Seed, notes: Sequence[NewNote], score: Score) -> list[NewNote]:
    """The notes of a take as they are played; `score` is the take on the grid."""
    settings, part = prepared.settings, _Part.of(prepared, notes, score)
    moves = part.late(Swing(*settings.swing)) if settings.swing else np.zeros(len(notes))
    amount = settings.humanize or 0.0
    if not amount:
        return part.without_overlaps(part.moved(part.notes, moves))
    numbers, performance = seed.generator_of_feel(), _Performance(prepared, bundle, part)
    strokes = performance.strokes(numbers)
    moves += amount * np.array([stroke.deviation for stroke in strokes])
    played = part.moved(performance.accented(amount, numbers), moves)
    return part.without_overlaps([*played, *part.doubles(played, strokes, amount, numbers)])


# ---- the new part on the grid ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Part:
    """The new notes in order of onset, and what stands around them; ticks at 480 a quarter."""

    notes: Sequence[NewNote]
    hits: Sequence[Hit]
    meters: Sequence[tuple[int, int]]  # of each note's bar
    bar: Ints  # of each note, as the score counts
    drums: Sequence[bool]  # of each note
    start: int
    stop: int
    tempo_qpm: float

    @classmethod
    def of(cls, prepared: Prepared, notes: Sequence[NewNote], score: Score) -> "_Part":
        zero, seam = junction(prepared), prepared.seam
        onset = np.array([note.onset for note in notes], np.int64)
        tick = rescale(onset - zero, TICKS_PER_QUARTER, score.tpq) + seam.start
        lines, changes = bars(score), meters(score)
        bar = np.maximum(np.searchsorted(lines, tick, side="right") - 1, 0)
        place = rescale(tick - lines[bar], score.tpq, GRID)
        drums = [score.tracks[note.track].is_drum for note in notes]
        hits = [
            Hit(int(at), int(within), *voice_and_part(note.track, note.pitch, is_drum), note.velocity)
            for at, within, note, is_drum in zip((onset - zero) // SCALE, place, notes, drums, strict=True)
        ]
        order = sorted(range(len(notes)), key=lambda i: (hits[i].onset, hits[i].voice, hits[i].part, notes[i].pitch))
        at = np.searchsorted([change[0] for change in changes], lines[bar], side="right") - 1
        tempos = [tempo.qpm for tempo in score.tempos if tempo.time <= seam.start]
        end = seam.resumes if seam.resumes is not None else int(lines[-1])
        stop = zero + (end - seam.start) * TICKS_PER_QUARTER // score.tpq
        if prepared.region.replaces:  # a note that was played late may reach into a bar more, which is none of the gap
            gap = prepared.region.new_lines
            stop = min(stop, zero + int(gap[-1] - gap[0]) * SCALE)
        return cls(
            notes=[notes[i] for i in order],
            hits=[hits[i] for i in order],
            meters=[changes[int(at[i])][1:] for i in order],
            bar=bar[order],
            drums=[drums[i] for i in order],
            start=zero,
            stop=stop,
            tempo_qpm=float(tempos[-1]) if tempos else 120.0,
        )

    def late(self, swing: Swing) -> Floats:
        """By how many grid ticks each note swings late (N,)."""
        triplets = {
            (bar, hit.place // GRID)
            for bar, hit in zip(self.bar.tolist(), self.hits, strict=True)
            if is_triplet(hit.place)
        }
        rows = zip(self.bar.tolist(), self.hits, self.meters, strict=True)
        return np.array(
            [0.0 if (bar, hit.place // GRID) in triplets else swing.late(hit.place, meter) for bar, hit, meter in rows]
        )

    def moved(self, notes: Sequence[NewNote], moves: Floats) -> list[NewNote]:
        """Notes moved by so many grid ticks, each pitch in order; ends go with the notes that begin where they were.

        Strokes of a drum stay `NEAREST` apart, where they were.
        """
        keys, onsets, latest = [(note.track, note.pitch) for note in notes], list[int](), list[int]()
        apart = [NEAREST if is_drum else 1 for is_drum in self.drums]
        last, behind = (dict[tuple[int, int], tuple[int, int]]() for _ in range(2))  # where it goes, where it was
        follows: dict[tuple[int, int], int] = {}
        for note, key, room in zip(reversed(notes), reversed(keys), reversed(apart), strict=True):
            to, was = behind.get(key, (self.stop, note.onset + 1))  # each leaves room for those of its pitch behind it
            behind[key] = to - max(1, min(room, was - note.onset)), note.onset
            latest.append(behind[key][0])
        for note, key, room, by, most in zip(notes, keys, apart, moves.tolist(), reversed(latest), strict=True):
            to, was = last.get(key, (self.start - 1, note.onset - 1))
            least = max(self.start, to + max(1, min(room, note.onset - was)))
            at = max(least, min(note.onset + round(by * SCALE), most))
            last[key] = at, note.onset
            begin = note.track, note.onset
            follows[begin] = min(at, follows.get(begin, at))
            onsets.append(at)
        result = []
        for note, at, is_drum in zip(notes, onsets, self.drums, strict=True):
            track, onset, duration, pitch, velocity, bar = note
            stop = onset + duration
            own = stop + at - onset
            end = own if is_drum else follows.get((track, stop), own)
            result.append(NewNote(track, at, max(1, min(end, max(self.stop, stop)) - at), pitch, velocity, bar))
        return result

    def doubles(
        self, notes: Sequence[NewNote], strokes: Sequence[Stroke], amount: float, numbers: np.random.Generator
    ) -> list[NewNote]:
        """Return the second strokes of drums, each where no other note of its pitch stands in the way."""
        onsets: dict[tuple[int, int], list[int]] = {}
        for note in notes:
            onsets.setdefault((note.track, note.pitch), []).append(note.onset)
        ticks = self.tempo_qpm * TICKS_PER_QUARTER / 60_000  # a millisecond
        found = []
        for note, stroke, is_drum in zip(notes, strokes, self.drums, strict=True):
            double, luck = double_of(stroke.double, numbers), numbers.random()
            if double is None or not is_drum or luck >= amount:
                continue
            gap, there = round(double.gap_ms * ticks), onsets[note.track, note.pitch]
            onset = note.onset + (min(gap, -NEAREST) if double.gap_ms < 0 else max(gap, NEAREST))
            place = bisect_left(there, onset)
            near = min(abs(onset - other) for other in there[max(0, place - 1) : place + 1])
            if near >= NEAREST and self.start <= onset < self.stop:
                softer = max(1, round(note.velocity * double.share))
                duration = max(1, min(DOUBLE_TICKS, self.stop - onset))
                found.append(note._replace(onset=onset, duration=duration, velocity=softer))
                there.insert(place, onset)
        return found

    def without_overlaps(self, notes: Sequence[NewNote]) -> list[NewNote]:
        """Notes in order, each ended by the next one of its pitch; of one moment too the pitches keep their order."""
        result: list[NewNote] = []
        behind: dict[tuple[int, int], int] = {}
        for note in sorted(notes, key=lambda note: (note.onset, note.track, note.pitch), reverse=True):
            key, stop = (note.track, note.pitch), note.onset + note.duration
            following = behind.get(key, stop)
            result.append(note if stop <= following else note._replace(duration=following - note.onset))
            behind[key] = note.onset
        return result[::-1]


# ---- who plays ------------------------------------------------------------------------------------------------------


class _Performance:
    """A player that goes on from the primer, or begins."""

    def __init__(self, prepared: Prepared, bundle: Bundle, part: _Part) -> None:
        self.part = part
        self.feel = bundle.feel or _shipped_feel()
        heard = Manner(prepared.primer) if prepared.primer else None
        self.goes_on = heard if heard and heard.is_played else None
        self.accents = accents_of(heard.hits) if heard else {}
        self.equally_loud = len(Seen(bundle).indices("Velocity")) < 2

    def strokes(self, numbers: np.random.Generator) -> list[Stroke]:
        """Return the strokes of the hits of the part."""
        heard = self.goes_on
        player = Player(self.part.tempo_qpm, heard.habits if heard else UNKNOWN)
        strokes = self.feel.played(player, self.part.hits, numbers)
        if heard is None:
            return strokes
        usual = [float(heard.habits.at(hit)[CELL]) for hit in self.part.hits]
        return [
            stroke._replace(deviation=own + heard.looseness * (stroke.deviation - own))
            for own, stroke in zip(usual, strokes, strict=True)
        ]

    def accented(self, amount: float, numbers: np.random.Generator) -> list[NewNote]:
        """Return the notes with accents, where the model writes all of them equally loud."""
        if not self.equally_loud:
            return list(self.part.notes)
        result = []
        for note, hit in zip(self.part.notes, self.part.hits, strict=True):
            mean, spread = self.accents.get(hit.part) or self._usual(hit.voice)
            louder = amount * (mean[sixteenth_of(hit.place)] + spread * numbers.standard_normal())
            result.append(note._replace(velocity=int(np.clip(note.velocity + round(louder), 1, 127))))
        return result

    def _usual(self, voice: int) -> tuple[NDArray[np.float32], float]:
        weights = self.feel.weights
        return ACCENTS * weights["accent"][voice], ACCENTS * float(weights["dynamics"][voice])


def _shipped_feel() -> Feel:
    feel = open_bundle(SHIPPED / PLAYERS).feel
    assert feel is not None
    return feel

"""Voice leading: what the rules of part-writing say about a score of single voices, such as a chorale.

The pitched tracks that have notes are the voices, in order from the highest to the lowest. Music is cut into slices at
every tick where a voice begins or ends a note; a slice holds the pitch of each voice, or `REST`. A note that begins
while another of its voice sounds ends that one; of notes that begin together the highest counts.

- parallels: from one slice to the next two voices sound in both, both change pitch, in the same direction, and the
  interval of the upper over the lower voice is a fifth twice or a unison or octave twice (modulo 12, so that a twelfth
  is a fifth; repeated notes do not move). On the 77 test chorales of JSB-16 this counts 24 on 17,525 notes (1.4 per
  1,000) and none in 79 % of the pieces.
- crossings: a voice comes to sound below the next lower one.
- out of range: notes outside the range of a voice in four parts; the ranges are those of Kostka & Payne (Tonal Harmony,
  ch. 5), widened to what Bach asks of his singers.
- wide spacing: neighbours among the upper voices come to stand more than an octave apart.
- doubled leading notes: two voices come to sound the leading note of the key in one of its dominant chords.
- tonic cadence: the last chord is the tonic triad, major or minor, over its root, and the bass reaches it on a strong
  beat.

Everything but parallels and ranges is counted where it begins, not for as long as it lasts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from melody.music.key import Key, estimate_key
from melody.music.score import Ints, Notes, Score, bars, has_strong_middle, meters, notes_of

REST = -1
OCTAVE = 12
FIFTH = 7
DOMINANT_STEPS = (2, 5, 7, 11)  # above the tonic: the pitch classes of V, V7 and vii
RANGES: tuple[range, ...] = (
    range(60, 82),
    range(53, 75),
    range(48, 70),
    range(36, 65),
)  # S C4-A5, A F3-D5, T C3-A4, B C2-E4

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Slices:
    """A score cut at every change: the tick at which each slice begins (S,) and its pitches (S, voices)."""

    tick: Ints
    pitch: Ints

    @property
    def sounding(self) -> Bools:
        """Return a mask of the voices that sound in each slice; shape (S, voices)."""
        sounding: Bools = self.pitch != REST
        return sounding


@dataclass(frozen=True)
class Parallel:
    """Two voices (0 the highest) that reach `tick` in parallel; `interval` is 7 for fifths, 0 for octaves, unisons."""

    tick: int
    upper: int
    lower: int
    interval: int


@dataclass(frozen=True)
class VoiceLeading:
    """Counts of one score; `tonic_cadence` is 1 or 0."""

    notes: int
    parallels: int
    crossings: int
    out_of_range: int
    wide_spacing: int
    doubled_leading_notes: int
    tonic_cadence: int


def voices(score: Score) -> list[Notes]:
    """The notes of every pitched track that has any, one at a time (see the module), in order of onset."""
    return [_one_at_a_time(notes_of(track)) for track in score.tracks if not track.is_drum and len(track.notes)]


def slices(lines: Sequence[Notes]) -> Slices:
    """The slices of voices whose notes do not overlap, from the first onset to the last end."""
    ticks = np.unique(
        np.concatenate([np.concatenate([n.onset, n.onset + n.duration]) for n in lines] or [np.zeros(0, np.int64)])
    )
    pitch = np.stack([_sounding_at(ticks, n) for n in lines], axis=1) if lines else np.zeros((0, 0), np.int64)
    return Slices(ticks[:-1], pitch[:-1])  # nothing sounds after the last end


def parallels(cut: Slices) -> list[Parallel]:
    """Every parallel fifth, octave or unison, in order of time."""
    upper, lower = np.triu_indices(cut.pitch.shape[1], k=1)  # every pair of voices
    sounding = cut.sounding[:, upper] & cut.sounding[:, lower]  # (S, pairs)
    interval = (cut.pitch[:, upper] - cut.pitch[:, lower]) % OCTAVE
    motion = np.sign(np.diff(cut.pitch, axis=0))  # (S - 1, voices)
    together = (motion[:, upper] == motion[:, lower]) & (motion[:, upper] != 0)
    perfect = np.isin(interval[1:], (0, FIFTH)) & (interval[1:] == interval[:-1])
    found = np.argwhere(sounding[1:] & sounding[:-1] & together & perfect)
    return [
        Parallel(int(cut.tick[s + 1]), int(upper[pair]), int(lower[pair]), int(interval[s, pair])) for s, pair in found
    ]


def crossings(cut: Slices) -> int:
    """Count the times that a voice comes to sound below its lower neighbour."""
    both = cut.sounding[:, :-1] & cut.sounding[:, 1:]
    return _beginnings(both & (cut.pitch[:, :-1] < cut.pitch[:, 1:]))


def wide_spacing(cut: Slices) -> int:
    """Count the times that neighbours come to stand more than an octave apart, the lowest voice left out."""
    upper = cut.pitch[:, :-1]
    both = cut.sounding[:, :-2] & cut.sounding[:, 1:-1]
    return _beginnings(both & (upper[:, :-1] - upper[:, 1:] > OCTAVE))


def doubled_leading_notes(cut: Slices, key: Key) -> int:
    """Count the times that several voices come to sound the leading note in a dominant chord of the key."""
    pitch_class = cut.pitch % OCTAVE
    leading = (pitch_class == key.leading_note) & cut.sounding
    dominant = np.isin((pitch_class - key.tonic) % OCTAVE, DOMINANT_STEPS) | ~cut.sounding
    return _beginnings((leading.sum(axis=1) > 1) & dominant.all(axis=1))


def out_of_range(lines: Sequence[Notes], ranges: Sequence[range] = RANGES) -> int:
    """Count the notes that leave the range of their voice; 0 where there are not as many voices as ranges."""
    if len(lines) != len(ranges):
        return 0
    return sum(
        int(np.count_nonzero((n.pitch < r.start) | (n.pitch >= r.stop))) for n, r in zip(lines, ranges, strict=True)
    )


def ends_on_tonic(score: Score, key: Key | None = None) -> bool:
    """Return True where the last chord is the tonic triad of `key` over its root, reached by the bass on a strong beat.

    Without a key, of the one that the notes suggest, the ending among them. Then 88 % of 189 of
    Bach's chorales end so, and 18 % of the same cut at a random beat: the ending has a say in the key, so give the key
    where it is known.
    """
    lines = voices(score)
    if not lines:
        return False
    key = estimate_key(score) if key is None else key
    last = slices(lines).pitch[-1]
    chord = {int(pitch) % OCTAVE for pitch in last if pitch != REST}
    triads = (Key(key.tonic, "major").triad, Key(key.tonic, "minor").triad)  # a Picardy third is welcome
    rooted = last[-1] != REST and int(last[-1]) % OCTAVE == key.tonic
    return bool(rooted and any(chord <= triad for triad in triads) and is_strong_beat(score, int(lines[-1].onset[-1])))


def is_strong_beat(score: Score, tick: int) -> bool:
    """Return True on the first beat of a bar, and in the middle of a bar of four (or eight, or twelve) units."""
    lines = bars(score, tick + 1)
    bar = int(np.searchsorted(lines, tick, side="right")) - 1
    numerator = [change[1] for change in meters(score) if change[0] <= tick][-1]
    position, length = tick - int(lines[bar]), int(lines[bar + 1] - lines[bar])
    return position == 0 or bool(has_strong_middle(numerator) and 2 * position == length)


def examine(score: Score, key: Key | None = None) -> VoiceLeading:
    """Return the counts of one score; the key is estimated where it is not given."""
    lines = voices(score)
    cut = slices(lines)
    key = estimate_key(score) if key is None else key
    return VoiceLeading(
        notes=sum(len(n.onset) for n in lines),
        parallels=len(parallels(cut)),
        crossings=crossings(cut),
        out_of_range=out_of_range(lines),
        wide_spacing=wide_spacing(cut),
        doubled_leading_notes=doubled_leading_notes(cut, key),
        tonic_cadence=int(ends_on_tonic(score, key)),
    )


def report(scores: Iterable[Score]) -> dict[str, float]:
    """Counts per 1,000 notes over all scores, and two shares of the scores: without parallels, with a tonic cadence.

    The keys are those of `VoiceLeading` without `notes`, and `clean`. All are NaN where there is nothing to count.
    """
    found = [examine(score) for score in scores]
    notes = sum(f.notes for f in found)
    counted = [field.name for field in fields(VoiceLeading) if field.name not in ("notes", "tonic_cadence")]
    result = {name: _ratio(1000 * sum(getattr(f, name) for f in found), notes) for name in counted}
    result["clean"] = _ratio(sum(f.parallels == 0 for f in found), len(found))
    result["tonic_cadence"] = _ratio(sum(f.tonic_cadence for f in found), len(found))
    return result


def _ratio(part: float, whole: int) -> float:
    return part / whole if whole else float("nan")


def _one_at_a_time(notes: Notes) -> Notes:
    notes = notes.take(np.lexsort((-notes.pitch, notes.onset)))
    notes = notes.take(
        np.diff(notes.onset, prepend=notes.onset[:1] - 1) != 0
    )  # the highest of those that begin together
    until_next = np.append(np.diff(notes.onset), notes.duration[-1:])
    return notes._replace(duration=np.minimum(notes.duration, until_next))


def _sounding_at(ticks: Ints, notes: Notes) -> Ints:
    """The pitch that sounds at each tick, or `REST`."""
    latest = np.searchsorted(notes.onset, ticks, side="right") - 1
    held = (latest >= 0) & (ticks < (notes.onset + notes.duration)[latest])
    return np.where(held, notes.pitch[latest], REST)


def _beginnings(present: Bools) -> int:
    """Count the times that something which slices have (along the first axis) begins."""
    before = np.zeros_like(present)
    before[1:] = present[:-1]
    return int(np.count_nonzero(present & ~before))

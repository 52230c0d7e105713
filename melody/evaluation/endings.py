"""Endings of pieces: the last chord, or the last note of a single line, in the key that the notes suggest."""

from collections.abc import Sequence

from melody.music.key import Key, estimate_key
from melody.music.score import Score
from melody.music.voice_leading import REST, is_strong_beat, slices, voices

CHORDS = (
    "tonic triad, major",
    "tonic triad, minor",
    "tonic without its third",
    "tonic triad, inverted",
    "dominant",
    "another chord",
)
NOTES = ("the tonic", "its third", "its fifth", "another note")
ON_A_STRONG_BEAT = "reached on a strong beat"
DOMINANT = {2, 5, 7, 11}  # semitones above the tonic: V, V7 and vii
TONIC = tuple(Key(0, mode).triad for mode in ("major", "minor"))


def endings_of(scores: Sequence[Score], single: bool) -> dict[str, float]:
    """The share of scores with each kind of last chord, or of last note where the music is of single lines.

    The last entry is the share of those whose bass gets to its last note on a strong beat. Scores without notes are
    left out.
    """
    ends = [end for score in scores if (end := _ending(score, single))]
    kinds = NOTES if single else CHORDS
    count = max(1, len(ends))
    shares = {kind: sum(kind == one for one, _ in ends) / count for kind in kinds}
    return shares | {ON_A_STRONG_BEAT: sum(strong for _, strong in ends) / count}


def _ending(score: Score, single: bool) -> tuple[str, bool] | None:
    lines = voices(score)
    if not lines:
        return None
    tonic = estimate_key(score).tonic
    last = [int(pitch - tonic) % 12 for pitch in slices(lines).pitch[-1] if pitch != REST]  # from the highest voice
    strong = is_strong_beat(score, int(lines[-1].onset[-1]))
    return (_note(last[0]) if single and last else _chord(last)), strong


def _note(degree: int) -> str:
    return {0: "the tonic", 3: "its third", 4: "its third", 7: "its fifth"}.get(degree, "another note")


def _chord(degrees: Sequence[int]) -> str:
    chord = set(degrees)
    if chord <= DOMINANT:
        return "dominant"
    if not any(chord <= triad for triad in TONIC):
        return "another chord"
    if degrees[-1] != 0:
        return "tonic triad, inverted"
    return "tonic triad, major" if 4 in chord else "tonic triad, minor" if 3 in chord else "tonic without its third"

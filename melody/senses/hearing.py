"""From a recording to a score: pitch, notes, rhythm, key; each step says what it is unsure of.

A tempo map follows the player, and a note lies off its place in the bar as it did, up to `FEEL`. So the grid that a
model sees has the rhythm that was meant, and the feel stays.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from melody.errors import UnreadableFile
from melody.music.key import Key, estimate_key
from melody.senses.pitch import PitchCurve, pitch_curve
from melody.senses.recording import SILENCE_DB, Samples, decode, level_db
from melody.senses.rhythm import HeardRhythm, heard_rhythm
from melody.senses.sensed import Listening, Sensed
from melody.senses.several import INSTALL, LEAST_EXPLAINED, NOTICE, explained, heard_chords, model_path
from melody.senses.tones import HeardTone, gliding, heard_tones
from melody.senses.written import bar_lines, written

Floats = NDArray[np.float64]
FEWEST = 4  # notes of a tune
ALONE = "hum or play a line of notes close to the microphone"
MOST = 20_000
TOGETHER = 0.05  # seconds within which notes begin at once
GLIDING = 1.5  # semitones a second within notes, of tunes below it and of speech above
NO_SCALE = 0.35  # agreement on a tuning below which there is none; see `gliding`
SURE = 1.0  # log-odds from which on a meter is sure
OUT_OF_TUNE = 0.15  # semitones worth a word
WHISTLE, LOW_HUM, BASS = 84, 55, 40  # median pitches: above, below and again below which a tune lies oddly


@dataclass(frozen=True)
class Heard(Sensed):
    """A recording's score, and on the way to it: notes in seconds, tuning in semitones, rhythm, key, pitch curve."""

    notes: tuple[HeardTone, ...] = ()
    tuning: float = 0.0
    rhythm: HeardRhythm | None = None
    key: Key | None = None
    bar_lines: tuple[float, ...] = ()  # seconds
    curve: PitchCurve | None = None


def hear(data: bytes, name: str = "<bytes>", known: Listening = Listening()) -> Heard:
    """Return what a recording plays.

    Raises `UnreadableFile` for silence, speech and damaged recordings, `LimitExceeded` past ten minutes, `MelodyError`
    where swift-f0 is not installed.
    """
    samples, rate = decode(data, name)
    return hear_samples(samples, rate, name, known)


def hear_samples(samples: Samples, rate: int, name: str = "<recording>", known: Listening = Listening()) -> Heard:
    """Return what samples (frames,) in [-1, 1] at `rate` Hz play. Raises as `hear`."""
    if level_db(samples) < SILENCE_DB:
        raise UnreadableFile(f"{name}: a silent recording; check the microphone and record it again")
    curve = pitch_curve(samples, rate)
    several, remarks = _several(samples, rate, curve, known.polyphonic)
    notes, tuning = (heard_chords(samples, rate), 0.0) if several else heard_tones(curve)
    if len(notes) < FEWEST:
        found = "no note was" if not notes else "1 note was" if len(notes) == 1 else f"only {len(notes)} notes were"
        raise UnreadableFile(f"{name}: {found} heard in it; {(*remarks, ALONE)[0]}")
    if not several:
        remarks += _steadiness(curve, notes, name, known.polyphonic is False)
        if abs(tuning) >= OUT_OF_TUNE:
            side = "above" if tuning > 0 else "below"
            remarks.append(f"tuned {abs(100 * tuning):.0f} cents {side} A = 440 Hz; moved")
    heard = _in_time(notes[:MOST], known, remarks)
    return replace(heard, tuning=tuning, curve=curve)


def _several(samples: Samples, rate: int, curve: PitchCurve, asked: bool | None) -> tuple[bool, list[str]]:
    """Return whether several notes sound at once, and what to say about it."""
    if asked is not None:
        return asked, [NOTICE] if asked else []
    share = explained(samples, rate, curve)
    if share >= LEAST_EXPLAINED:
        return False, []
    if model_path() is None:
        return False, [f"sounds like several notes at once, and one line of them was taken; for all of them: {INSTALL}"]
    return True, [f"sounds like several notes at once: {NOTICE}; `monophonic` hears one line"]


def _steadiness(curve: PitchCurve, notes: Sequence[HeardTone], name: str, sure: bool) -> list[str]:
    """Return what to say of a voice that glides. Raises `UnreadableFile` for speech, if a tune is not `sure`."""
    glide, agreement = gliding(curve, notes)
    if glide >= GLIDING and agreement < NO_SCALE and not sure:
        raise UnreadableFile(
            f"{name}: the voice rests on no pitch, as in speech; hum, sing or play the tune (`monophonic`: it is one)"
        )
    return ["the voice glides much; check the notes"] if glide >= GLIDING or agreement < NO_SCALE else []


def _in_time(notes: Sequence[HeardTone], known: Listening, remarks: list[str]) -> Heard:
    """Return notes with their tempo, meter and key."""
    onset = np.array([note.onset for note in notes])
    starts = np.append(True, np.diff(onset) > TOGETHER)
    pitch = np.array([note.pitch for note in notes])
    rhythm = heard_rhythm(onset[starts], known.tempo_qpm, known.meter, pitch[starts])
    octaves = _octaves(pitch)
    moved = [note._replace(pitch=note.pitch + 12 * octaves) for note in notes]
    score = written(moved, onset[starts], rhythm)
    key = estimate_key(score)
    remarks += _of_rhythm(rhythm, known)
    remarks.append(f"{len(notes)} notes, {key.name}")
    if octaves:
        far = "an octave" if abs(octaves) == 1 else f"{abs(octaves)} octaves"
        remarks.append(f"written {far} {'higher' if octaves > 0 else 'lower'} than heard")
    lines = tuple(bar_lines(onset[starts], rhythm).tolist())
    return Heard(score, tuple(remarks), tuple(notes), 0.0, rhythm, key, lines)


def _of_rhythm(rhythm: HeardRhythm, known: Listening) -> list[str]:
    """Return what was guessed of tempo and meter."""
    meter = "/".join(map(str, rhythm.model.meter))
    said = []
    if not known.tempo_qpm:
        said.append(f"tempo {rhythm.qpm:.0f} quarters a minute was guessed; `tempo` says it")
    if not known.meter:
        unsure = f" ({'/'.join(map(str, rhythm.other))} fits as well)" if rhythm.margin < SURE else ""
        said.append(f"meter {meter} was guessed{unsure}; `meter` says it")
    return said


def _octaves(pitch: NDArray[np.int64]) -> int:
    """Return by how many octaves a tune is moved: whistles down, low voices up; bass lines stay."""
    middle = float(np.median(pitch))
    if middle > WHISTLE:
        return -int(np.ceil((middle - WHISTLE) / 12))
    return 1 if BASS <= middle < LOW_HUM and len(set((pitch // 12).tolist())) < 4 else 0

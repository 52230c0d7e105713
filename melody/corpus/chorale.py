"""Bach's four-voice chorales as music21 ships them: four tracks named Soprano, Alto, Tenor and Bass.

A chorale with instruments keeps its voices: for each of the four the first part whose name begins with it, so a second
soprano goes. Horns, strings and continuo double the voices or play between them.

Old signatures hide keys: a D minor piece is often written without its flat and the file says A minor. Where the last
bass note is the tonic of the key that the notes suggest, that key is taken (one chorale in seven).
"""

import re
import warnings
from pathlib import Path

import numpy as np
from symusic import KeySignature, Track

from melody.errors import UnreadableFile
from melody.formats.musicxml import from_music21
from melody.music.key import estimate_key
from melody.music.score import Score, notes_of

VOICES = ("Soprano", "Alto", "Tenor", "Bass")
CHOIR = 52  # "Choir Aahs"


def read_chorale(name: str) -> Score:
    """Read one chorale of music21's corpus, such as ``bach/bwv269.mxl``.

    Raises `UnreadableFile` where it is not there or is no piece for four single voices from high to low.
    """
    from music21 import converter, corpus
    from music21.exceptions21 import Music21Exception

    try:
        path = Path(corpus.getWork(name))
    except Music21Exception as error:
        raise UnreadableFile(f"{name}: not in music21's corpus; reinstall music21 with its corpus") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stream = converter.parse(path, forceSource=True)
    return four_voices(from_music21(stream, name), name)


def four_voices(score: Score, name: str) -> Score:
    """The score with its four voices alone, in order; raises `UnreadableFile` where they are not to be had."""
    result = score.copy()
    result.tracks = [_voice(score, voice, name) for voice in VOICES]
    heights = [float(notes_of(track).pitch.mean()) for track in result.tracks]
    if sorted(heights, reverse=True) != heights:
        raise UnreadableFile(f"{name}: voices are not in order from high to low")
    correct_key(result, int(notes_of(result.tracks[-1]).pitch[-1]))
    return result


def correct_key(score: Score, last_bass: int) -> None:
    """Replace the key signatures where the last note of the bass confirms another key; changes `score`."""
    key = estimate_key(score)
    if last_bass % 12 == key.tonic:
        score.key_signatures = [KeySignature(0, key.signature, key.tonality)]


def _voice(score: Score, voice: str, name: str) -> Track:
    named = (track for track in score.tracks if re.match(rf"{voice}\b", track.name))
    track = next(named, None)
    if track is None or not len(track.notes):
        raise UnreadableFile(f"{name}: no part called {voice}")
    notes = notes_of(track)
    if np.any(notes.onset[1:] < (notes.onset + notes.duration)[:-1]):
        raise UnreadableFile(f"{name}: {voice} sings two notes at once")
    track = track.copy()
    track.name, track.program = voice, CHOIR
    return track

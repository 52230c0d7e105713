"""POP909: pop songs as three tracks, MELODY, BRIDGE and PIANO, put back on their beats.

The files' own bars mean nothing: no onset is on the sixteenth grid, and two thirds of the songs claim a meter of 1/4.
The data set's annotations tell when each beat sounds. Here every tick becomes seconds by the file's tempo map, seconds
become beats by the annotation, and beats are snapped to the subdivision that fits. Bar lines are the path through the
beats that agrees best with the downbeats heard in the audio and with the changes of chord (Viterbi): a bar may be
shorter or longer than the others, but only where much speaks for it.
Source: Wang et al., POP909: A Pop-song Dataset for Music Arrangement Generation, ISMIR 2020.
"""

import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from symusic import KeySignature, Tempo, TimeSignature, Track

from melody.corpus.pieces import LeftOut, one_piece
from melody.errors import MelodyError
from melody.formats.reading import read
from melody.music.key import estimate_key
from melody.music.quantize import Floats, snapped, subdivisions
from melody.music.score import GRID, Ints, Notes, Score, end_tick, notes_of, set_notes, without_overlaps

_FILE = re.compile(r"(?:^|/)(?:midi|(\d{3}))/(\d{3})\.mid$")
TRACKS = ("MELODY", "BRIDGE", "PIANO")
HEARD, CHORD, LISTED, JUMP = 1.0, 1.0, 0.5, 4.0  # votes for a downbeat at a beat, and the price of an odd bar
MOST_OFF_BEAT = 0.2  # share of onsets that are off: sound songs have up to 0.1, with beats of other music it is 0.5
_ON_BEAT = np.array([0, 6, 8, 12, 16, 18, GRID])  # grid ticks of sixteenths and triplets
_OFF_TICKS = 1.0


def items(root: Path) -> list[str]:
    """The songs below `root`, by path; other versions of a song are passed over."""
    paths = (path.relative_to(root).as_posix() for path in root.rglob("*.mid"))
    matches = (_FILE.search(path) for path in paths)
    return sorted(m.string for m in matches if m and m[1] in (None, m[2]))


def name_of(item: str) -> str:
    """The number of the song, as ``001``."""
    return Path(item).stem


def read_pop(item: str, root: Path) -> Mapping[str, Score | MelodyError]:
    """One song on its beats."""
    return one_piece(name_of(item), lambda: song(root / item))


def song(path: Path) -> Score:
    """A song of POP909, with its annotations found beside it or in ``annotations/NNN``."""
    own = path.parent.parent / "annotations" / path.stem
    folder = own if own.is_dir() else path.parent
    listed = np.loadtxt(folder / "beat_midi.txt", ndmin=2)
    heard = np.loadtxt(folder / "beat_audio.txt", ndmin=2)
    changes = _chord_changes((folder / "chord_midi.txt").read_text(encoding="utf-8"))
    beats = listed[:, 0]
    meter = 3 if heard[:, 1].max(initial=4) == 3 else 4
    votes = downbeat_votes(beats, heard[heard[:, 1] == 1, 0], changes, listed[:, 2] > 0)
    return on_beats(read(path), beats, bar_starts(votes, meter), meter)


def _chord_changes(text: str) -> Floats:
    """The times in seconds at which a chord begins that is another than the one before."""
    rows = [line.split() for line in text.splitlines() if len(line.split()) == 3]
    starts = [float(row[0]) for before, row in zip([["", "", ""], *rows], rows, strict=False) if row[2] != before[2]]
    return np.array(starts)


# ---- bars -----------------------------------------------------------------------------------------------------------


def downbeat_votes(beats: Floats, heard: Floats, changes: Floats, listed: NDArray[np.bool_]) -> Floats:
    """Return the evidence for a downbeat at each beat, shape (beats,); times in seconds."""
    votes = LISTED * listed.astype(np.float64)
    for times, weight in ((heard, HEARD), (changes, CHORD)):
        votes += weight * np.bincount(_nearest_beat(beats, times), minlength=len(beats)).clip(0, 1)
    return votes


def _nearest_beat(beats: Floats, times: Floats) -> Ints:
    middles = (beats[1:] + beats[:-1]) / 2
    return np.searchsorted(middles, times)


def bar_starts(votes: Floats, meter: int, jump: float = JUMP) -> Ints:
    """The beats on which bars begin: the path of the most votes, less `jump` for each odd bar."""
    score = np.zeros(meter)  # of the best path that ends on each beat of a bar
    came = np.zeros((len(votes), meter), np.int64)
    regular = np.roll(np.arange(meter), 1)  # beat 1 after 0, 0 after the last
    for beat, vote in enumerate(votes):
        best = int(score.argmax())
        stays = score[regular] >= score[best] - jump
        came[beat] = np.where(stays, regular, best)
        score = np.where(stays, score[regular], score[best] - jump)
        score[0] += vote
    place = int(score.argmax())
    path = np.zeros(len(votes), np.int64)
    for beat in range(len(votes) - 1, -1, -1):
        path[beat] = place
        place = int(came[beat, place])
    return np.flatnonzero(path == 0)


# ---- notes ----------------------------------------------------------------------------------------------------------


def on_beats(score: Score, beats: Floats, starts: Ints, meter: int) -> Score:
    """The score with `beats` (seconds) as its quarters and bars that begin on those of `starts`; silence before goes.

    Raises `LeftOut` where the notes are not on the beats.
    """
    tracks = _tracks(score)
    exact = [(_grid_ticks(score, n.onset, beats), _grid_ticks(score, n.onset + n.duration, beats)) for n in tracks]
    onsets = np.concatenate([onset for onset, _ in exact])
    first = max([start for start in starts.tolist() if start * GRID <= onsets.min() + 1.5], default=0)
    if (np.abs(onsets[:, None] % GRID - _ON_BEAT).min(axis=1) > _OFF_TICKS).mean() > MOST_OFF_BEAT:
        raise LeftOut("off the beat")
    steps = subdivisions(onsets - first * GRID, np.concatenate([notes.pitch for notes in tracks]))
    result = Score(GRID)
    for name, notes, (onset, end) in zip(TRACKS, tracks, exact, strict=True):
        track = Track(name, 0, False)
        start, stop = snapped(onset - first * GRID, steps), snapped(end - first * GRID, steps)
        set_notes(track, without_overlaps(notes._replace(onset=start, duration=np.maximum(3, stop - start))))
        result.tracks.append(track)
    result.time_signatures = _meters(starts - first, meter, end_tick(result))
    result.tempos = [Tempo(0, qpm=round(60 / float(np.median(np.diff(beats))), 2))]
    key = estimate_key(result)
    result.key_signatures = [KeySignature(0, key.signature, key.tonality)]
    return result


def _tracks(score: Score) -> list[Notes]:
    by_name = {track.name: notes_of(track) for track in score.tracks if len(track.notes)}
    if set(by_name) != set(TRACKS):
        raise LeftOut("lacks a track")
    return [by_name[name] for name in TRACKS]


def _grid_ticks(score: Score, ticks: Ints, beats: Floats) -> Floats:
    """Ticks of the file as ticks of the grid of beats, not rounded; the first and last beats go on at their tempo."""
    tempos = sorted(score.tempos, key=lambda tempo: tempo.time)
    changes = np.array([0, *(tempo.time for tempo in tempos)])
    pace = np.array([0.5, *(60 / tempo.qpm for tempo in tempos)]) / score.tpq  # seconds a tick from each change on
    at = np.concatenate([[0.0], np.cumsum(np.diff(changes) * pace[:-1])])
    place = np.searchsorted(changes, ticks, side="right") - 1
    seconds = at[place] + (ticks - changes[place]) * pace[place]
    index = np.clip(np.searchsorted(beats, seconds, side="right") - 1, 0, len(beats) - 2)
    result: Floats = GRID * (index + (seconds - beats[index]) / (beats[index + 1] - beats[index]))
    return result


def _meters(starts: Ints, meter: int, end: int) -> list[TimeSignature]:
    """A signature wherever a bar has another number of beats than the one before."""
    lines = [start for start in starts.tolist() if 0 <= start * GRID < end]
    lines = lines if lines and lines[0] == 0 else [0, *lines]
    lengths = [after - line for line, after in pairwise(lines)] + [meter]
    result = []
    for line, length, before in zip(lines, lengths, [0, *lengths], strict=False):
        if length != before:
            result.append(TimeSignature(line * GRID, length, 4))
    return result

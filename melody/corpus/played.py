"""Playing: how a corpus's players moved off the grid, kept beside the token store, which holds what they meant.

    played.npz   for each piece, by name: its tempo and where its hits begin; for each hit: onset on the grid, place in
                 the bar, voice (`melody.music.feel`), velocity, deviation from the grid, class of a second stroke

Of hits that the grid throws together the loudest stays, as in the store; the next loudest is its second stroke.
"""

import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from melody.corpus.store import TokenStore
from melody.errors import MelodyError
from melody.music.feel import Double, Hit, Stroke, double_class, voice_of
from melody.music.score import GRID, Ints, Notes, Score, bars
from melody.storage.files import read_bytes, write_bytes

FILE = "played.npz"
MOST_BYTES = 1 << 28
_COLUMNS = {"onset": "<i4", "place": "<i2", "voice": "i1", "velocity": "u1", "deviation": "<f4", "double": "i1"}


class PlayedPiece(NamedTuple):
    """A piece as it was played, hit by hit in order of onset and voice."""

    tempo_qpm: float
    hits: Sequence[Hit]
    strokes: Sequence[Stroke]

    @property
    def deviations(self) -> NDArray[np.float64]:
        """Distance of each hit from the grid, in its ticks."""
        return np.array([stroke.deviation for stroke in self.strokes])


def played_of(score: Score, notes: Notes, onset: Ints) -> PlayedPiece:
    """Return what a player did with drums: `notes` in ticks of the score, each meant at an `onset` of the grid."""
    tempo_qpm = float(score.tempos[0].qpm) if len(score.tempos) else 120.0
    ticks = notes.onset * GRID / score.tpq
    voice = np.array([voice_of(pitch) for pitch in notes.pitch.tolist()], np.int64)
    order = np.lexsort((-notes.velocity, notes.pitch, voice, onset))
    key = onset[order] * 128 + notes.pitch[order]
    first = np.flatnonzero(np.append(True, np.diff(key) != 0)) if len(key) else np.zeros(0, np.int64)
    lines = bars(score, int(onset.max(initial=0)) * score.tpq // GRID + 1) * GRID // score.tpq
    hits, strokes = [], []
    for place, stop in zip(first.tolist(), [*first[1:].tolist(), len(order)], strict=True):
        main, *others = order[place:stop].tolist()
        at, loud = int(onset[main]), int(notes.velocity[main])
        line = int(lines[max(0, int(np.searchsorted(lines, at, side="right")) - 1)])
        hits.append(Hit(at, at - line, int(voice[main]), int(voice[main]), loud))
        gaps = [(ticks[other] - ticks[main]) * 60_000 / (GRID * tempo_qpm) for other in others[:1]]
        doubles = [
            double_class(Double(float(gap), int(notes.velocity[other]) / max(1, loud)))
            for gap, other in zip(gaps, others, strict=False)
        ]
        strokes.append(Stroke(float(ticks[main] - at), *doubles))
    return PlayedPiece(tempo_qpm, hits, strokes)


def write_played(folder: Path, pieces: Mapping[str, PlayedPiece]) -> None:
    """Write what was played beside a store."""
    hits = [hit for piece in pieces.values() for hit in piece.hits]
    strokes = [stroke for piece in pieces.values() for stroke in piece.strokes]
    columns = {name: [getattr(hit, name) for hit in hits] for name in ("onset", "place", "voice", "velocity")}
    columns |= {name: [getattr(stroke, name) for stroke in strokes] for name in ("deviation", "double")}
    file = io.BytesIO()
    np.savez_compressed(
        file,
        names=np.frombuffer(json.dumps(list(pieces)).encode(), np.uint8),
        tempo=np.array([piece.tempo_qpm for piece in pieces.values()]),
        hits=np.array([len(piece.hits) for piece in pieces.values()], np.int64),
        **{name: np.array(columns[name], kind) for name, kind in _COLUMNS.items()},  # type: ignore[arg-type]
    )
    write_bytes(folder / FILE, file.getvalue(), force=True)


def read_played(store: TokenStore, split: str) -> dict[str, PlayedPiece]:
    """Return how the pieces of a split were played, by name; empty for music that was written, not played.

    Raises `MelodyError` for a file that is damaged.
    """
    path = store.folder / FILE
    if not path.is_file():
        return {}
    try:
        with np.load(io.BytesIO(read_bytes(path, MOST_BYTES))) as file:
            names = json.loads(file["names"].tobytes())
            tempos, stops = file["tempo"].tolist(), np.cumsum(file["hits"]).tolist()
            columns = {name: file[name] for name in _COLUMNS}
    except (OSError, ValueError, KeyError) as error:
        raise MelodyError(f"{path}: is damaged; run melody prepare again with `force`") from error
    wanted = set(store.split(split).names)
    spans = zip(names, tempos, [0, *stops], stops, strict=False)
    return {name: _piece(tempo, start, stop, columns) for name, tempo, start, stop in spans if name in wanted}


def _piece(tempo_qpm: float, start: int, stop: int, columns: Mapping[str, NDArray[np.generic]]) -> PlayedPiece:
    part = {name: column[start:stop].tolist() for name, column in columns.items()}
    rows = zip(part["onset"], part["place"], part["voice"], part["voice"], part["velocity"], strict=True)
    strokes = zip(part["deviation"], part["double"], strict=True)
    return PlayedPiece(tempo_qpm, [Hit(*row) for row in rows], [Stroke(*row) for row in strokes])


def gather_played(
    read: Callable[[str, Path], Mapping[str, PlayedPiece]], items: Iterable[str], root: Path, wanted: Iterable[str]
) -> dict[str, PlayedPiece]:
    """Return how all wanted pieces were played that can be read."""
    names, found = set(wanted), dict[str, PlayedPiece]()
    for item in items:
        try:
            found |= {name: piece for name, piece in read(item, root).items() if name in names}
        except MelodyError:
            continue  # the report of the corpus says why
    return found

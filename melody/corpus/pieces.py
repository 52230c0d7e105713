"""Files to tokenized pieces; a file that cannot be read costs one line of the report."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from symusic import Track

from melody.corpus.duplicates import fingerprint, interval_grams
from melody.corpus.facts import Facts, facts_of
from melody.errors import MelodyError, UnreadableFile
from melody.music.quantize import quantize
from melody.music.score import Ints, Score, note_count, notes_of
from melody.tokens import EventTokenizer
from melody.tokens.channels import names_of

if TYPE_CHECKING:
    from melody.formats.abc import TuneReading

SUFFIXES = (".mid", ".midi", ".kar", ".musicxml", ".xml", ".mxl", ".abc", ".krn")

# What an item of a corpus (mostly a file) holds: for each piece, by name, its score or why it cannot be read.
Reader = Callable[[str], "Mapping[str, Score | Placed | MelodyError]"]

READER = EventTokenizer(names_of(["read"]))  # a store holds what follows from reading alone


class Placed(NamedTuple):
    """A score whose tracks keep their places in a model, those without notes too."""

    score: Score


class ItemReader(Protocol):
    """A reader of the items in a folder."""

    def __call__(self, item: str, root: Path) -> Mapping[str, Score | Placed | MelodyError]: ...


class LeftOut(MelodyError):
    """A piece that a corpus does not want; `reason` says why in a few words, by which such pieces are counted."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(detail or reason)
        self.reason = reason


class Dropped(NamedTuple):
    """A piece that is left out, the reason in a few words, and what exactly was wrong."""

    name: str
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class Piece:
    """A piece as read: tokens, and what de-duplication, splitting and augmentation need to know."""

    name: str
    ids: NDArray[np.uint16]  # (T,)
    context: NDArray[np.int16]  # (T, R): the channels that follow from reading
    notes: int
    ranges: tuple[tuple[int, int], ...]  # lowest and highest pitch of each track; (0, 127) for drums
    shifts: tuple[int, int]  # semitones that keep all pitches in 0..127
    fingerprint: str
    grams: Ints
    facts: Facts = field(default_factory=Facts)


def music_files(folder: Path) -> list[str]:
    """Paths of all music in a folder and its folders, relative to it and with slashes; hidden ones are passed over."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    files = (path.relative_to(folder) for path in found)
    return sorted(f.as_posix() for f in files if not any(part.startswith(".") for part in f.parts))


def read_file(item: str, root: Path) -> dict[str, Score | MelodyError]:
    """The scores of a file in a folder: one, or of a book of ABC tunes each as NAME#1, NAME#2 and so on."""
    from melody.formats.reading import read

    if item.lower().endswith(".abc"):
        return _read_tunes(item, root)
    if item.lower().endswith(".krn"):
        return {item: read_kern(root / item)}
    return {item: read(root / item)}


def read_kern(path: Path, staves: bool = False) -> Score:
    """Return the score of a file in kern, with `staves` a track for each.

    Raises `UnreadableFile` where it has not as many notes as are counted.
    """
    from melody.formats.kern import MAX_FILE_BYTES, parse_kern
    from melody.storage.files import read_bytes

    reading = parse_kern(read_bytes(path, MAX_FILE_BYTES), str(path), staves=staves)
    if reading.read_notes != reading.counted_notes:
        lost = f"{reading.counted_notes:,} notes counted, {reading.read_notes:,} read"
        raise UnreadableFile(f"{path}: {lost}; check its notes without a duration")
    return reading.score


def _read_tunes(name: str, root: Path) -> dict[str, Score | MelodyError]:
    from melody.formats.midi.reader import Reading

    tunes = tunes_of(abc_text(root / name), name)
    return {name: tune.score if isinstance(tune, Reading) else tune for name, tune in tunes.items()}


def abc_text(path: Path) -> str:
    """The text of a book of tunes. Raises `UnreadableFile`, or `LimitExceeded` for a giant one."""
    from melody.formats.abc import MAX_FILE_BYTES, decoded
    from melody.storage.files import read_bytes

    return decoded(read_bytes(path, MAX_FILE_BYTES))


def tunes_of(text: str, name: str) -> dict[str, "TuneReading | MelodyError"]:
    """The tunes of a text in ABC, as NAME#1 and so on where there are several; a bad one costs itself alone.

    Raises `UnreadableFile` where there is none.
    """
    from melody.formats.abc import each_tune

    tunes = [*each_tune(text, name)]
    if len(tunes) == 1:
        if isinstance(tunes[0], MelodyError):
            raise tunes[0]
        return {name: tunes[0]}
    return {f"{name}#{number}": tune for number, tune in enumerate(tunes, 1)}


def one_piece(name: str, make: Callable[[], Score | Placed]) -> dict[str, Score | Placed | MelodyError]:
    """Return the content of an item that is one piece, by its name: what `make` returns or raises."""
    try:
        return {name: make()}
    except MelodyError as error:
        return {name: error}


def read_item(item: str, reader: Reader, ngram: int) -> list[Piece | Dropped]:
    """Read and tokenize one item; never raises, since one bad file must not stop ten thousand good ones."""
    try:
        scores = reader(item)
    except Exception as error:
        return [_dropped(item, error)]
    return [_piece(name, score, ngram) for name, score in scores.items()]


def _piece(name: str, read: Score | Placed | MelodyError, ngram: int) -> Piece | Dropped:
    if isinstance(read, MelodyError):
        return _dropped(name, read)
    try:
        score = read.score if isinstance(read, Placed) else read
        if not note_count(score):
            return Dropped(name, "no notes")
        if isinstance(read, Placed):
            piece = _tokenize(name, quantize_on_places(score), [track.name for track in score.tracks], ngram)
        else:
            names = [track.name for track in score.tracks if len(track.notes)]
            piece = _tokenize(name, quantize(score), names, ngram)
        return replace(piece, facts=piece.facts._replace(read=note_count(score)))
    except Exception as error:
        return _dropped(name, error)


def quantize_on_places(score: Score) -> Score:
    """Return a quantised score whose tracks keep their places, those without notes too."""
    result = quantize(score)
    sounding = iter(list(result.tracks))
    result.tracks = [
        next(sounding) if len(track.notes) else Track("", track.program, track.is_drum) for track in score.tracks
    ]
    return result


def _dropped(name: str, error: Exception) -> Dropped:
    if isinstance(error, LeftOut):
        return Dropped(name, error.reason, str(error))
    if isinstance(error, MelodyError):
        return Dropped(name, type(error).__name__, str(error))
    return Dropped(name, "reader failed", f"{type(error).__name__}: {error}")  # a fault of ours or of a library


def _tokenize(name: str, score: Score, tracks: list[str], ngram: int) -> Piece:
    ids = READER.spell(score)
    return Piece(
        name=name,
        ids=ids.astype(np.uint16),
        context=READER.context(ids),
        notes=note_count(score),
        ranges=tuple(_range(track) for track in score.tracks),
        shifts=READER.transposition(ids),
        fingerprint=fingerprint(score),
        grams=interval_grams(score, ngram),
        facts=facts_of(score, tracks),
    )


def _range(track: Track) -> tuple[int, int]:
    pitch = notes_of(track).pitch
    return (int(pitch.min()), int(pitch.max())) if len(pitch) and not track.is_drum else (0, 127)

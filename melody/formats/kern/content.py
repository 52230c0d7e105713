"""Content of a **kern file as it is read, and a reading of it. Times are units of which a quarter has `units`."""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from melody.formats.kern.spines import Columns, Spine
from melody.formats.kern.tokens import Level
from melody.formats.midi.events import Limits, Repairs
from melody.formats.midi.reader import Reading
from melody.formats.midi.texts import decode
from melody.music.score import TICKS_PER_QUARTER


@dataclass(frozen=True)
class KernReading(Reading):
    """A piece, and how many notes were read and are counted in its file; ends of ties alone count in neither."""

    read_notes: int = 0
    counted_notes: int = 0


@dataclass
class Sound:
    """A note, or a part of one that ties join."""

    start: int
    end: int
    pitch: int
    goes_on: bool
    continues: bool
    spine: int = 0  # in which it begins


class Loudness(NamedTuple):
    """A level of loudness, from a time on."""

    time: int
    level: Level


@dataclass
class KernPiece:
    """A piece and where its reading stands."""

    name: str
    repairs: Repairs
    remarks: Repairs
    units: int
    columns: Columns
    sounds: dict[Spine, list[Sound]] = field(default_factory=dict)
    loudness: dict[Spine, list[Loudness]] = field(default_factory=dict)  # by the spine to its left
    lyrics: list[tuple[Spine, int, str]] = field(default_factory=list)
    measures: list[tuple[int, tuple[int, int] | None]] = field(default_factory=list)
    keys: dict[int, tuple[int, bool | None]] = field(default_factory=dict)
    tempos: dict[int, float] = field(default_factory=dict)
    meter: tuple[int, int] | None = None
    title: str = ""
    time: int = 0
    bar: int = 0  # when it began
    notes: int = 0
    line: int = 0
    left_out: Counter[str] = field(default_factory=Counter)  # by kind

    @property
    def place(self) -> str:
        """The line being read, for messages."""
        return f"line {self.line:,}"

    def text(self, words: str) -> str:
        """A text of the file without control characters."""
        limit = Limits().text_characters
        return decode(" ".join(words.split()).encode("utf-8", "replace"), limit, self.repairs, "a text", breaks=False)

    def tick(self, time: int) -> int:
        """Return the tick of a time, rounded half up."""
        return (2 * TICKS_PER_QUARTER * time + self.units) // (2 * self.units)

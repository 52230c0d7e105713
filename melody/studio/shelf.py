"""Scores that the server has: each a MIDI file in memory, named by its hash.

A take is such a score with what is known of it. What a file of another kind holds is written as MIDI when it comes in;
so every score has the same way out, and none of a client's names or paths is ever opened. The shelf is bounded: what
was not asked for the longest time goes, and comes back from the session that holds it.
"""

import base64
import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from melody.errors import LimitExceeded, UnreadableFile
from melody.formats.midi import SEQUENCER, Reading
from melody.formats.reading import read_file
from melody.generation.take_files import midi_bytes
from melody.music.score import Score, note_count
from melody.storage.display import shown
from melody.studio.bounds import Bounds
from melody.studio.errors import NotThere

NAME_LETTERS = 120
HandNote = tuple[int, int, int, int, int]  # track, onset, duration (ticks of the score), pitch, velocity


@dataclass(frozen=True)
class Sheet:
    """A score on the shelf: its MIDI file, a name, what is known of it as a take, and the notes a hand wrote."""

    midi: bytes
    name: str
    take: Mapping[str, Any] = field(default_factory=dict)
    hand: tuple[HandNote, ...] = ()

    @property
    def id(self) -> str:
        """Return the name by which clients know it."""
        what = json.dumps([self.name, dict(self.take), self.hand], sort_keys=True).encode()
        return hashlib.sha256(hashlib.sha256(self.midi).digest() + what).hexdigest()[:24]

    @property
    def sha256(self) -> str:
        """Return the hash of its file, by which `melody compose --replay` knows it."""
        return hashlib.sha256(self.midi).hexdigest()

    @property
    def stem(self) -> str:
        """Return its name without a suffix, fit for a file's."""
        name = self.name.rpartition(".")[0] or self.name
        return "".join(c if c.isalnum() or c in "-_ ." else "-" for c in name).strip(" .")[:80] or "score"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it; `sheet_from` reads it back."""
        return {
            "midi": base64.b64encode(self.midi).decode(),
            "name": self.name,
            "take": dict(self.take),
            "hand": [list(note) for note in self.hand],
        }


def sheet_from(data: Mapping[str, Any]) -> Sheet:
    """Return the sheet that `Sheet.to_dict` made. Raises `ValueError` where it is none."""
    midi, name, take, hand = (data[key] for key in ("midi", "name", "take", "hand"))
    if not (isinstance(midi, str) and isinstance(name, str) and isinstance(take, dict) and isinstance(hand, list)):
        raise ValueError("a score of another shape than melody writes")
    notes = [tuple(note) for note in hand if isinstance(note, list)]
    if len(notes) != len(hand) or not all(len(n) == 5 and all(type(v) is int for v in n) for n in notes):
        raise ValueError("notes of another shape than melody writes")
    return Sheet(base64.b64decode(midi, validate=True), shown(name, NAME_LETTERS), take, tuple(notes))


class Shelf:
    """The scores in memory. Whoever asks for one that has gone gets it from `elsewhere`, where it is known there."""

    def __init__(self, bounds: Bounds, elsewhere: Callable[[str], Sheet | None] = lambda _: None) -> None:
        self._bounds, self._elsewhere = bounds, elsewhere
        self._sheets: OrderedDict[str, Sheet] = OrderedDict()
        self._bytes = 0
        self._lock = threading.RLock()
        self.reading = lru_cache(maxsize=bounds.open_scores)(self._read)

    def put(self, sheet: Sheet) -> Sheet:
        """Keep a score, at the cost of those that were not asked for the longest time."""
        with self._lock:
            name = sheet.id
            if name not in self._sheets:
                self._sheets[name] = sheet
                self._bytes += len(sheet.midi)
            self._sheets.move_to_end(name)
            while self._bytes > self._bounds.shelf_bytes and len(self._sheets) > 1:
                self._bytes -= len(self._sheets.popitem(last=False)[1].midi)
        return sheet

    def get(self, name: str) -> Sheet:
        """Return a score by its id. Raises `NotThere`."""
        with self._lock:
            if name in self._sheets:
                self._sheets.move_to_end(name)
                return self._sheets[name]
        if (sheet := self._elsewhere(name)) is not None:
            return self.put(sheet)
        raise NotThere(f"score {shown(name, 40)}: is not here, or no longer; send its file again")

    def take_in(self, data: bytes, name: str) -> tuple[Sheet, list[str]]:
        """Keep a file of any kind that melody reads; return its score, and what had to be mended or left out.

        Raises `UnreadableFile` or `LimitExceeded`.
        """
        name = shown(name, NAME_LETTERS) or "theme.mid"
        reading = read_file(data, name)
        self._check_size(reading.score, name)
        midi = data if data[:4] == b"MThd" and not reading.repairs else midi_bytes(reading.score, given=reading)
        told = list(dict.fromkeys([*reading.repairs, *reading.remarks]))
        return self.put(Sheet(midi, name)), told

    def take_in_score(self, score: Score, like: Sheet, name: str, hand: Sequence[HandNote] = ()) -> Sheet:
        """Keep a score that was made of another one: with all that its file held, but for what melody noted in it.

        What a hand has changed is not what the settings in the file compose.
        """
        self._check_size(score, name)
        given = self.reading(like.id)
        texts = tuple(text for text in given.texts if text.kind != SEQUENCER)
        midi = midi_bytes(score, given=replace(given, texts=texts))
        return self.put(Sheet(midi, shown(name, NAME_LETTERS), hand=tuple(hand)))

    def _check_size(self, score: Score, name: str) -> None:
        if (notes := note_count(score)) > self._bounds.notes:
            raise LimitExceeded(f"{name}: {notes:,} notes; the studio works on up to {self._bounds.notes:,}; cut it")

    def _read(self, name: str) -> Reading:
        sheet = self.get(name)
        try:
            return read_file(sheet.midi, sheet.name if sheet.name.endswith(".mid") else f"{sheet.stem}.mid")
        except UnreadableFile:
            raise NotThere(f"score {name}: its file is damaged") from None

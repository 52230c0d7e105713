"""The vocabulary: one id for each event that a quantised score can hold.

Token names are ``Type_Value``. Ids of a type stand side by side, so that a type is a `range` and a mask over it a
slice. ``Sustain`` lengthens the note under way by a whole note (96 ticks); ``Duration_n`` ends it after n more ticks,
so that every length has exactly one spelling.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property

from melody.music.general_midi import PROGRAMS
from melody.music.quantize import BAR_UNIT, HIGHEST_TEMPO, LOWEST_TEMPO, MAX_BAR_TICKS, VELOCITY_STEP, tempo_of_bin
from melody.music.score import GRID, bar_length

MAX_TRACKS = 32
MAX_DURATION = 4 * GRID  # ticks of the longest Duration token and of one Sustain
DRUMS = PROGRAMS  # the program index of a drum track


def _meters() -> list[tuple[int, int]]:
    """All meters whose bar is a whole number of 32nds and at most twelve quarters long."""
    return [
        (numerator, denominator)
        for denominator in (1, 2, 4, 8, 16, 32)
        for numerator in range(1, MAX_BAR_TICKS + 1)
        if bar_length(numerator, denominator, GRID) <= MAX_BAR_TICKS
        and bar_length(numerator, denominator, GRID) % BAR_UNIT == 0
    ]


METERS = _meters()
KEYS = [(sharps, tonality) for tonality in (0, 1) for sharps in range(-7, 8)]  # as in MIDI: 0 major, 1 minor
TEMPOS = [tempo_of_bin(index) for index in range(HIGHEST_TEMPO - LOWEST_TEMPO + 1)]
VELOCITIES = [bin_ * VELOCITY_STEP + VELOCITY_STEP // 2 for bin_ in range(128 // VELOCITY_STEP)]


def _tokens_by_type() -> dict[str, list[str]]:
    return {
        "Pad": ["PAD"],
        "Begin": ["BOS"],
        "End": ["EOS"],
        "Bar": ["Bar"],
        "TimeSignature": [f"TimeSignature_{n}/{d}" for n, d in METERS],
        "Key": [f"Key_{sharps}_{('major', 'minor')[tonality]}" for sharps, tonality in KEYS],
        "Tempo": [f"Tempo_{qpm:g}" for qpm in TEMPOS],
        "Position": [f"Position_{tick}" for tick in range(MAX_BAR_TICKS)],
        "Track": [f"Track_{index}" for index in range(MAX_TRACKS)],
        "Program": [*(f"Program_{program}" for program in range(128)), "Program_drums"],
        "Velocity": [f"Velocity_{velocity}" for velocity in VELOCITIES],
        "Pitch": [f"Pitch_{pitch}" for pitch in range(128)],
        "Drum": [f"Drum_{pitch}" for pitch in range(128)],
        "Sustain": ["Sustain"],
        "Duration": [f"Duration_{ticks}" for ticks in range(1, MAX_DURATION + 1)],
    }


@dataclass(frozen=True)
class Vocabulary:
    """Token names by id, and the range of ids of each type: ``vocabulary.ids["Pitch"][60]`` is the id of middle C."""

    tokens: tuple[str, ...]
    ids: Mapping[str, range]

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def id_of(self) -> dict[str, int]:
        """The id of a token's name."""
        return {token: index for index, token in enumerate(self.tokens)}

    @cached_property
    def kind_of(self) -> list[str]:
        """The type of each id."""
        return [kind for kind, span in self.ids.items() for _ in span]

    @cached_property
    def hash(self) -> str:
        """A fingerprint: equal exactly where all tokens and their order are."""
        return hashlib.sha256(json.dumps(self.tokens).encode()).hexdigest()

    def describe(self, ids: list[int]) -> list[str]:
        """The names of tokens, to look at."""
        return [self.tokens[index] for index in ids]


@cache
def event_vocabulary() -> Vocabulary:
    """The vocabulary of the default tokenizer; the same one each time."""
    tokens: list[str] = []
    ids = {}
    for kind, names in _tokens_by_type().items():
        ids[kind] = range(len(tokens), len(tokens) + len(names))
        tokens += names
    return Vocabulary(tuple(tokens), ids)

"""Context channels: what a model is told beside each token, as small integers (0 = unknown or none).

Channels are selected by name, and a bundle records the names of those that its model knows. They come in groups:

- ``read`` follow from what has been read and from a plan of two numbers, the length and the key; `Reader` keeps them
- ``foreseen`` say what the musician wants of the music to come, tick by tick: chords, density, style, and notes that
  are already fixed (a melody to be harmonised, the bars after a gap); `melody.tokens.conditions` holds them
- ``repetition`` say how the piece went on the last time that it stood as it does now (`melody.tokens.repetition`)
- ``form`` say what the plan of the piece names, and what stood at this place then (`melody.tokens.aligned_memory`)
- ``parts`` beside them: each track has a plan and a memory of its own, and the model is told what each is planned as
- ``harmony`` say which chords are planned, the next one too, and where phrases end (`melody.tokens.harmony`)
- ``lines`` say where the track under way comes from: its last move and its range of late (`melody.tokens.lines`)
- ``counterpoint`` say how voices that move stood to the track under way (`melody.tokens.counterpoint`)
- ``contour`` says how high the tune is to lie (`melody.tokens.contour`); `melody.tokens.conditions` holds it too
- ``told`` say what other pieces did under the same tune (`melody.jsb16.tune_book`)

To add one: a line in its group here, and its value where the group is kept.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from melody.errors import ConfigError
from melody.music import chords
from melody.music.score import GRID
from melody.tokens.aligned_memory import SIZES, part_sizes
from melody.tokens.contour import LEVELS
from melody.tokens.counterpoint import SIZE as OF_COUNTERPOINT
from melody.tokens.counterpoint import names as counterpoint
from melody.tokens.harmony import SIZES as OF_HARMONY
from melody.tokens.harmony import WAITS
from melody.tokens.lines import SIZES as OF_LINES
from melody.tokens.repetition import LENGTHS, MOST_AGO, MOST_TIMES
from melody.tokens.vocabulary import MAX_TRACKS, METERS, event_vocabulary

USUAL_VOICES = 4  # tracks of whose pitches a model is told, unless its configuration says otherwise
MOST_VOICES = 16
MOST_SOUNDING = 8  # of them, that the channel "sounding" tells apart
FAR = 17  # bars left from which on the end is simply far away
TIME_UNIT = GRID // 2  # ticks: the time left is told in eighths
FAR_TIME = 33  # such units from which on the end is simply far away
DENSITIES = ("low", "medium", "high")
STYLES = 15
REST = 129  # of a given channel: the track is given, and is silent here
RECALLED = "recalled"

Group = Literal[
    "read", "foreseen", "repetition", "form", "parts", "harmony", "lines", "counterpoint", "contour", "told"
]


class Channel(NamedTuple):
    """One context channel: integers below `size`. Channels of one `plan` know the same thing of what is to come."""

    name: str
    size: int
    plan: str = ""  # "": follows from the past
    moves: Literal["", "pitch", "class"] = ""  # with a transposition: 1 + pitch, 1 + pitch class
    group: Group = "read"


def reading(voices: int = USUAL_VOICES) -> tuple[Channel, ...]:
    """The ``read`` channels of a model that is told of the pitches of so many tracks."""
    return (
        Channel("bars_left", 1 + FAR, plan="length"),  # 1 = the last bar
        Channel("key", 1 + 24, plan="key", moves="class"),  # 1 + tonic + 12 if minor
        Channel("position", 1 + 12 * GRID),  # tick in the bar
        Channel("meter", 1 + len(METERS)),
        Channel("track", 1 + MAX_TRACKS),
        Channel("sounding", 1 + 2 ** min(voices, MOST_SOUNDING)),  # which of the first tracks sound on here, as bits
        *(Channel(f"voice_{voice}", 1 + 128, moves="pitch") for voice in range(voices)),  # latest pitch of each
        Channel("bass", 1 + 128, moves="pitch"),  # the lowest pitch now sounding
        Channel("time_left", 1 + FAR_TIME, plan="length"),  # eighths to the last bar line, where it is near
    )


def foreseeing(voices: int = USUAL_VOICES) -> tuple[Channel, ...]:
    """The ``foreseen`` channels of a model that is told of given notes of so many tracks."""
    given = [f"given_{voice}" for voice in range(voices)], [f"next_{voice}" for voice in range(voices)]
    return (
        Channel("chord", chords.VALUES, "chords", "class", "foreseen"),  # asked for here
        Channel("chord_bass", 1 + 12, "chords", "class", "foreseen"),
        Channel("density", 1 + len(DENSITIES), "density", group="foreseen"),  # of the bar
        Channel("style", 1 + STYLES, "style", group="foreseen"),
        *(Channel(name, 1 + REST, "given", "pitch", "foreseen") for name in given[0]),  # fixed here
        *(Channel(name, 1 + 128, "given", "pitch", "foreseen") for name in given[1]),  # the next one fixed
        *(Channel(f"wait_{voice}", 2 + len(WAITS), "given", group="foreseen") for voice in range(voices)),  # until then
    )


@cache
def wishing(voices: int = USUAL_VOICES) -> tuple[Channel, ...]:
    """The channels of `melody.tokens.conditions`: what is wished for tick by tick, in the order of its columns."""
    return (*foreseeing(voices), CONTOUR)


def recalling(vocabulary_size: int) -> tuple[Channel, ...]:
    """The ``repetition`` channels, which follow from the tokens alone."""
    sizes = {RECALLED: vocabulary_size, "agreed": len(LENGTHS), "times": MOST_TIMES, "ago": 1 + MOST_AGO}
    return tuple(Channel(name, 1 + size, group="repetition") for name, size in sizes.items())


FORMING = tuple(Channel(name, size, group="form") for name, size in SIZES.items())
CONTOUR = Channel("contour", 1 + LEVELS, "contour", group="contour")
HARMONISING = tuple(
    Channel(name, size, "harmony", "class" if "wait" not in name and "phrase" not in name else "", "harmony")
    for name, size in OF_HARMONY.items()
)

LINING = tuple(Channel(name, size, group="lines") for name, size in OF_LINES.items())


def opposing(voices: int = USUAL_VOICES) -> tuple[Channel, ...]:
    """The ``counterpoint`` channels of a model that is told of so many voices."""
    return tuple(Channel(name, OF_COUNTERPOINT, group="counterpoint") for name in counterpoint(voices))


def parting(voices: int = USUAL_VOICES) -> tuple[Channel, ...]:
    """The ``parts`` channels of a model that is told the plans of so many tracks."""
    return tuple(Channel(name, size, group="parts") for name, size in part_sizes(voices).items())


@cache
def event_channels(voices: int = USUAL_VOICES) -> tuple[Channel, ...]:
    """All channels that a model of events can be told, of so many tracks."""
    recalled = recalling(len(event_vocabulary()))
    told = reading(voices) + foreseeing(voices) + recalled + FORMING + parting(voices)
    return told + HARMONISING + LINING + opposing(voices) + (CONTOUR,)


UNUSUAL: tuple[Group, ...] = ("form", "parts", "harmony", "lines", "counterpoint", "contour")
USUAL = tuple(c.name for c in event_channels() if c.group not in UNUSUAL)  # where nothing else is said


def names_of(groups: Iterable[str], voices: int = USUAL_VOICES) -> tuple[str, ...]:
    """The names of the channels in these groups, or of these names, in their usual order.

    Raises `ConfigError` for what is neither.
    """
    wanted, channels = list(groups), event_channels(voices)
    known = {channel.name for channel in channels} | {channel.group for channel in channels}
    for name in wanted:
        if name not in known:
            close = get_close_matches(name, known, 1)
            hint = (
                f"did you mean {close[0]}?"
                if close
                else "there are read, foreseen, repetition, form, parts, harmony, lines, counterpoint and contour"
            )
            raise ConfigError(f"channel {name!r} is unknown; {hint}")
    return tuple(channel.name for channel in channels if channel.name in wanted or channel.group in wanted)


def names_in_older_bundle(count: int) -> tuple[str, ...]:
    """The names of a model's channels in a bundle or run that does not record them: the first so many of the usual."""
    return USUAL[:count]


@dataclass(frozen=True)
class Layout:
    """Selected channels and the column of each. A channel that is not selected has a spare column behind them all."""

    names: tuple[str, ...]

    @property
    def voices(self) -> int:
        """Number of tracks of whose pitches or given notes these channels tell."""
        numbers = [int(number) for name in self.names for kind, _, number in [name.rpartition("_")] if number.isdigit()]
        return max(numbers, default=-1) + 1

    @cached_property
    def channels(self) -> tuple[Channel, ...]:
        """The channels in the order of their columns. Raises `ConfigError` for an unknown name, or one said twice."""
        if len(set(self.names)) < len(self.names) or self.voices > MOST_VOICES:
            raise ConfigError(f"channels {', '.join(self.names)[:200]}: each once, of up to {MOST_VOICES} voices")
        names_of(self.names, self.voices)  # refuses unknown ones
        known = {channel.name: channel for channel in event_channels(self.voices)}
        return tuple(known[name] for name in self.names)

    @property
    def checked(self) -> tuple[str, ...]:
        """The names, of which each is known. Raises `ConfigError` as `channels` does."""
        return tuple(channel.name for channel in self.channels)

    @cached_property
    def column(self) -> dict[str, int]:
        """The column of each channel there is."""
        spare = len(self.names)
        place = {name: column for column, name in enumerate(self.names)}
        return {channel.name: place.get(channel.name, spare) for channel in event_channels(self.voices)}

    @property
    def parts(self) -> int:
        """Number of tracks whose own plans are told; 0: the piece has one plan."""
        return self.voices if self.has("parts") else 0

    def has(self, group: str) -> bool:
        """Return True where a channel of a group is selected."""
        return any(channel.group == group for channel in self.channels)

    def columns(self, channels: Sequence[Channel]) -> "slice | NDArray[np.intp]":
        """The columns of some channels, as an index into a row; a slice where they stand side by side."""
        found = np.array([self.column[channel.name] for channel in channels], np.intp)
        aligned = len(found) > 0 and bool((np.diff(found) == 1).all())
        return slice(int(found[0]), int(found[-1]) + 1) if aligned else found


@cache
def forming(layout: Layout) -> tuple[Channel, ...]:
    """The channels that the aligned memory tells a layout of; none where it has none of them."""
    parts = parting(layout.parts) if layout.parts else ()
    return FORMING + parts if layout.has("form") or parts else ()


@cache
def layout_of(names: tuple[str, ...] = USUAL) -> Layout:
    """The layout of these channels; the same one for the same names."""
    return Layout(names)

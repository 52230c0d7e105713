"""Context channels: what a model is told beside each token, as small integers (0 = unknown or none).

The first ones follow from what has been read and from a plan of two numbers, the length and the key; `Reader` keeps
them. The `FORESEEN` ones say what the musician wants of the music to come, tick by tick: chords, density, style, and
notes that are already fixed (a melody to be harmonised, the bars after a gap); `melody.tokens.conditions` writes them.
The last ones say how the piece went on the last time that it stood as it does now (`melody.tokens.repetition`).

New channels are added at the end, so that a bundle made before them reads those that it knows.
"""

from typing import Literal, NamedTuple

from melody.music import chords
from melody.music.score import GRID
from melody.tokens.repetition import LENGTHS, MOST_AGO, MOST_TIMES
from melody.tokens.vocabulary import MAX_TRACKS, METERS, event_vocabulary

VOICES = 4  # tracks of whose pitches the model is told
FAR = 17  # bars left from which on the end is simply far away
TIME_UNIT = GRID // 2  # ticks: the time left is told in eighths
FAR_TIME = 33  # such units from which on the end is simply far away
DENSITIES = ("low", "medium", "high")
STYLES = 15
REST = 129  # of a given channel: the track is given, and is silent here
RECALLED = "recalled"
WAITS = (6, 12, 18, 24, 36, 48, 72, 96, 144, 192, 288, 384)  # ticks: upper bounds of what a wait channel tells apart


class Channel(NamedTuple):
    """One context channel: integers below `size`. Channels of one `plan` know the same thing of what is to come."""

    name: str
    size: int
    plan: str = ""  # "": follows from the past
    moves: Literal["", "pitch", "class"] = ""  # with a transposition: 1 + pitch, 1 + pitch class


READ = (
    Channel("bars_left", 1 + FAR, plan="length"),  # 1 = the last bar
    Channel("key", 1 + 24, plan="key", moves="class"),  # 1 + tonic + 12 if minor
    Channel("position", 1 + 12 * GRID),  # tick in the bar
    Channel("meter", 1 + len(METERS)),
    Channel("track", 1 + MAX_TRACKS),
    Channel("sounding", 1 + 2**VOICES),  # which of the first tracks sound on here, as bits
    *(Channel(f"voice_{voice}", 1 + 128, moves="pitch") for voice in range(VOICES)),  # latest pitch of each
    Channel("bass", 1 + 128, moves="pitch"),  # the lowest pitch now sounding
    Channel("time_left", 1 + FAR_TIME, plan="length"),  # eighths to the last bar line, where it is near
)
FORESEEN = (
    Channel("chord", chords.VALUES, plan="chords", moves="class"),  # asked for here
    Channel("chord_bass", 1 + 12, plan="chords", moves="class"),
    Channel("density", 1 + len(DENSITIES), plan="density"),  # of the bar
    Channel("style", 1 + STYLES, plan="style"),
    *(Channel(f"given_{voice}", 1 + REST, plan="given", moves="pitch") for voice in range(VOICES)),  # fixed here
    *(Channel(f"next_{voice}", 1 + 128, plan="given", moves="pitch") for voice in range(VOICES)),  # the next one fixed
    *(Channel(f"wait_{voice}", 2 + len(WAITS), plan="given") for voice in range(VOICES)),  # until then
)


def recalling(vocabulary_size: int) -> tuple[Channel, ...]:
    """The channels of `melody.tokens.repetition`, which follow from the tokens alone."""
    sizes = {RECALLED: vocabulary_size, "agreed": len(LENGTHS), "times": MOST_TIMES, "ago": 1 + MOST_AGO}
    return tuple(Channel(name, 1 + size) for name, size in sizes.items())


CHANNELS = READ + FORESEEN + recalling(len(event_vocabulary()))
PLACE = {channel.name: place for place, channel in enumerate(CHANNELS)}  # the column of each

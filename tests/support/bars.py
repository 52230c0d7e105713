"""Bars of events as ids, for tests of what is planned and remembered of them."""

from collections.abc import Sequence

import numpy as np

from melody.corpus.store import Split
from melody.tokens import EventTokenizer
from melody.tokens.channels import names_of
from melody.tokens.vocabulary import METERS, event_vocabulary

IDS = event_vocabulary().ids
FOUR_FOUR, THREE_FOUR = METERS.index((4, 4)), METERS.index((3, 4))

Note = tuple[int, int, int]  # place in the bar, pitch (128 and more: drums), velocity bin


def piece_of(bars: Sequence[Sequence[Note]], meters: Sequence[int] = (), duration: int = 6) -> list[int]:
    """The ids of one track with these notes in each bar; `meters` are those of the first bars."""
    ids = [IDS["Begin"][0], IDS["Track"][0], IDS["Program"][0]]
    velocity, meter = -1, -1
    for number, bar in enumerate(bars):
        ids.append(IDS["Bar"][0])
        own = meters[number] if number < len(meters) else meter if meter >= 0 else FOUR_FOUR
        ids += [IDS["TimeSignature"][own]] if own != meter else []
        meter, place = own, -1
        for onset, pitch, loud in bar:
            ids += [IDS["Position"][onset]] if onset != place else []
            ids += [IDS["Track"][0]] if velocity < 0 else []
            ids += [IDS["Velocity"][loud]] if loud != velocity else []
            ids.append(IDS["Drum"][pitch - 128] if pitch >= 128 else IDS["Pitch"][pitch])
            ids.append(IDS["Duration"][duration - 1])
            place, velocity = onset, loud
    return [*ids, IDS["End"][0]]


def band_of(*parts: Sequence[Sequence[Note]], duration: int = 6) -> list[int]:
    """The ids of a piece in which each track has these bars; a track that holds drums is one."""
    ids = [IDS["Begin"][0]]
    for number, part in enumerate(parts):
        drums = any(pitch >= 128 for bar in part for _, pitch, _ in bar)
        ids += [IDS["Track"][number], IDS["Program"][128 if drums else 0]]
    now, velocity = -1, dict[int, int]()
    for bar in range(max(map(len, parts))):
        ids.append(IDS["Bar"][0])
        ids += [IDS["TimeSignature"][FOUR_FOUR]] if bar == 0 else []
        notes = sorted(
            (place, number, hit, loud) for number, part in enumerate(parts) for place, hit, loud in part[bar]
        )
        place = -1
        for onset, number, hit, loud in notes:
            ids += [IDS["Position"][onset]] if onset != place else []
            ids += [IDS["Track"][number]] if number != now else []
            ids += [IDS["Velocity"][loud]] if velocity.get(number) != loud else []
            ids += [IDS["Drum"][hit - 128] if hit >= 128 else IDS["Pitch"][hit], IDS["Duration"][duration - 1]]
            place, now, velocity[number] = onset, number, loud
    return [*ids, IDS["End"][0]]


def line(*pitches: int, loud: int = 20) -> list[Note]:
    """A bar of quarters."""
    return [(24 * place, pitch, loud) for place, pitch in enumerate(pitches)]


A, B = line(60, 62, 64, 65), line(67, 65, 64, 62)
C, D = line(72, 71, 69, 67), line(55, 57, 59, 60)


def split_of(ids: np.ndarray) -> Split:
    """A split of one piece."""
    read = EventTokenizer(names_of(("read",)))
    context = read.context(ids.astype(np.int32))
    one = np.array([0])
    return Split(
        shards={0: (ids, context)},
        shard=one,
        starts=one,
        lengths=np.array([len(ids)]),
        notes=np.array([16], np.int32),
        shifts=np.array([[-3, 3]], np.int8),
        styles=np.zeros(1, np.int8),
        names=["piece"],
        channels=read.names,
    )

"""Which track goes to which of the model's, as the musician says: what ``--map Lead=Soprano`` means.

Both sides go by name, whatever its case, or by number from 1. A track that goes to several of the model's is read as so
many voices.
"""

from collections.abc import Mapping, Sequence

from melody.bundle import Bundle
from melody.errors import UsageError
from melody.generation.ranges import find_track, named
from melody.music.score import Score

Asked = Mapping[str, tuple[str, ...]]  # the model's tracks of each of the musician's


def parse_mapping(texts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """``["Lead=Soprano", "2=Alto", "2=Bass"]`` as ``{"Lead": ("Soprano",), "2": ("Alto", "Bass")}``.

    Raises `UsageError`.
    """
    result: dict[str, tuple[str, ...]] = {}
    for text in texts:
        track, equals, place = (part.strip() for part in text.rpartition("="))
        if not (equals and track and place):
            raise UsageError(f"--map {text}: write it as Lead=Soprano, or 2=1 for your second track and its first")
        result[track] = (*result.get(track, ()), place)
    return result


def places_asked(mapping: Asked, primer: Score, bundle: Bundle) -> dict[int, tuple[int, ...]]:
    """The model's places of each track of the primer that `mapping` names, by index.

    Raises `UsageError` for a track that is not there or has no notes, for drums and pitches that would meet, and for
    two tracks on one place.
    """
    names, infos = [track.name for track in primer.tracks], bundle.tracks
    result: dict[int, tuple[int, ...]] = {}
    owner: dict[int, int] = {}  # of each place, the track
    for wanted, places in mapping.items():
        track = find_track(names, wanted, "map")
        mine = named(names, track)
        if not len(primer.tracks[track].notes):
            raise UsageError(f"map {wanted}: {mine} has no notes to go on from; leave it out")
        for text in places:
            place = find_track([info.name for info in infos], text, f"map {wanted} to {bundle.name}'s")
            if bool(primer.tracks[track].is_drum) != infos[place].drums:
                raise UsageError(
                    f"map {wanted}={text}: {mine} is {_kind(primer.tracks[track].is_drum)}, "
                    f"{infos[place].name} {_kind(infos[place].drums)}; map like to like"
                )
            if place in owner:
                raise UsageError(f"map {wanted}={text}: {named(names, owner[place])} goes there already; choose one")
            owner[place] = track
            result[track] = (*result.get(track, ()), place)
    return result


def _kind(drums: bool) -> str:
    return "drums" if drums else "pitched"

"""Recordings as music files: what `melody.senses` hears becomes a reading like any other."""

from melody.formats.midi.reader import Reading
from melody.senses.sensed import Listening


def read_recording(data: bytes, name: str, known: Listening = Listening()) -> Reading:
    """Return what a recording plays as a score. Raises as `melody.senses.hearing.hear`."""
    from melody.senses.hearing import hear

    heard = hear(data, name, known)
    return Reading(heard.score, remarks=heard.remarks)

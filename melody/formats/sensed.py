"""Recordings and pictures of pages as music files: what `melody.senses` makes of them becomes a reading like others."""

from melody.formats.midi.reader import Reading
from melody.senses.sensed import Listening


def read_recording(data: bytes, name: str, known: Listening = Listening()) -> Reading:
    """Return what a recording plays as a score. Raises as `melody.senses.hearing.hear`."""
    from melody.senses.hearing import hear

    heard = hear(data, name, known)
    return Reading(heard.score, remarks=heard.remarks)


def read_picture(data: bytes, name: str) -> Reading:
    """Return what stands on a picture of a page as a score. Raises as `melody.senses.page.reader.read_page`."""
    from melody.senses.page.reader import read_page

    page = read_page(data, name)
    return Reading(page.score, remarks=page.remarks)

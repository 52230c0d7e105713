"""Recordings and pictures of pages as music files: what `melody.senses` makes of them becomes a reading like others."""

from melody.formats.midi.reader import Reading
from melody.senses.sensed import Listening


def read_recording(data: bytes, name: str, known: Listening = Listening()) -> Reading:
    """Return what a recording plays as a score. Raises as `melody.senses.hearing.hear`."""
    from melody.senses.hearing import hear

    heard = hear(data, name, known)
    return Reading(heard.score, remarks=heard.remarks)


def read_picture(data: bytes, name: str) -> Reading:
    """Return what stands on a picture of a page as a score; a full score by another program, where one is installed.

    Raises as `melody.senses.page.reader.read_page`.
    """
    from melody.formats.full_scores import installed, read_by_program
    from melody.senses.page.reader import FullScore, read_page

    try:
        page = read_page(data, name)
    except FullScore:
        if (program := installed()) is None:
            raise
        return read_by_program(data, name, program)
    return Reading(page.score, remarks=page.remarks)

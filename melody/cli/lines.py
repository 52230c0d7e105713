"""The line of ``--contour``: from a recording, from a music file, or from semitones as they stand."""

from pathlib import Path
from typing import Annotated

from typer import Option

Contour = Annotated[
    str | None,
    Option(
        help="Let the new tune rise and fall as this line does, with notes of its own: a voice or tune in a file, or "
        "semitones in a row. It is stretched over the new bars. For models that follow one, as folk.",
        metavar='FILE|"0 4 7 4 0"',
        rich_help_panel="Control",
    ),
]


def read_line(text: str) -> tuple[float, ...]:
    """Read a line from a recording or a music file, or "0 4 7 4 0" as it stands."""
    from melody.formats.reading import byte_limit, read_file
    from melody.generation.contour import line_of, parse_contour
    from melody.senses.recording import begins_as_recording
    from melody.storage.files import read_bytes

    path = Path(text)
    if not path.suffix.strip(".0123456789"):
        return parse_contour(text)
    if begins_as_recording(path):
        from melody.senses.contour import line_of_recording

        return line_of_recording(read_bytes(path, byte_limit(path)), str(path))
    return line_of(read_file(path).score, str(path))

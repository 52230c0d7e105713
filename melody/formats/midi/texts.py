"""Text in MIDI files: bytes of unknown encoding to clean strings and back, and names that every DAW can show."""

import re
import unicodedata

from melody.formats.midi.events import Repairs

# Escape sequences of terminals: CSI, then OSC and other strings, then the short ones.
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]")
_BREAKS = "\n\r\t"
_ORIGINAL_NAME = "Track name: "  # begins the event that keeps a name which had to change


def decode(payload: bytes, limit: int, repairs: Repairs, place: str, breaks: bool = True) -> str:
    """The text of a meta event without control characters, UTF-8 or else Latin-1, at most `limit` characters."""
    payload = payload.rstrip(b"\0")
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError:
        text = payload.decode("latin-1")
    cleaned = _printable(text, breaks)
    if cleaned is not text:
        repairs.add("control characters in a text; left out", place)
    if len(cleaned) > limit:
        repairs.add(f"a text of more than {limit:,} characters; cut there", place)
    return cleaned[:limit]


def _printable(text: str, breaks: bool) -> str:
    if text.isprintable() or not any(_is_control(c) for c in text if not breaks or c not in _BREAKS):
        return text
    text = _ESCAPES.sub("", text)
    kept = _BREAKS if breaks else ""
    return "".join(c if c in kept or not _is_control(c) else " " * c.isspace() for c in text)


def _is_control(character: str) -> bool:
    """Control characters, and the format characters that reorder or hide text."""
    return unicodedata.category(character) in ("Cc", "Cf", "Cs")


def ascii_name(name: str) -> str:
    """`name` in ASCII: accents dropped, some letters spelt out, all else as question marks.

    >>> ascii_name("Größe, Violão")
    'Grosse, Violao'
    """
    spelt = "".join(_SPELT.get(c, c) for c in name)
    plain = "".join(c for c in unicodedata.normalize("NFKD", spelt) if not unicodedata.combining(c))
    printable = "".join(c if " " <= c <= "~" else "?" for c in plain)
    return " ".join(printable.split())


def original_name(text: str) -> str | None:
    """The name that an event with the words of `keep_name` holds, or None for any other text."""
    return text[len(_ORIGINAL_NAME) :] if text.startswith(_ORIGINAL_NAME) else None


def keep_name(name: str) -> str:
    """The words of the event that keeps a track's own name beside the ASCII one."""
    return _ORIGINAL_NAME + name


_SPELT = {
    "ß": "ss", "Æ": "Ae", "æ": "ae", "Œ": "Oe", "œ": "oe", "Ø": "O", "ø": "o", "Ł": "L", "ł": "l", "Đ": "D",
    "đ": "d", "Þ": "Th", "þ": "th", "ð": "d", "ı": "i", "♭": "b", "♯": "#", "–": "-", "—": "-", "‘": "'",
    "’": "'", "“": '"', "”": '"', "„": '"', "…": "...",
}  # fmt: skip

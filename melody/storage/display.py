"""Text that came from a file, as it may be shown: names, markers, titles, versions, pieces of an index, file names.

A stranger chooses such text. On a terminal control characters act (they clear the screen, set its title, hide a line),
characters of direction reorder what stands around them, XML forbids both, and half of a surrogate pair (so Python holds
file names that are not UTF-8) cannot be written at all. `shown` is the one place that knows it.

Unicode Technical Report 36 (security considerations), section 3; PEP 383 (file names).
"""

import html
import unicodedata

REPLACEMENT = "\ufffd"
JOINERS = "\u200c\u200d"  # Persian, Indic scripts and emoji are spelled with them
_BREAKS = ("Zl", "Zp")
_NOT_SHOWN = ("Cc", "Cf", "Cs")  # control; format and direction; half pairs


def shown(value: object, most: int | None = None) -> str:
    """Return a value as one line of text that any terminal, page or picture can show.

    Tabs and line breaks become spaces, all else that acts instead of being seen a replacement character. Longer text
    than `most` characters is cut, and ends in dots.
    """
    text = str(value)
    if not text.isprintable():
        text = "".join(c if c.isprintable() else _stand_in(c) for c in text)
    if most is not None and len(text) > most:
        text = f"{text[: max(0, most - 3)]}..."
    return text


def escaped(value: object, most: int | None = None) -> str:
    """Return a value as `shown` does, with the characters escaped that mean something in HTML, SVG and XML."""
    return html.escape(shown(value, most))


def _stand_in(character: str) -> str:
    category = unicodedata.category(character)
    if character in "\t\n\r\v\f\x85" or category in _BREAKS:
        return " "
    is_character = ord(character) & 0xFFFE != 0xFFFE  # the last two of each plane never are, and XML forbids them
    return character if character in JOINERS or (is_character and category not in _NOT_SHOWN) else REPLACEMENT

r"""Words under the music: syllables to notes (ABC 2.1, section 5.1).

-  ends a syllable within a word     _  holds it for one more note     *  passes over a note
~  is a space within a syllable      |  goes on in the next bar        \- is a hyphen
"""

import re
from collections.abc import Sequence

from melody.formats.abc.events import AbcSound

_TOKEN = re.compile(r"(?P<syllable>(?:\\-|[^\s\-_*|])+-?)|(?P<note>[-_*])|(?P<bar>\|)|\s+")


def align(line: Sequence[AbcSound | None], verse: int, text: str) -> bool:
    """Give the notes of a line (None: a bar line) the syllables of a verse, from 0; False where some are left."""
    position = 0  # of the next note
    for token in _TOKEN.finditer(text):
        if token["bar"]:
            position = next((i for i in range(position, len(line)) if line[i] is None), len(line)) + 1
        elif token["syllable"] or token["note"]:
            position = next((i for i in range(position, len(line)) if line[i] is not None), len(line))
            if position < len(line) and token["syllable"]:
                _sing(line[position], verse, token["syllable"])
            elif token["syllable"]:
                return False
            position += 1
    return True


def _sing(sound: AbcSound | None, verse: int, syllable: str) -> None:
    assert sound is not None
    sound.lyrics += [""] * (verse + 1 - len(sound.lyrics))
    ending = "-" if syllable.endswith("-") and not syllable.endswith("\\-") else ""
    words = syllable.removesuffix(ending) if ending else syllable
    sound.lyrics[verse] = words.replace("\\-", "-").replace("~", " ") + ending

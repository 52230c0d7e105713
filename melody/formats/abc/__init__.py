"""Tunes in ABC notation to scores: a parser of the ABC standard 2.1 that opens no file and starts no program.

`text` finds lines, `fields` and `music` know what is in them, `tune` and `voice` take it down as events, `repeats` and
`playing` play those out, and `reader` makes the score.
"""

from melody.formats.abc.reader import (
    MAX_FILE_BYTES,
    TuneReading,
    each_tune,
    first_tune,
    parse_abc,
    read_abc,
    read_tunes,
    split_tunes,
)
from melody.formats.abc.text import decoded

__all__ = [
    "MAX_FILE_BYTES",
    "TuneReading",
    "decoded",
    "each_tune",
    "first_tune",
    "parse_abc",
    "read_abc",
    "read_tunes",
    "split_tunes",
]

"""MIDI files: a reader that takes what comes, a writer that pleases every DAW, a check of files against its rules."""

from melody.formats.midi.check import Breach, check
from melody.formats.midi.events import Limits
from melody.formats.midi.metas import SEQUENCER, Text
from melody.formats.midi.reader import Reading, parse, read_midi
from melody.formats.midi.writer import cautions, dumps, write_midi

__all__ = [
    "SEQUENCER",
    "Breach",
    "Limits",
    "Reading",
    "Text",
    "cautions",
    "check",
    "dumps",
    "parse",
    "read_midi",
    "write_midi",
]

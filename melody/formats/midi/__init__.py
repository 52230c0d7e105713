"""MIDI files: a lenient reader, a writer whose files open as meant in every DAW, and a check against its rules."""

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

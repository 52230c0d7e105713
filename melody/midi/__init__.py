"""MIDI files: a reader that takes what comes, a writer that pleases every DAW, a check of files against its rules."""

from melody.midi.check import Breach, check
from melody.midi.events import Limits
from melody.midi.metas import SEQUENCER, Text
from melody.midi.reader import Reading, parse, read_midi
from melody.midi.writer import cautions, dumps, write_midi

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

"""MusicXML to scores: a bounded reader of its own that states repairs; and streams of music21, for its corpus."""

from melody.formats.musicxml.measures import Measure, whole_bars
from melody.formats.musicxml.reader import parse_musicxml, read_musicxml
from melody.formats.musicxml.stream import from_music21

__all__ = ["Measure", "from_music21", "parse_musicxml", "read_musicxml", "whole_bars"]

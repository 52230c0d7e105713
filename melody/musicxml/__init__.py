"""MusicXML to scores: a bounded reader of its own that states repairs; and streams of music21, for its corpus."""

from melody.musicxml.measures import Measure, whole_bars
from melody.musicxml.reader import parse_musicxml, read_musicxml
from melody.musicxml.stream import from_music21

__all__ = ["Measure", "from_music21", "parse_musicxml", "read_musicxml", "whole_bars"]

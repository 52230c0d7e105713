"""Scores to what other programs open: MusicXML and engraved pages for notation, DAWproject for DAWs."""

from melody.export.dawproject import dawproject_bytes, write_dawproject
from melody.export.engraving import require_verovio, svg_pages, write_svg
from melody.export.musicxml import musicxml_bytes, write_musicxml

__all__ = [
    "dawproject_bytes",
    "musicxml_bytes",
    "require_verovio",
    "svg_pages",
    "write_dawproject",
    "write_musicxml",
    "write_svg",
]

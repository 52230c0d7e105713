"""File formats: MIDI, MusicXML, ABC and others to scores, and scores to MIDI, MusicXML, DAWproject and engraved pages.

`melody.formats.reading` reads any of them. Each format is a module or package of its own.
"""

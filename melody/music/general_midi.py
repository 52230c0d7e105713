"""The drums of General MIDI by name. Source: General MIDI System Level 1, percussion key map (pitches 35 to 81)."""

_NAMES = """
Low Kick|Kick|Side Stick|Snare|Hand Clap|Electric Snare|Low Floor Tom|Closed Hi-Hat|High Floor Tom|Pedal Hi-Hat|Low Tom
Open Hi-Hat|Low-Mid Tom|High-Mid Tom|Crash 1|High Tom|Ride 1|China|Ride Bell|Tambourine|Splash|Cowbell|Crash 2|Vibraslap
Ride 2|High Bongo|Low Bongo|Mute High Conga|Open High Conga|Low Conga|High Timbale|Low Timbale|High Agogo|Low Agogo
Cabasa|Maracas|Short Whistle|Long Whistle|Short Guiro|Long Guiro|Claves|High Wood Block|Low Wood Block|Mute Cuica
Open Cuica|Mute Triangle|Open Triangle
"""
DRUM_NAMES = dict(enumerate(_NAMES.strip().replace("\n", "|").split("|"), start=35))


def drum_name(pitch: int) -> str:
    """What General MIDI calls a pitch of the drum channel: 36 is the kick."""
    return DRUM_NAMES.get(pitch, f"Drum {pitch}")

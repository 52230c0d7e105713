"""General MIDI: its programs and their families, its drums, and the channel that plays them.

Programs, channels and pitches count from 0 here; files and people that count from 1 add one at the door.
Source: General MIDI System Level 1 (MIDI Manufacturers Association, 1991): sound set and percussion key map.
"""

DRUM_CHANNEL = 9  # channel 10 to people, to MusicXML and to most devices' displays
PROGRAMS = PITCHES = 128
FAMILY_SIZE = 8  # programs of related instruments that follow each other: pianos, chromatic percussion, organs ...

INSTRUMENTS = tuple(
    """Acoustic Grand Piano|Bright Acoustic Piano|Electric Grand Piano|Honky-tonk Piano|Electric Piano 1
Electric Piano 2|Harpsichord|Clavinet|Celesta|Glockenspiel|Music Box|Vibraphone|Marimba|Xylophone|Tubular Bells|Dulcimer
Drawbar Organ|Percussive Organ|Rock Organ|Church Organ|Reed Organ|Accordion|Harmonica|Tango Accordion
Acoustic Guitar (nylon)|Acoustic Guitar (steel)|Electric Guitar (jazz)|Electric Guitar (clean)|Electric Guitar (muted)
Overdriven Guitar|Distortion Guitar|Guitar Harmonics|Acoustic Bass|Electric Bass (finger)|Electric Bass (pick)
Fretless Bass|Slap Bass 1|Slap Bass 2|Synth Bass 1|Synth Bass 2|Violin|Viola|Cello|Contrabass|Tremolo Strings
Pizzicato Strings|Orchestral Harp|Timpani|String Ensemble 1|String Ensemble 2|Synth Strings 1|Synth Strings 2
Choir Aahs|Voice Oohs|Synth Voice|Orchestra Hit|Trumpet|Trombone|Tuba|Muted Trumpet|French Horn|Brass Section
Synth Brass 1|Synth Brass 2|Soprano Sax|Alto Sax|Tenor Sax|Baritone Sax|Oboe|English Horn|Bassoon|Clarinet|Piccolo
Flute|Recorder|Pan Flute|Blown Bottle|Shakuhachi|Whistle|Ocarina|Lead 1 (square)|Lead 2 (sawtooth)|Lead 3 (calliope)
Lead 4 (chiff)|Lead 5 (charang)|Lead 6 (voice)|Lead 7 (fifths)|Lead 8 (bass and lead)|Pad 1 (new age)|Pad 2 (warm)
Pad 3 (polysynth)|Pad 4 (choir)|Pad 5 (bowed)|Pad 6 (metallic)|Pad 7 (halo)|Pad 8 (sweep)|FX 1 (rain)
FX 2 (soundtrack)|FX 3 (crystal)|FX 4 (atmosphere)|FX 5 (brightness)|FX 6 (goblins)|FX 7 (echoes)|FX 8 (sci-fi)
Sitar|Banjo|Shamisen|Koto|Kalimba|Bagpipe|Fiddle|Shanai|Tinkle Bell|Agogo|Steel Drums|Woodblock|Taiko Drum
Melodic Tom|Synth Drum|Reverse Cymbal|Guitar Fret Noise|Breath Noise|Seashore|Bird Tweet|Telephone Ring|Helicopter
Applause|Gunshot""".replace("\n", "|").split("|")
)

# programs that players of one kind share
KEYBOARDS, GUITARS, BASSES = range(8), range(24, 32), range(32, 40)
STRINGS, VOCALS, BRASS, WOODWINDS = range(40, 44), range(52, 55), range(56, 61), range(64, 80)
VIOLA, CONTRABASS = 41, 43

_DRUMS = """
Low Kick|Kick|Side Stick|Snare|Hand Clap|Electric Snare|Low Floor Tom|Closed Hi-Hat|High Floor Tom|Pedal Hi-Hat|Low Tom
Open Hi-Hat|Low-Mid Tom|High-Mid Tom|Crash 1|High Tom|Ride 1|China|Ride Bell|Tambourine|Splash|Cowbell|Crash 2|Vibraslap
Ride 2|High Bongo|Low Bongo|Mute High Conga|Open High Conga|Low Conga|High Timbale|Low Timbale|High Agogo|Low Agogo
Cabasa|Maracas|Short Whistle|Long Whistle|Short Guiro|Long Guiro|Claves|High Wood Block|Low Wood Block|Mute Cuica
Open Cuica|Mute Triangle|Open Triangle
"""
DRUM_NAMES = dict(enumerate(_DRUMS.strip().replace("\n", "|").split("|"), start=35))


def drum_name(pitch: int) -> str:
    """Return the name of a pitch of the drum channel: 36 is the kick."""
    return DRUM_NAMES.get(pitch, f"Drum {pitch}")


def family(program: int) -> int:
    """Return the number of a program's family, from 0 (pianos) to 15 (sound effects)."""
    return program // FAMILY_SIZE


def default_name(program: int, is_drum: bool) -> str:
    """Return the name for a track that has none: its instrument's."""
    return "Drums" if is_drum else INSTRUMENTS[program & 127]

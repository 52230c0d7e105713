"""Scores and what is known of music: keys, chords, voice leading, originality, General MIDI."""

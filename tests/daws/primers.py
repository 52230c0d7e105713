"""Primers that were made for these tests alone, each with something that programs are known to stumble over."""

from collections.abc import Callable

import numpy as np
from symusic import ControlChange, KeySignature, PitchBend, Tempo, TextMeta, TimeSignature, Track

from melody.music.score import Notes, Score, set_notes

QUARTER = 480
SCALE = np.array([0, 2, 4, 5, 7, 9, 11])


def piece(
    *meters: tuple[int, int, int],
    tempos: tuple[tuple[int, float], ...] = ((0, 100),),
    keys: tuple[tuple[int, int, int], ...] = ((0, 0, 0),),
) -> Score:
    """A piece without tracks; meters are (tick, numerator, denominator)."""
    score = Score(QUARTER)
    score.time_signatures = [TimeSignature(*meter) for meter in meters]
    score.tempos = [Tempo(tick, qpm=qpm) for tick, qpm in tempos]
    score.key_signatures = [KeySignature(*key) for key in keys]
    return score


def add(score: Score, name: str, program: int, low: int, *, count: int = 32, unit: int = 240, voices: int = 1) -> Track:
    """A track that walks up and down the scale of C from `low` on, in chords of so many voices; Drums has drums."""
    track = Track(name, program, name == "Drums")
    number = np.arange(count)
    steps = np.abs((number * (3 + low % 2)) % 12 - 6)
    pitch = low + (steps % 4 * 2 if track.is_drum else 12 * (steps // 7) + SCALE[steps % 7])
    lengths = np.where(number % 4 == 3, unit // 2, unit)
    chords = np.add.outer(np.array([0, 4, 7])[:voices], pitch).ravel()
    onset, length, velocity = (np.tile(column, voices) for column in (number * unit, lengths, 60 + number % 5 * 10))
    set_notes(track, Notes(onset, length, chords, velocity))
    score.tracks.append(track)
    return score.tracks[-1]


def ensemble() -> Score:
    """All at once: a pickup, two meters, a tempo curve, keys, names, programs, drums, markers, lyrics, pedals."""
    first = QUARTER
    score = piece(
        (0, 1, 4),
        (first, 4, 4),
        (first + 2 * 1920, 7, 8),
        tempos=((0, 90), (first + 1440, 96.5), (first + 1920, 120)),
        keys=((0, -3, 1), (first + 1920, 2, 0)),
    )
    names = [("Flöte", 73, 72), ("Clarinet", 71, 62), ("Violão", 24, 55), ("Bass", 32, 40), ("Drums", 0, 36)]
    for name, program, low in names:
        add(score, name, program, low, count=32)
    score.markers = [TextMeta(0, "Intro"), TextMeta(first + 1920, "Strophe")]
    score.tracks[0].lyrics = [TextMeta(0, "A"), TextMeta(480, "ve"), TextMeta(960, "ma")]
    score.tracks[2].controls = [ControlChange(480, 64, 127), ControlChange(1920, 64, 0)]
    return score


def seven_eight() -> Score:
    """7/8 all through, with sixteenths."""
    score = piece((0, 7, 8))
    add(score, "Lead", 80, 67, count=56, unit=120)
    add(score, "Pad", 89, 52, count=14, unit=480)
    return score


def meters() -> Score:
    """A meter a bar, simple, compound and odd."""
    score = piece((0, 4, 4), (1920, 3, 4), (3360, 6, 8), (4800, 5, 4), (7200, 2, 2), (9120, 9, 8))
    add(score, "Melody", 40, 67, count=47)
    add(score, "Bass", 43, 43, count=23, unit=480)
    return score


def small_notes() -> Score:
    """Triplets above thirty-seconds."""
    score = piece((0, 4, 4))
    add(score, "Triplets", 0, 72, count=48, unit=160)
    add(score, "Thirty-seconds", 0, 48, count=128, unit=60)
    return score


def tempo_curve() -> Score:
    """A ritardando in steps of an eighth, and an accelerando."""
    down = [(tick, 132 - tick / 40) for tick in range(0, 3840, 240)]
    up = [(tick, 40 + (tick - 3840) / 20.5) for tick in range(3840, 7680, 480)]
    score = piece((0, 4, 4), tempos=(*down, *up))
    add(score, "Piano", 0, 60)
    return score


def twenty_tracks() -> Score:
    """More tracks than MIDI has channels, two of them drums."""
    score = piece((0, 4, 4))
    for number in range(18):
        add(score, f"Part {number + 1}", number * 6, 36 + 2 * number, count=16, unit=480)
    add(score, "Drums", 0, 36)
    add(score, "Drums", 0, 41)
    return score


def names() -> Score:
    """Names in many letters, twice the same, none at all, a long one, one in quotation marks."""
    score = piece((0, 4, 4))
    wanted = ["Größe", "ピアノ", "Скрипка", "Oboe", "Oboe", "", "Grand piano, left", '"Lead" <1>']
    for number, name in enumerate(wanted):
        add(score, name, 8 * number, 48 + 3 * number)
    score.markers = [TextMeta(1920, "Überleitung – ピアノ")]
    return score


def pickup() -> Score:
    """Two eighths before the first bar of 3/4."""
    score = piece((0, 1, 4), (480, 3, 4), keys=((0, 1, 0),))
    add(score, "Violin", 40, 67, count=26)
    add(score, "Cello", 42, 48, count=13, unit=480)
    return score


def bare() -> Score:
    """No tempo, no meter, no key, no name."""
    score = Score(QUARTER)
    add(score, "", 0, 60)
    add(score, "", 32, 40)
    return score


def keys() -> Score:
    """A key every bar, sharp and flat, major and minor, and back to the first."""
    changes = [(0, 0, 0), (1920, 4, 0), (3840, -5, 1), (5760, 7, 0), (7680, -7, 0), (9600, 0, 0)]
    score = piece((0, 4, 4), keys=tuple(changes))
    add(score, "Soprano", 52, 64, count=48)
    return score


def words() -> Score:
    """Lyrics of two voices and markers, in letters beyond ASCII."""
    score = piece((0, 4, 4))
    for name, syllables in (("Sopran", "Süß- er Wein am Rhein"), ("Alt", "Ça i- ra dé- jà")):
        track = add(score, name, 52, 60, count=16, unit=480)
        track.lyrics = [TextMeta(480 * n, syllable) for n, syllable in enumerate(syllables.split())]
    score.markers = [TextMeta(0, "Erste Strophe"), TextMeta(3840, "Refrain 1"), TextMeta(5760, "Schluß")]
    return score


def pedals() -> Score:
    """Pedals, wheels, volume, pan, expression, banks and bends."""
    score = piece((0, 4, 4))
    for name, program, low in (("Piano", 0, 60), ("Strings", 48, 50)):
        track = add(score, name, program, low, voices=3)
        changes = [(0, 0, 1), (0, 32, 2), (0, 7, 100), (0, 10, 30)]
        changes += [(1920 * bar, 64, 127) for bar in range(4)] + [(1920 * bar + 1680, 64, 0) for bar in range(4)]
        changes += [(60 * n, 11, 40 + n) for n in range(64)] + [(120 * n, 1, n) for n in range(40)]
        track.controls = [ControlChange(*change) for change in sorted(changes)]
        track.pitch_bends = [PitchBend(1920 + 30 * n, 200 * n) for n in range(20)] + [PitchBend(3840, 0)]
    return score


def human() -> Score:
    """Played, not drawn: every note a little late, a little long or short."""
    score = piece((0, 4, 4), tempos=((0, 97.3),))
    chance = np.random.default_rng(5)
    for name, low in (("Guitar", 52), ("Drums", 36)):
        track = add(score, name, 25, low)
        onset = 480 * np.arange(16) + chance.integers(0, 25, 16)
        length, velocity = chance.integers(200, 450, 16), chance.integers(40, 99, 16)
        set_notes(track, Notes(onset, length, low + np.arange(16) % 7, velocity))
    return score


PRIMERS: dict[str, Callable[[], Score]] = {
    primer.__name__: primer
    for primer in (
        ensemble,
        bare,
        seven_eight,
        meters,
        small_notes,
        tempo_curve,
        twenty_tracks,
        names,
        pickup,
        keys,
        words,
        pedals,
        human,
    )
}

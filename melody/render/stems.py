"""Stems, a track's sound each: those of a page, compressed, and those of files, whose sum is the whole.

A synthesizer adds its notes up, so the stems' sum is the piece; the gain that levels the sum levels every stem. On a
page a stem is mono with its place between the loudspeakers: half the bytes of stereo, and a track stands where it was
panned. MP3 is what every browser decodes; where libsndfile has no MP3, FLAC (larger) is the other such format. Equal
scores make equal bytes. Samples are (frames,) or (frames, 2) float32.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from melody.errors import MelodyError
from melody.music.score import Score
from melody.render.loudness import levelling_gain
from melody.render.sound import (
    CEILING_DB,
    TAIL_SECONDS,
    TARGET_LUFS,
    Samples,
    encode,
    loop_frames,
    looped,
    sounding_seconds,
    unlevelled,
)
from melody.storage.files import refuse_overwrite, write_bytes

WAV_RATE = 44_100  # of stems as files
MOST_LETTERS = 40  # of a track's name in that of its file
SAMPLE_RATE = 32_000  # what lies above 16 kHz would cost more bytes than it gives
MP3 = {"compression_level": 0.6, "bitrate_mode": "VARIABLE"}  # some 40 kbit/s a track
MP3_DELAY = 1105 / SAMPLE_RATE  # seconds of silence that LAME and a decoder put first; most browsers cut them
MAX_PIECE_SECONDS = 600.0
FULLEST = 0.9  # of full scale: a stem alone may be higher than the sum

Mono = NDArray[np.float32]


@dataclass(frozen=True)
class Stem:
    """A track's sound; `pan` goes from -1, left, to 1 at constant power."""

    data: bytes
    pan: float


@dataclass(frozen=True)
class StemSound:
    """The stems of a piece, one for each track with notes, in order; played times `gain` they are as loud as asked."""

    stems: list[Stem]
    gain: float
    seconds: float
    delay_seconds: float  # at the start of every stem, unless the decoder cuts it


def sound_of(score: Score, soundfont: str | os.PathLike[str] | None = None) -> StemSound:
    """The score as stems. Raises `MelodyError` where it is longer than ten minutes or no sound can be made."""
    if (seconds := sounding_seconds(score)) > MAX_PIECE_SECONDS:
        raise MelodyError(
            f"the score lasts {seconds / 60:.0f} minutes, and a page holds sound up to {MAX_PIECE_SECONDS / 60:.0f}"
        )
    voices = [folded(samples) for samples in unlevelled(list(single_tracks(score)), soundfont, SAMPLE_RATE)]
    mix = reduce(np.add, (placed(mono, pan) for mono, pan in voices))
    gain = levelling_gain(mix, SAMPLE_RATE, TARGET_LUFS, CEILING_DB)
    level = FULLEST / max(FULLEST, *(float(np.abs(mono * gain).max()) for mono, _ in voices))
    audio_format = _format()
    stems = [Stem(_encoded((mono * gain * level)[:, None], audio_format), round(pan, 3)) for mono, pan in voices]
    delay = MP3_DELAY if audio_format == "MP3" else 0.0
    return StemSound(stems, 1 / level, len(mix) / SAMPLE_RATE, delay)


def render_stems(
    score: Score,
    path: str | os.PathLike[str],
    soundfont: str | os.PathLike[str] | None = None,
    force: bool = False,
    loop: bool = False,
) -> list[Path]:
    """Write a score as a WAV file and each of its tracks as one, whose sum it is; return their paths, the whole first.

    The stem of the second track, a bass, of ``take.wav`` is ``take-2-Bass.wav``. All have the length and the gain of
    the whole. `loop` as in `melody.render.sound.render`. Raises `MelodyError` where a file exists (unless `force`).
    """
    whole = Path(path)
    numbers = [number for number, track in enumerate(score.tracks) if len(track.notes)]
    paths = [whole, *(_stem_path(whole, number, score.tracks[number].name) for number in numbers)]
    for one in paths:
        refuse_overwrite(one, force)
    voices = list(unlevelled(list(single_tracks(score)), soundfont, WAV_RATE))
    if loop:
        voices = [looped(voice, loop_frames(score, WAV_RATE)) for voice in voices]
    mix: Samples = reduce(np.add, voices)
    gain = levelling_gain(mix, WAV_RATE, TARGET_LUFS, CEILING_DB)[:, None]
    gain *= FULLEST / max(FULLEST, *(float(np.abs(voice * gain).max()) for voice in voices))
    for one, samples in zip(paths, [mix, *voices], strict=True):
        write_bytes(one, encode(samples * gain, WAV_RATE, "WAV"), force=force)
    return paths


def _stem_path(whole: Path, number: int, name: str) -> Path:
    plain = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:MOST_LETTERS]
    return whole.with_name("-".join(filter(None, [whole.stem, str(number + 1), plain])) + whole.suffix)


def track_seconds(score: Score) -> float:
    """Return the seconds of stems that a score makes. Raises as `sounding_seconds`."""
    return (sounding_seconds(score) + TAIL_SECONDS) * sum(len(track.notes) > 0 for track in score.tracks)


def single_tracks(score: Score) -> Iterator[Score]:
    """Yield for each track with notes the score with the notes of that track alone, all else in its place."""
    for index, sounding in enumerate(score.tracks):
        if not len(sounding.notes):
            continue
        alone = score.copy()
        for other in (*range(index), *range(index + 1, len(alone.tracks))):
            alone.tracks[other].notes = []
        yield alone


def folded(samples: Samples) -> tuple[Mono, float]:
    """Stereo (frames, 2) as mono of the same power, and the pan by the powers of its channels."""
    left, right = (float(power) for power in np.einsum("ij,ij->j", samples, samples, dtype=np.float64) / len(samples))
    mono: Mono = (samples[:, 0] + samples[:, 1]) * np.float32(0.5)
    power = float(np.einsum("i,i->", mono, mono, dtype=np.float64) / len(samples))
    if not power:
        return mono, 0.0
    # beyond 2 the channels are each other's opposites: an effect, which mono cannot have
    scale = min(2.0, np.sqrt((left + right) / power))
    return mono * np.float32(scale), float(4 / np.pi * np.arctan2(np.sqrt(right), np.sqrt(left)) - 1)


def placed(mono: Mono, pan: float) -> Samples:
    """Mono as a browser's panner places it: (frames, 2) of the same power."""
    angle = (pan + 1) * np.pi / 4
    return mono[:, None] * np.array([np.cos(angle), np.sin(angle)], np.float32)


def _format() -> str:
    import soundfile

    return "MP3" if "MP3" in soundfile.available_formats() else "FLAC"


def _encoded(samples: Samples, audio_format: str) -> bytes:
    return encode(samples, SAMPLE_RATE, audio_format, **(MP3 if audio_format == "MP3" else {}))

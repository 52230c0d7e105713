"""Recordings (WAV, FLAC, MP3, OGG, AIFF) as mono samples at the rate that a model takes.

libsndfile decodes block by block and stops after `MAX_SECONDS`, whatever a header claims. Resampling is a windowed sinc
(Smith & Gossett 1984), one dot product a sample, with the cutoff below the lower of both rates.
"""

import io
from math import gcd
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from melody.errors import LimitExceeded, UnreadableFile

MAX_SECONDS = 600.0
RATES = (4_000, 384_000)  # Hz
MOST_CHANNELS = 32
BLOCK = 1 << 20  # samples of all channels that are decoded at once
ZEROS = 16  # zero crossings of the sinc on each side
SILENCE_DB = -60.0  # a recording that stays below is silent
MP3_BEGINNINGS = (b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"\xff\xfa")

Samples = NDArray[np.float32]


def is_recording(data: bytes) -> bool:
    """Return true where bytes begin as a recording that `decode` knows."""
    return _kind(data) is not None


def _kind(data: bytes) -> str | None:
    """Return the kind of recording that bytes begin as; None where they begin as none."""
    if data[:4] in (b"RIFF", b"RF64", b"RIFX") and data[8:12] == b"WAVE":
        return "WAV"
    if data[:4] == b"FORM" and data[8:12] in (b"AIFF", b"AIFC"):
        return "AIFF"
    if data.startswith(MP3_BEGINNINGS):
        return "MP3"
    return {b"fLaC": "FLAC", b"OggS": "OGG"}.get(data[:4])


def begins_as_recording(path: Path) -> bool:
    """Return true where a file can be read and begins as a recording."""
    try:
        if not path.is_file():  # a pipe would wait for its writer
            return False
        with path.open("rb") as file:
            return is_recording(file.read(16))
    except (OSError, ValueError):
        return False


def decode(data: bytes, name: str) -> tuple[Samples, int]:
    """Return a recording's samples (frames,), its channels averaged, and their rate in Hz.

    Raises `UnreadableFile` for a damaged or empty one, `LimitExceeded` past `MAX_SECONDS`.
    """
    import soundfile

    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            rate, channels = int(file.samplerate), int(file.channels)
            if not RATES[0] <= rate <= RATES[1] or channels > MOST_CHANNELS:
                raise UnreadableFile(
                    f"{name}: a recording of {channels} channels at {rate:,} Hz; melody hears up to {MOST_CHANNELS} at "
                    f"{RATES[0]:,} to {RATES[1]:,} Hz; export it as stereo at 44,100 Hz"
                )
            blocks = _blocks(file, int(MAX_SECONDS * rate), max(1, BLOCK // channels), name)
    except soundfile.LibsndfileError as error:
        reason = error.error_string.strip().rstrip(".")
        kind = f"{known} recording" if (known := _kind(data)) else "recording"
        raise UnreadableFile(f"{name}: a damaged {kind} ({reason}); export or record it again") from error
    samples = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    if not len(samples):
        raise UnreadableFile(f"{name}: a recording without a sample in it; record it again")
    if not np.isfinite(samples).all():
        raise UnreadableFile(f"{name}: a recording with samples that are no numbers; export it again as 16 bits")
    return samples, rate


def _blocks(file: object, limit: int, size: int, name: str) -> list[Samples]:
    blocks: list[Samples] = []
    frames = 0
    while len(block := file.read(size, "float32", always_2d=True)):  # type: ignore[attr-defined]
        frames += len(block)
        if frames > limit:
            raise LimitExceeded(
                f"{name}: lasts more than {MAX_SECONDS / 60:.0f} minutes; melody hears no more; cut out the tune"
            )
        blocks.append(block.mean(axis=1, dtype=np.float32))
    return blocks


def resampled(samples: Samples, rate: int, new_rate: int) -> Samples:
    """Return samples at another rate."""
    if rate == new_rate:
        return samples
    common = gcd(rate, new_rate)
    up, down = new_rate // common, rate // common
    scale = 1.0 if new_rate > rate else 0.94 * new_rate / rate  # the band in which the window falls off
    reach = int(np.ceil(ZEROS / scale))
    count = max(1, len(samples) * up // down)
    padded = np.pad(samples, (reach, reach + down))
    result = np.zeros(count, np.float32)
    offsets = np.arange(-reach + 1, reach + 1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach)
    for phase in range(min(up, count)):  # all outputs of a phase lie at one fraction between input samples
        position, fraction = divmod(phase * down, up)
        distance = (offsets - fraction / up) * scale
        kernel = np.sinc(distance) * (0.5 + 0.5 * np.cos(np.pi * np.clip(distance / ZEROS, -1, 1))) * scale
        rows = windows[position + 1 :: down][: len(result[phase::up])]
        result[phase::up] = rows @ kernel.astype(np.float32)
    return result


def level_db(samples: Samples) -> float:
    """Return the level of the loudest tenth of a second, in dB below full scale."""
    size = max(1, len(samples) // max(1, len(samples) // 1600))
    power = np.square(samples[: len(samples) // size * size]).reshape(-1, size).mean(axis=1)
    return float(10 * np.log10(max(float(power.max(initial=0.0)), 1e-12)))

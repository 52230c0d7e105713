"""Loudness, measured and levelled: ITU-R BS.1770-4, true peak, a soft limiter.

Samples are (frames, 2) floats, 1.0 is full scale. Loudness is in LUFS, peaks in dB of full scale (dBFS).
Sources: ITU-R BS.1770-4 (K-weighting, gating, true peak); EBU R 128. We differ in one place: the weighting is
applied to the power spectrum of each 100 ms step rather than as a recursive filter, which needs no scipy and lies
within 0.1 LU of pyloudnorm on music.
"""

import math

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.floating]
Floats = NDArray[np.floating]

STEP_SECONDS = 0.1  # gating blocks are four steps long and overlap by three
GATE_LUFS = -70.0
RELATIVE_GATE = -10.0
OFFSET = -0.691  # so that a 997 Hz sine of full scale in one channel reads -3.01
OVERSAMPLING = 4
MAX_LIMITING_DB = 6.0  # beyond, a piece stays quieter rather than be squashed
PASSES = 3  # of gain and limiter, each making up for what the limiter took
LIMITER_BLOCK = 64  # frames
LIMITER_REACH = 8  # blocks the gain takes to fall before a peak and to come back: 12 ms at 44.1 kHz


def loudness_lufs(samples: Samples, sample_rate: int) -> float:
    """Integrated loudness of stereo `samples`, gated; -inf for silence."""
    steps = step_powers(samples, sample_rate)  # (steps,)
    blocks = np.convolve(steps, np.full(4, 0.25), "valid") if len(steps) >= 4 else steps
    blocks = blocks[blocks > _power(GATE_LUFS)]
    if not len(blocks):
        return -math.inf
    blocks = blocks[blocks > _power(_lufs(blocks.mean()) + RELATIVE_GATE)]
    return _lufs(blocks.mean())


def step_powers(samples: Samples, sample_rate: int) -> Floats:
    """K-weighted power of every 100 ms step, channels summed; shape (steps,)."""
    size = round(STEP_SECONDS * sample_rate)
    weight = k_weighting(np.fft.rfftfreq(size, 1 / sample_rate)) * 2 / size**2  # one-sided spectrum, Parseval
    whole = samples[: len(samples) // size * size]
    powers = [
        (np.abs(np.fft.rfft(step, axis=0)) ** 2).sum(1) @ weight for step in whole.reshape(-1, size, samples.shape[1])
    ]
    return np.array(powers)


def k_weighting(frequency: Floats) -> Floats:
    """Power gain of the K filter at frequencies in Hz: a high shelf of 4 dB (the head) and a high pass at 38 Hz."""
    # the analogue prototypes behind the standard's coefficients for 48 kHz
    s = 1j * frequency / 1681.9744509555319
    shelf_gain, q = 10 ** (3.99984385397 / 20), 0.7071752369554193
    head = (shelf_gain * s**2 + shelf_gain**0.499666774155 / q * s + 1) / (s**2 + s / q + 1)
    s = 1j * frequency / 38.13547087613982
    high_pass = s**2 / (s**2 + s / 0.5003270373253953 + 1)
    response: Floats = np.abs(head * high_pass)
    return response**2


def true_peak_db(samples: Samples) -> float:
    """The highest point of the waveform between the samples too, oversampled four times; -inf for silence."""
    return _decibels(block_peaks(samples))


def _decibels(peaks: Floats) -> float:
    """The highest of linear peaks in dB; -inf where there is none."""
    peak = float(peaks.max(initial=0))
    return 20 * math.log10(peak) if peak > 0 else -math.inf


def block_peaks(samples: Samples) -> Floats:
    """True peak of every block of `LIMITER_BLOCK` frames, channels together, linear; shape (blocks,)."""
    taps = 12
    offsets = np.arange(taps) - taps / 2 + 1
    peaks = _by_block(np.abs(samples).max(1))
    for phase in range(1, OVERSAMPLING):
        distance = offsets - phase / OVERSAMPLING
        kernel = np.sinc(distance) * np.cos(np.pi * distance / (taps + 2)) ** 2
        for channel in samples.T:
            between = np.convolve(channel, (kernel / kernel.sum())[::-1].astype(np.float32), "same")
            peaks = np.maximum(peaks, _by_block(np.abs(between)))
    return peaks


def _by_block(values: Samples) -> Floats:
    blocks: Floats = np.pad(values, (0, -len(values) % LIMITER_BLOCK)).reshape(-1, LIMITER_BLOCK)
    highest: Floats = blocks.max(1)
    return highest


def normalized(samples: NDArray[np.float32], sample_rate: int, lufs: float, peak_db: float) -> NDArray[np.float32]:
    """The samples at `lufs`, true peak at most `peak_db`; rare peaks are limited, and silence stays silence."""
    return samples * levelling_gain(samples, sample_rate, lufs, peak_db)[:, None]


def levelling_gain(samples: Samples, sample_rate: int, lufs: float, peak_db: float) -> NDArray[np.float32]:
    """The gain of every frame that makes of `samples` what `normalized` gives; shape (frames,).

    Quieter than asked where more than `MAX_LIMITING_DB` of limiting would be needed.
    """
    gain_db = lufs - loudness_lufs(samples, sample_rate)
    if math.isinf(gain_db):
        return np.ones(len(samples), np.float32)
    peaks = block_peaks(samples)
    most_db = peak_db + MAX_LIMITING_DB - _decibels(peaks)
    for _ in range(PASSES):
        level = np.float32(10 ** (min(gain_db, most_db) / 20))
        gain = level * limiting_gain(samples * level, peaks * level, peak_db)
        gain_db += lufs - loudness_lufs(samples * gain[:, None], sample_rate)  # what the limiter took
    return gain


def limiting_gain(samples: Samples, peaks: Floats, peak_db: float) -> NDArray[np.float32]:
    """The gain of every frame that brings true peaks down to `peak_db`, the last hundredths by plain scaling.

    The `peaks` are those of the samples' blocks, which take most of the time.
    """
    ceiling = 10 ** (peak_db / 20)
    if peaks.max(initial=0) <= ceiling:
        return np.ones(len(samples), np.float32)
    gain = limiter_gain(len(samples), peaks, ceiling)
    excess_db = max(0.0, true_peak_db(samples * gain[:, None]) - peak_db)
    return gain * np.float32(10 ** (-excess_db / 20))


def limiter_gain(frames: int, peaks: Floats, ceiling: float) -> NDArray[np.float32]:
    """A gain in (0, 1] a frame that keeps true peaks of blocks under `ceiling`: it looks ahead, without a corner.

    The gain each block needs, the least of its neighbourhood, smoothed over no more than that neighbourhood: an average
    of values none of which is above what the block needs.
    """
    needed = np.minimum(1, ceiling / np.maximum(peaks, 1e-9))
    window = np.hanning(2 * LIMITER_REACH + 1)[1:-1]  # odd, so centred
    reach = len(window) // 2 + 1  # a block more, for the line drawn between blocks
    padded = np.pad(needed, reach, constant_values=1)
    least = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).min(1)
    smooth = np.convolve(np.pad(least, len(window) // 2, "edge"), window / window.sum(), "valid")
    centres = (np.arange(len(smooth)) + 0.5) * LIMITER_BLOCK
    return np.interp(np.arange(frames), centres, smooth).astype(np.float32)


def _lufs(power: float) -> float:
    return OFFSET + 10 * math.log10(power)


def _power(lufs: float) -> float:
    return float(10 ** ((lufs - OFFSET) / 10))

"""The synthesizer's own process: MIDI files in, raw samples out. Run as a script, it imports nothing of melody.

A SoundFont is a stranger's binary and the synthesizers are native code: a bad one may crash, hang or eat memory. Here
it may, for `melody.render.sound` waits with a limit and turns whatever happens into one line.

    python sound_worker.py JOB.json    {"engines": [[name, soundfont], ...], "midis": [path, ...], "outs": [path, ...],
                                        "sample_rate": Hz, "frames": int, "memory_limit_bytes": int}

Each of `outs` becomes `frames` x 2 little-endian float32. The first engine that is installed does the work. The exit
code is 0; 1 where it failed, or 2 where none is installed, with the reason as the last line on stderr.
"""

import contextlib
import io
import json
import sys
from collections.abc import Callable, Iterator
from ctypes import c_int, c_void_p
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

BLOCK_FRAMES = 8192
HEADROOM_GAIN = 0.4  # FluidSynth's own default of 0.2 is faint; floats cannot clip, so the value only sets a scale
CHUNK_SECONDS = 10  # resampled at a time, with a second either side

Job = dict[str, Any]


def fluidsynth(job: Job, soundfont: str, midi: str, out: IO[bytes]) -> None:
    """FluidSynth's own MIDI player, its clock driven by the samples drawn: no audio driver, no clipping."""
    try:
        import fluidsynth as fs
    except OSError as error:  # a library that is there but does not load
        raise ImportError(str(error)) from error
    offline = {"player.timing-source": "sample", "synth.lock-memory": 0, "synth.polyphony": 512}
    synth = fs.Synth(gain=HEADROOM_GAIN, samplerate=float(job["sample_rate"]), channels=16, **offline)
    if synth.sfload(soundfont) == fs.FLUID_FAILED:
        raise ValueError("FluidSynth cannot load the SoundFont")
    if synth.play_midi_file(midi) == fs.FLUID_FAILED:
        raise ValueError("FluidSynth cannot play the MIDI file")
    write_float = _float_writer(fs)
    for start in range(0, job["frames"], BLOCK_FRAMES):
        block = np.zeros((min(BLOCK_FRAMES, job["frames"] - start), 2), "<f4")
        left_right = block.ctypes.data, 0, 2, block.ctypes.data, 1, 2  # interleaved: buffer, offset, step
        write_float(synth.synth, len(block), *left_right)
        out.write(block.tobytes())


def _float_writer(fs: Any) -> Callable[..., int]:
    # pyfluidsynth declares only the 16-bit call, which clips and rounds before the level is known
    left = ("left", c_void_p, 1), ("left_offset", c_int, 1), ("left_step", c_int, 1)
    right = ("right", c_void_p, 1), ("right_offset", c_int, 1), ("right_step", c_int, 1)
    call: Callable[..., int] = fs.cfunc(
        "fluid_synth_write_float", c_int, ("synth", c_void_p, 1), ("frames", c_int, 1), *left, *right
    )
    return call


def midirenderer(job: Job, soundfont: str, midi: str, out: IO[bytes]) -> None:
    """The Rust synthesizer: the whole piece at once, in 16 bits at a rate of its own (48 kHz)."""
    import midirenderer as renderer
    import soundfile

    wav = renderer.render_wave_from(Path(soundfont).read_bytes(), Path(midi).read_bytes())
    samples, sample_rate = soundfile.read(io.BytesIO(wav), dtype="float32", always_2d=True)  # (frames, 2)
    missing = job["frames"]
    for chunk in resampled(samples, sample_rate, job["sample_rate"]):
        out.write(chunk[:missing].astype("<f4").tobytes())
        missing -= len(chunk[:missing])
    out.write(bytes(8 * missing))


def resampled(samples: NDArray[np.float32], old_rate: int, new_rate: int) -> Iterator[NDArray[np.floating]]:
    """The samples (frames, channels) at another rate, chunk by chunk: a spectrum cut or padded at the lower Nyquist."""
    if old_rate == new_rate:
        yield samples
        return
    padded = np.pad(samples, ((old_rate, (CHUNK_SECONDS + 1) * old_rate), (0, 0)))  # a second before, the rest after
    for second in range(0, len(samples) // old_rate + 1, CHUNK_SECONDS):
        piece = padded[second * old_rate : (second + CHUNK_SECONDS + 2) * old_rate]
        spectrum = np.fft.rfft(piece, axis=0)
        converted = np.fft.irfft(spectrum, (CHUNK_SECONDS + 2) * new_rate, axis=0)  # cuts or pads the spectrum
        yield converted[new_rate:-new_rate] * (new_rate / old_rate)


ENGINES = {"fluidsynth": fluidsynth, "midirenderer": midirenderer}


def work(job: Job) -> None:
    """Render with the first engine of the job that is installed; raise `ImportError` where none is."""
    reasons = []
    for name, soundfont in job["engines"]:
        try:
            for midi, path in zip(job["midis"], job["outs"], strict=True):
                with open(path, "wb") as out:
                    ENGINES[name](job, soundfont, midi, out)
            return
        except ImportError as error:
            reasons.append(f"{name}: {error}")
    raise ImportError(
        f"no synthesizer works here ({'; '.join(reasons)}); install midirenderer or the FluidSynth library"
    )


def limit_memory(limit_bytes: int) -> None:
    """Let allocations beyond the limit fail, where the system can (not on Windows)."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, limit_bytes))


if __name__ == "__main__":
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    limit_memory(job["memory_limit_bytes"])
    try:
        work(job)
    except BaseException as error:  # a Rust panic is no Exception
        print(f"\n{str(error) or type(error).__name__}", file=sys.stderr)
        sys.exit(2 if isinstance(error, ImportError) else 1)

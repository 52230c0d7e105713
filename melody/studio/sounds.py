"""Sound in the background: the stems of a score, of which only those are rendered that no other score had before.

A track is known by the MIDI that it makes alone, so an edit of one track renders that one, and four takes that share
their drums share that stem. Each stem is levelled for itself, with the gain that puts it back into the mix; so its
bytes stay the same whatever sounds beside it, and a browser asks for them once. They are FLAC, fifteen times as fast to
make as MP3, with no silence before it. Samples are mono (frames,) float32.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from melody.errors import LimitExceeded
from melody.formats.midi import Reading, dumps
from melody.music.score import Score
from melody.render.loudness import loudness_lufs
from melody.render.sound import TARGET_LUFS, Samples, encode, unlevelled
from melody.render.stems import FULLEST, SAMPLE_RATE, Mono, folded, placed, single_tracks, track_seconds
from melody.storage.display import shown
from melody.studio.bounds import Bounds
from melody.studio.errors import Busy, NotThere

MOST_ABOVE_DB = 4.0  # peaks of the mix that the page's limiter takes


@dataclass(frozen=True)
class SoundingTrack:
    """A track as it sounds: its samples, where it stands between the loudspeakers, and its file."""

    samples: Mono
    pan: float
    data: bytes
    gain: float  # which makes of the file's level that of the samples

    @property
    def bytes(self) -> int:
        """Return what it takes in memory."""
        return self.samples.nbytes + len(self.data)


class StemCache:
    """Rendered tracks by the hash of their MIDI, bounded; one synthesizer works at a time."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._tracks: OrderedDict[str, SoundingTrack] = OrderedDict()
        self._lock = threading.Lock()
        self._waiting = 0
        self.pool = ThreadPoolExecutor(1, "sound")

    def stems(self, reading: Reading) -> dict[str, Any]:
        """Return the stems of a score, with their gains in a mix at -16 LUFS; render what is missing.

        Raises `LimitExceeded` where it is too long, `Busy` where too many wait for the synthesizer, `MelodyError`
        where there is no note or no synthesizer.
        """
        score = reading.score
        if (seconds := track_seconds(score)) > self._bounds.track_seconds:
            most = self._bounds.track_seconds / 60
            raise LimitExceeded(
                f"{seconds / 60:.0f} minutes of tracks; the studio plays up to {most:.0f}: cut the score"
            )
        alone = dict(enumerate(single_tracks(score)))
        names = {number: _name_of(one) for number, one in alone.items()}
        found = self._with_room({names[number]: one for number, one in alone.items()})
        stems = [found[name] for name in names.values()]
        level = _level(stems)
        places = [index for index, track in enumerate(score.tracks) if len(track.notes)]
        return {
            "seconds": max(len(stem.samples) for stem in stems) / SAMPLE_RATE,
            "gain": round(level, 6),
            "stems": [
                {"track": track, "sound": name, "pan": round(stem.pan, 3), "gain": round(stem.gain, 6)}
                for track, name, stem in zip(places, names.values(), stems, strict=True)
            ],
        }

    def sound(self, name: str) -> bytes:
        """Return the file of a stem by its name. Raises `NotThere`."""
        with self._lock:
            if name not in self._tracks:
                raise NotThere(f"sound {shown(name, 40)}: is not here, or no longer; ask for the stems again")
            self._tracks.move_to_end(name)
            return self._tracks[name].data

    def in_turn(self, work: "partial[Any]") -> Any:
        """Do work for which the synthesizer is needed when it is its turn. Raises `Busy`."""
        with self._lock:
            if self._waiting >= self._bounds.sounding:
                raise Busy(
                    f"{self._waiting} scores wait for the synthesizer, which is the limit; try again in a moment"
                )
            self._waiting += 1
        try:
            return self.pool.submit(work).result()
        finally:
            with self._lock:
                self._waiting -= 1

    def _with_room(self, wanted: Mapping[str, Score]) -> dict[str, SoundingTrack]:
        """Return the tracks by name; those that are not here are rendered, together."""
        held = self._held(wanted)
        return held if len(held) == len(wanted) else dict(self.in_turn(partial(self._rendered, wanted)))

    def _held(self, wanted: Mapping[str, Score]) -> dict[str, SoundingTrack]:
        with self._lock:
            held = {name: self._tracks[name] for name in wanted if name in self._tracks}
            for name in held:
                self._tracks.move_to_end(name)
        return held

    def _rendered(self, wanted: Mapping[str, Score]) -> dict[str, SoundingTrack]:
        found = self._held(wanted)
        missing = {name: score for name, score in wanted.items() if name not in found}
        if missing:
            for name, samples in zip(missing, unlevelled(list(missing.values()), None, SAMPLE_RATE), strict=True):
                found[name] = _track_of(*folded(samples))
                self._keep(name, found[name])
        return found

    def _keep(self, name: str, track: SoundingTrack) -> None:
        with self._lock:
            self._tracks[name] = track
            while sum(one.bytes for one in self._tracks.values()) > self._bounds.sound_bytes and len(self._tracks) > 1:
                self._tracks.popitem(last=False)

    def close(self) -> None:
        """Take no more work."""
        self.pool.shutdown(wait=False, cancel_futures=True)


def _name_of(alone: Score) -> str:
    """Return the name of what a score of one track sounds like: markers and names of tracks do not sound."""
    silent = alone.copy()
    silent.markers, silent.key_signatures = [], []
    for track in silent.tracks:
        track.name, track.lyrics = "", []
    silent.tracks = [track for track in silent.tracks if len(track.notes)]
    return hashlib.sha256(dumps(silent)).hexdigest()[:32]


def _track_of(mono: Mono, pan: float) -> SoundingTrack:
    peak = float(np.abs(mono).max(initial=0.0))
    gain = peak / FULLEST if peak else 1.0
    return SoundingTrack(mono, pan, encode((mono / np.float32(gain))[:, None], SAMPLE_RATE, "FLAC"), gain)


def _level(stems: list[SoundingTrack]) -> float:
    frames = max(len(stem.samples) for stem in stems)
    mix = np.zeros((frames, 2), np.float32)
    for stem in stems:
        mix[: len(stem.samples)] += placed(stem.samples, stem.pan)
    return level_of(mix)


def level_of(mix: Samples) -> float:
    """Return the gain that brings a mix (frames, 2) to its loudness, or as near as its peaks leave room for."""
    missing_db = TARGET_LUFS - loudness_lufs(mix, SAMPLE_RATE)
    room_db = MOST_ABOVE_DB - 20 * np.log10(max(float(np.abs(mix).max(initial=0.0)), 1e-9))
    return float(10 ** (min(missing_db, room_db) / 20)) if np.isfinite(missing_db) else 1.0

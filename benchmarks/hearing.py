"""Hearing: how well melody hears tunes that it renders itself, where what was played is known to the sample.

Tunes are the beginnings of held-out pieces: folk tunes, sopranos of chorales and voices of songs from the test splits,
each at a tempo of its own. Every tune is rendered clean, and once more as people record: with vibrato, a loose hand,
out of tune, in a room, with noise. Notes are compared by mir_eval (Raffel et al. 2014), onsets within 50 ms. The
real-time factor is processor time.

    python benchmarks/hearing.py [--tunes 200] [--only clean|rough] [--polyphonic] [--json]
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
from race import machine, one_thread  # noqa: E402

one_thread()

import mir_eval  # noqa: E402
import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from symusic import Tempo, TimeSignature, Track  # noqa: E402

from melody.corpus import open_store  # noqa: E402
from melody.errors import UnreadableFile  # noqa: E402
from melody.music.key import estimate_key, key_of_signature  # noqa: E402
from melody.music.score import (  # noqa: E402
    GRID,
    Notes,
    Score,
    clip,
    end_tick,
    meters,
    note_count,
    notes_of,
    set_notes,
    without_overlaps,
)
from melody.render.sound import encode, seconds_at, unlevelled  # noqa: E402
from melody.senses.hearing import hear  # noqa: E402
from melody.tokens import EventTokenizer  # noqa: E402

CORPORA = ("folk", "chorale", "lied")
PROGRAMS = {"hum": -1, "voice": 53, "flute": 73, "recorder": 74, "clarinet": 71, "violin": 40, "piano": 0}
RATE = 44_100
SECONDS = 20.0  # of each tune, about
QPM = (70.0, 150.0)  # drawn; of dotted quarters where three eighths are a beat
VIBRATO_CENTS, VIBRATO_HZ = (15.0, 50.0), (4.5, 6.5)
DETUNED_CENTS = 45.0
NOISE_DB = (18.0, 30.0)  # below the music
ROOM_SECONDS = (0.2, 0.6)  # in which it falls by 60 dB
ROOM_LEVEL = 0.008  # of its echoes: some 10 dB below what comes straight
TONGUED_SECONDS = 0.05  # by which a note ends early where the next has its pitch
GLIDE_SECONDS = 0.08  # of a hum from note to note
SHORTEST = 0.1  # seconds: a tempo at which a note is shorter is lowered
LOOSE_SECONDS = 0.012  # standard deviation of a hand
Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Tune:
    """A tune as it is to be played: grid ticks at a tempo, in a meter and a key."""

    name: str
    notes: Notes
    qpm: float
    meter: tuple[int, int]
    signature: int | None  # sharps, as the piece declares; None where it does not
    instrument: str

    def score(self, hand: np.random.Generator | None) -> Score:
        """Return it at a thousand ticks a quarter; with a `hand`, played loosely."""
        score = Score(1000)
        score.tempos, score.time_signatures = [Tempo(0, qpm=self.qpm)], [TimeSignature(0, *self.meter)]
        onset, end = (np.round(t * 1000 / GRID) for t in (self.notes.onset, self.notes.onset + self.notes.duration))
        if hand is not None:
            moved = hand.normal(0, LOOSE_SECONDS, len(onset)) * self.qpm / 60 * 1000
            onset = np.maximum(np.round(onset + moved), 0)
            end = np.maximum(onset + 60, np.minimum(end + moved, np.append(onset[1:], np.inf)))
        tongued = np.append(self.notes.pitch[1:] == self.notes.pitch[:-1], False) & (
            end >= np.append(onset[1:], np.inf)
        )
        end = np.where(tongued, np.maximum(end - TONGUED_SECONDS * self.qpm / 60 * 1000, onset + 30), end)
        track = Track("", max(0, PROGRAMS[self.instrument]))
        columns = (onset, end - onset, self.notes.pitch, self.notes.velocity)
        set_notes(track, without_overlaps(Notes(*(np.asarray(column, np.int64) for column in columns))))
        score.tracks.append(track)
        return score


def tunes(count: int, split: str = "test", seed: int = 1) -> list[Tune]:
    """Return so many tunes, the corpora in turn, each by an instrument in turn."""
    draw, tokenizer = np.random.default_rng(seed), EventTokenizer()
    pools = {name: open_store(Path("corpora") / name / "prepared").split(split) for name in CORPORA}
    order = {name: draw.permutation(len(pool)) for name, pool in pools.items()}
    result: list[Tune] = []
    for turn in range(10 * count):
        name = CORPORA[turn % len(CORPORA)]
        if turn // len(CORPORA) >= len(order[name]):
            continue
        index = int(order[name][turn // len(CORPORA)])
        score = tokenizer.decode(pools[name].piece(index)[0].tolist())
        instrument = list(PROGRAMS)[len(result) % len(PROGRAMS)]
        if tune := _tune(f"{name}/{index}", score, instrument, draw):
            result.append(tune)
        if len(result) == count:
            break
    return result


def _tune(name: str, score: Score, instrument: str, draw: np.random.Generator) -> Tune | None:
    """Return the beginning of a piece's tune; None for one in a meter that changes, or too short or low or high."""
    numerator, denominator = meters(score)[-1][1:]
    found = [notes_of(track) for track in score.tracks if not track.is_drum]
    if not found or len(meters(score)) > 2 or not len(found[0].onset):
        return None
    line = found[0].take(np.append(np.diff(found[0].onset) > 0, True))  # the highest of what begins together
    compound = numerator % 3 == 0 and numerator > 3 and denominator == 8
    qpm = float(np.exp(draw.uniform(*np.log(QPM)))) * (1.5 if compound else 1.0)
    qpm = min(qpm, float(np.percentile(np.diff(line.onset), 2)) / GRID * 60 / SHORTEST)
    first = int(line.onset[0])
    line = line._replace(onset=line.onset - first // GRID * GRID)
    line = line.take(line.onset < SECONDS * qpm / 60 * GRID)
    duration = np.minimum(line.duration, np.append(np.diff(line.onset), 10**6))
    line = line._replace(duration=duration, velocity=np.full(len(duration), 90))
    if len(line.onset) < 16 or line.pitch.min() < 48 or line.pitch.max() > 93 or np.diff(line.onset).min() < 3:
        return None
    if np.diff(line.onset).max() > 6 * GRID:
        return None
    keys = list(score.key_signatures)
    return Tune(name, line, qpm, (numerator, denominator), keys[0].key if keys else None, instrument)


def rendered(pieces: list[Tune], rough: bool) -> Iterator[tuple[Tune, Score, Samples, float]]:
    """Yield each tune with what was played, its sound, and by how much that was stretched."""
    draws = [np.random.default_rng([7, number]) for number in range(len(pieces))]
    scores = [tune.score(draw if rough else None) for tune, draw in zip(pieces, draws, strict=True)]
    for tune, score, draw in zip(pieces, scores, draws, strict=True):
        if PROGRAMS[tune.instrument] < 0:
            sound = hummed(notes_of(score.tracks[0]), 60 / tune.qpm / 1000)
        else:
            (stereo,) = unlevelled([score], None, RATE)
            sound = stereo.mean(axis=1)
        sound /= np.abs(sound).max() * 1.25
        if rough:
            sound, stretch = roughened(sound, draw)
        else:
            stretch = 1.0
        yield tune, score, sound.astype(np.float32), stretch


def hummed(notes: Notes, seconds: float) -> Samples:
    """Return notes as one voice hums them, a tick lasting so many seconds: it glides, and each note swells a little."""
    onset, end = notes.onset * seconds, (notes.onset + notes.duration) * seconds
    t = np.arange(int((end[-1] + 0.5) * RATE)) / RATE
    goal = notes.pitch[np.maximum(np.searchsorted(onset, t, side="right") - 1, 0)].astype(float)
    glide = np.hanning(int(GLIDE_SECONDS * RATE))
    pitch = np.convolve(np.pad(goal, len(glide), mode="edge"), glide / glide.sum(), "same")[len(glide) : -len(glide)]
    pitch += 0.25 * np.sin(2 * np.pi * 5.3 * t)
    phase = np.cumsum(440 * 2 ** ((pitch - 69) / 12)) * 2 * np.pi / RATE
    sound = sum(np.sin(k * phase) / k**1.6 for k in range(1, 9))
    level = np.zeros(len(t))
    for first, last in zip(onset, end, strict=True):
        inside = (t >= first) & (t < last + 0.03)
        level[inside] = np.maximum(
            level[inside], np.minimum(1, np.minimum((t[inside] - first) / 0.03, (last + 0.03 - t[inside]) / 0.03))
        )
    return np.asarray(sound * level, np.float32)


def roughened(sound: Samples, draw: np.random.Generator) -> tuple[Samples, float]:
    """Return sound out of tune, with vibrato, a room and noise, and by how much longer it has become."""
    stretch = 2 ** (draw.uniform(-DETUNED_CENTS, DETUNED_CENTS) / 1200)
    rate, cents = draw.uniform(*VIBRATO_HZ), draw.uniform(*VIBRATO_CENTS)
    t = np.arange(int(len(sound) * stretch)) / RATE
    depth = (2 ** (cents / 1200) - 1) / (2 * np.pi * rate)
    warped = np.interp(t / stretch + depth * np.sin(2 * np.pi * rate * t), np.arange(len(sound)) / RATE, sound)
    decay = draw.uniform(*ROOM_SECONDS)
    room = np.arange(int(decay * RATE)) / RATE
    tail = draw.normal(size=len(room)) * 10 ** (-3 * room / decay) * ROOM_LEVEL
    tail[0] = 1.0
    size = 1 << int(np.ceil(np.log2(len(warped) + len(tail))))
    wet = np.fft.irfft(np.fft.rfft(warped, size) * np.fft.rfft(tail, size), size)[: len(warped)]
    noise = draw.normal(size=len(wet))
    noise *= np.sqrt(np.square(wet).mean()) / 10 ** (draw.uniform(*NOISE_DB) / 20)
    both = wet + noise
    return (both / np.abs(both).max() * 0.7).astype(np.float32), stretch


def measure(tune: Tune, played: Score, sound: Samples, stretch: float) -> dict[str, Any]:
    """Return the figures of one tune."""
    data = encode(sound[:, None], RATE, "WAV")
    begun = time.process_time()
    try:
        heard = hear(data, tune.name)
    except UnreadableFile as error:
        return refused(tune, error, (time.process_time() - begun) / (len(sound) / RATE))
    seconds = time.process_time() - begun
    notes = notes_of(played.tracks[0])
    scale = 60 / tune.qpm / 1000 * stretch
    true = np.stack([notes.onset, notes.onset + notes.duration], 1) * scale
    guess = np.array([[n.onset, n.end] for n in heard.notes]).reshape(-1, 2)
    pitch = np.array([n.pitch for n in heard.notes], float)
    hz = [440 * 2 ** ((p - 69) / 12) for p in (notes.pitch + 12 * np.log2(1 / stretch), pitch + heard.tuning)]
    arguments = (true, hz[0], guess, hz[1])
    precision, recall, f1, _ = mir_eval.transcription.precision_recall_f1_overlap(
        *arguments, onset_tolerance=0.05, pitch_tolerance=50.0, offset_ratio=None
    )
    qpm, asked = heard.rhythm.qpm, tune.qpm / stretch
    key, best = heard.key, estimate_key(played)
    row = {"tune": tune.name, "instrument": tune.instrument, "f1": f1, "precision": precision, "recall": recall}
    onset_only = mir_eval.transcription.onset_precision_recall_f1(true, guess)[2]
    ratio = qpm / asked
    declared = None
    if tune.signature is not None:
        declared = key.signature == key_of_signature(tune.signature).signature
    return row | {
        "onset f1": onset_only,
        "ratio": ratio,
        "tempo": abs(ratio - 1) <= 0.04,
        "tempo or octave": any(abs(ratio / r - 1) <= 0.04 for r in (0.5, 1, 2)),
        "meter": heard.rhythm.model.meter == tune.meter,
        "true meter": f"{tune.meter}",
        "meter heard": f"{heard.rhythm.model.meter}",
        "key": key == best,
        "declared": declared,
        "real-time factor": seconds / (len(sound) / RATE),
    }


def refused(tune: Tune, error: UnreadableFile, factor: float) -> dict[str, Any]:
    """Return the figures of a tune that is not taken for one: nothing of it was heard."""
    print(error, file=sys.stderr)
    nothing = {"f1": 0.0, "precision": 0.0, "recall": 0.0, "onset f1": 0.0, "ratio": 0.0}
    wrong = dict.fromkeys(("tempo", "tempo or octave", "meter", "key", "declared"), False)
    row = {"tune": tune.name, "instrument": tune.instrument, "true meter": f"{tune.meter}", "meter heard": "none"}
    return row | nothing | wrong | {"real-time factor": factor}


def several(count: int) -> list[dict[str, Any]]:
    """Return the figures of chorales and songs with piano, played by pianos and guitars: many notes at once."""
    rows = []
    for corpus in ("chorale", "lied"):
        split = open_store(Path("corpora") / corpus / "prepared").split("test")
        for index in range(min(count, len(split))):
            score = clip(EventTokenizer().decode(split.piece(index)[0].tolist()), 0, 8)
            for track in score.tracks:
                track.program = (0, 24)[index % 2]
            if note_count(score) < 30 or seconds_at(score, end_tick(score)) > 60:
                continue
            (stereo,) = unlevelled([score], None, RATE)
            sound = (stereo.mean(axis=1) / np.abs(stereo).max()).astype(np.float32)
            begun = time.process_time()
            heard = hear(encode(sound[:, None], RATE, "WAV"), f"{corpus}/{index}")
            seconds = time.process_time() - begun
            true = [
                (seconds_at(score, int(a)), seconds_at(score, int(a + d)), int(p))
                for track in score.tracks
                for a, d, p in zip(*notes_of(track)[:3], strict=True)
            ]
            onset, end, pitch = np.array(sorted(set(true))).T
            guess = np.array([note[:3] for note in heard.notes])
            f1 = mir_eval.transcription.precision_recall_f1_overlap(
                np.stack([onset, end], 1), _hz(pitch), guess[:, :2], _hz(guess[:, 2]), offset_ratio=None
            )[2]
            chosen = any("several notes at once" in remark for remark in heard.remarks)
            row = {"instrument": ("piano", "guitar")[index % 2], "f1": f1, "taken for several": chosen}
            rows.append(row | {"real-time factor": seconds / (len(sound) / RATE)})
    return rows


def _hz(pitch: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(440 * 2 ** ((pitch - 69) / 12))


def summary(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return means over tunes."""
    names = ("f1", "onset f1", "tempo", "tempo or octave", "meter", "key", "declared", "real-time factor")
    return {name: float(np.mean([row[name] for row in rows if row[name] is not None])) for name in names}


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tunes", type=int, default=200)
    parser.add_argument("--split", default="test")
    parser.add_argument("--only", choices=("clean", "rough"))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--polyphonic", action="store_true", help="many notes at once instead of tunes")
    options = parser.parse_args()
    if options.polyphonic:
        rows = several(options.tunes // 2)
        for name in ("piano", "guitar"):
            mine = [row for row in rows if row["instrument"] == name]
            print(name, len(mine), {k: round(float(np.mean([r[k] for r in mine])), 3) for k in list(mine[0])[1:]})
        return
    pieces = tunes(options.tunes, options.split)
    result: dict[str, Any] = {"machine": machine(), "tunes": len(pieces)}
    for kind in ("clean", "rough"):
        if options.only in (None, kind):
            rows = [measure(*one) for one in rendered(pieces, kind == "rough")]
            result[kind] = {"all": summary(rows)} | {
                name: summary([r for r in rows if r["instrument"] == name])
                for name in PROGRAMS
                if any(r["instrument"] == name for r in rows)
            }
            result[kind]["rows"] = rows
    if options.json:
        print(json.dumps(result, indent=1, default=float))
        return
    for kind in ("clean", "rough"):
        for name, figures in result.get(kind, {}).items():
            if name != "rows":
                print(f"{kind:6} {name:9} " + "  ".join(f"{k} {v:.3f}" for k, v in figures.items()))


if __name__ == "__main__":
    main()

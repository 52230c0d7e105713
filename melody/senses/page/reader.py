"""The picture of a page to a score: staves, symbols by the network, bars, and what could not be read.

The network, `reader.onnx`, is trained by `melody.learning.page_reader` on pages that verovio engraves. It reads one
line of notes without chords; words, slurs and signs are passed over.
"""

from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from symusic import KeySignature, TimeSignature, Track

from melody.errors import MelodyError, UnreadableFile
from melody.music.score import TICKS_PER_QUARTER, Notes, Score, set_notes, without_overlaps
from melody.senses.page.bars import PageBar, ReadSymbol, bars_of_staves, played
from melody.senses.page.staves import Pixels, StaffOnPage, staves_of
from melody.senses.page.symbols import STRIDE, SYMBOLS
from melody.senses.sensed import Sensed

MODEL = Path(__file__).with_name("reader.onnx")
MOST_SAID = 8  # bars that a remark lists
FEWEST = 2  # notes of a page
OTHERS = "install Audiveris or homr, which melody then asks, for full scores"


class FullScore(UnreadableFile):
    """A page with more staves at once than the page reader reads."""


def read_page(data: bytes, name: str = "<bytes>") -> Sensed:
    """Return the score of a picture (PNG or JPEG) of engraved music on one staff, or two that belong together.

    Raises `UnreadableFile` where there is no staff or no note, or where more staves belong together, `LimitExceeded`
    for a picture that is too large.
    """
    staves = staves_of(data, name)
    parts = _parts(staves, name)
    score, remarks = Score(TICKS_PER_QUARTER), [f"read from a picture: {len(staves)} staves; check it"]
    for number, part in enumerate(parts, 1):
        bars, saw = bars_of_staves([symbols_of(staff.pixels, name) for staff in part])
        track = f"staff {number}: " if len(parts) > 1 else ""
        if sum(len(bar.notes) for bar in bars) < FEWEST:
            raise UnreadableFile(f"{name}: {track}no notes were made out; photograph it straight, sharp and close")
        remarks += [track + remark for remark in _missing(saw)]
        remarks += [track + remark for remark in _lay(score, bars, number == 1)]
    return Sensed(score, tuple(remarks))


def symbols_of(pixels: Pixels, name: str) -> list[ReadSymbol]:
    """Return the symbols on a staff's picture (`HEIGHT`, W), from left to right; `name` is the page's, for messages.

    Raises `MelodyError` where there is no network.
    """
    if not MODEL.is_file():
        raise MelodyError(
            f"{name}: a picture of a page, and this installation has no page reader; install melody again, or export "
            "MusicXML"
        )
    width = -(-pixels.shape[1] // STRIDE) * STRIDE
    ink = np.zeros((1, 1, pixels.shape[0], width), np.float32)
    ink[0, 0, :, : pixels.shape[1]] = 1 - pixels / 255.0
    (logits,) = _session().run(None, {"picture": ink})
    shifted = logits[0] - logits[0].max(axis=1, keepdims=True)
    probability = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)  # (T, 1 + symbols)
    best = probability.argmax(axis=1)
    starts = np.flatnonzero(np.append(True, best[1:] != best[:-1]))
    ends = np.append(starts[1:], len(best))
    return [
        ReadSymbol(SYMBOLS[best[a] - 1], float(probability[a:b, best[a]].max()))
        for a, b in zip(starts, ends, strict=True)
        if best[a]
    ]


@cache
def _session() -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(MODEL), options, providers=["CPUExecutionProvider"])


def _parts(staves: Sequence[StaffOnPage], name: str) -> list[list[StaffOnPage]]:
    """Return the staves of each part: one part, or two where staves are joined in pairs, as far as can be seen."""
    if not any(staff.joined for staff in staves):
        return [list(staves)]
    sizes, size = [], 1
    for staff in staves:
        if staff.joined:
            size += 1
        else:
            sizes.append(size)
            size = 1
    if max(sizes) == 2 and len(staves) % 2:
        raise UnreadableFile(f"{name}: some staves belong together and others do not; photograph one piece at a time")
    if max(sizes) > 2:
        raise FullScore(f"{name}: {max(sizes)} staves belong together; melody reads one or two; {OTHERS}")
    return [list(staves[0::2]), list(staves[1::2])]


def _missing(saw: set[str]) -> list[str]:
    guessed = {"clef": "a treble clef", "meter": "4/4"}
    return [f"no {kind} was made out; took {guess}" for kind, guess in guessed.items() if kind not in saw]


def _lay(score: Score, bars: Sequence[PageBar], first: bool) -> list[str]:
    """Add a track of bars to a score, with meters and keys where it is the first; return what did not add up."""
    odd: dict[int, str] = {}
    track = Track("", 0)
    rows: list[tuple[int, int, int]] = []
    tick, meter, key, tied = 0, None, None, False
    for order, (number, bar) in enumerate(played(bars)):
        length = bar.full
        if bar.length != bar.full:
            if order == 0 and bar.length < bar.full:
                length = bar.length  # a pickup
            elif not _completes(bars, number - 1):
                odd[number] = f"{number} ({_quarters(bar.length)} of {_quarters(bar.full)} quarters)"
            else:
                length = bar.length
        if bar.unsure:
            odd.setdefault(number, f"{number} (unsure)")
        if first:
            shown = bar.meter if length == bar.full else _short_meter(length)
            if shown != meter:
                score.time_signatures.append(TimeSignature(tick, *shown))
                meter = shown
            if bar.key != key:
                score.key_signatures.append(KeySignature(tick, bar.key, 0))
                key = bar.key
        for note in bar.notes:
            if note.onset >= length:
                continue
            onset, end = (
                tick + round(t * TICKS_PER_QUARTER) for t in (note.onset, min(note.onset + note.duration, length))
            )
            if tied and rows and rows[-1][1] == onset and rows[-1][2] == note.pitch:
                rows[-1] = (rows[-1][0], end, note.pitch)
            else:
                rows.append((onset, end, note.pitch))
            tied = note.tied
        tick += round(length * TICKS_PER_QUARTER)
    onset, end, pitch = np.array(rows, np.int64).T
    set_notes(track, without_overlaps(Notes(onset, end - onset, np.clip(pitch, 0, 127), np.full(len(onset), 80))))
    score.tracks.append(track)
    if not odd:
        return []
    said = ", ".join(list(odd.values())[:MOST_SAID]) + (
        f" and {len(odd) - MOST_SAID} more" if len(odd) > MOST_SAID else ""
    )
    return [f"look at bar{'s' if len(odd) > 1 else ''} {said}"]


def _completes(bars: Sequence[PageBar], index: int) -> bool:
    """Return true where a short bar and its neighbour across a repeat sign, or the pickup, make up one bar."""
    bar = bars[index]
    others = [bars[0]] if index == len(bars) - 1 or bar.ends_repeat else []
    others += [bars[index + 1]] if bar.ends_repeat and index + 1 < len(bars) else []
    others += [bars[index - 1]] if index and bars[index - 1].ends_repeat else []
    return bar.length < bar.full and any(bar.length + other.length == bar.full for other in others if other is not bar)


def _short_meter(length: Fraction) -> tuple[int, int]:
    """Return the meter of a bar of so many quarters."""
    for denominator in (4, 8, 16, 32):
        units = length * denominator / 4
        if units.denominator == 1:
            return int(units), denominator
    return max(1, round(length * 8)), 32


def _quarters(length: Fraction) -> str:
    return f"{float(length):.3g}"

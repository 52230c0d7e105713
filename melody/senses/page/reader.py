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
from melody.senses.page.symbols import SPACE, STRIDE, SYMBOLS
from melody.senses.page.systems import agreed, lengths, meter_of, settled
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
    read = [[symbols_of(staff.pixels, name) for staff in part] for part in parts]
    score, remarks = score_of(read, name)
    return Sensed(score, (f"read from a picture: {len(staves)} staves; check it", *remarks))


def score_of(parts: Sequence[Sequence[Sequence[ReadSymbol]]], name: str) -> tuple[Score, list[str]]:
    """Return the score of the symbols on the staves of each part, and what to say of it.

    Raises `UnreadableFile` where a part has hardly a note.
    """
    systems = [agreed(system) for system in zip(*parts, strict=True)]
    found = [bars_of_staves(part) for part in zip(*systems, strict=True)]
    titles = [f"staff {number}: " if len(parts) > 1 else "" for number in range(1, len(parts) + 1)]
    for title, (bars, _) in zip(titles, found, strict=True):
        if sum(len(bar.notes) for bar in bars) < FEWEST:
            raise UnreadableFile(f"{name}: {title}no notes were made out; photograph it straight, sharp and close")
    remarks = [title + remark for title, (_, saw) in zip(titles, found, strict=True) for remark in _missing(saw)]
    settled_parts = settled([bars for bars, _ in found])
    counted, score = lengths(settled_parts), Score(TICKS_PER_QUARTER)
    _lay_signatures(score, settled_parts[0], counted)
    for title, bars in zip(titles, settled_parts, strict=True):
        score.tracks.append(_track(bars, counted))
        remarks += [title + remark for remark in _odd(bars, counted)]
    return score, remarks


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
        ReadSymbol(SYMBOLS[best[a] - 1], float(probability[a:b, best[a]].max()), a * STRIDE / SPACE)
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


def _lay_signatures(score: Score, bars: Sequence[PageBar], counted: Sequence[Fraction]) -> None:
    """Add meters and keys of bars that are so long, in quarters, to a score."""
    tick, meter, key = 0, None, None
    for number, bar in played(bars):
        length = counted[number - 1]
        shown = bar.meter if length == bar.full else meter_of(length)
        if shown != meter:
            score.time_signatures.append(TimeSignature(tick, *shown))
            meter = shown
        if bar.key != key:
            score.key_signatures.append(KeySignature(tick, bar.key, 0))
            key = bar.key
        tick += round(length * TICKS_PER_QUARTER)


def _track(bars: Sequence[PageBar], counted: Sequence[Fraction]) -> Track:
    """Return the notes of bars that are so long, in quarters, as they are played."""
    rows: list[tuple[int, int, int]] = []
    tick, tied = 0, False
    for number, bar in played(bars):
        length = counted[number - 1]
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
    track = Track("", 0)
    set_notes(track, without_overlaps(Notes(onset, end - onset, np.clip(pitch, 0, 127), np.full(len(onset), 80))))
    return track


def _odd(bars: Sequence[PageBar], counted: Sequence[Fraction]) -> list[str]:
    """Return which bars are to be looked at: not as long as they should be, or with unsure symbols."""
    odd = []
    for number, (bar, length) in enumerate(zip(bars, counted, strict=True), 1):
        if bar.length != length:
            odd.append(f"{number} ({_quarters(bar.length)} of {_quarters(length)} quarters)")
        elif bar.unsure:
            odd.append(f"{number} (unsure)")
    if not odd:
        return []
    said = ", ".join(odd[:MOST_SAID]) + (f" and {len(odd) - MOST_SAID} more" if len(odd) > MOST_SAID else "")
    return [f"look at bar{'s' if len(odd) > 1 else ''} {said}"]


def _quarters(length: Fraction) -> str:
    return f"{float(length):.3g}"

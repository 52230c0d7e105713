"""Key signatures of parts to those of the piece: the keys that sound, whatever transposing players read.

A score has one key for all. Parts that have a signature somewhere decide, most of them together: horns, trumpets and
timpani are often written without one. Where none has any, parts that sound as written decide.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from fractions import Fraction

from symusic import KeySignature

from melody.formats.musicxml.content import WrittenKey
from melody.formats.musicxml.measures import MINOR_MODES, ticks
from melody.music.key import estimate_key
from melody.music.score import Score, shift_signature

PartKeys = Sequence[Sequence[tuple[Fraction, WrittenKey]]]  # the changes in each measure of a part
SoundingKey = tuple[int, int]  # sharps, and 0 for major or 1 for minor


def sounding_keys(by_part: Sequence[PartKeys]) -> list[list[tuple[Fraction, SoundingKey]]]:
    """Return the changes of the key that sounds, for each measure."""
    deciding = _deciding(by_part)
    result: list[list[tuple[Fraction, SoundingKey]]] = [[] for _ in range(max(map(len, by_part), default=0))]
    held: dict[int, WrittenKey] = {}  # by part
    for index, changes in enumerate(result):
        here = [(time, part, key) for part in deciding for time, key in _at(by_part[part], index)]
        for time in sorted({time for time, _, _ in here}):
            held.update({part: key for at, part, key in here if at == time})
            changes.append((time, _majority([held[part] for part in deciding if part in held])))
    return result


def _at(part: PartKeys, index: int) -> Sequence[tuple[Fraction, WrittenKey]]:
    return part[index] if index < len(part) else ()


def _deciding(by_part: Sequence[PartKeys]) -> list[int]:
    """Return the indices of the parts whose keys count."""
    keys = {index: [key for measure in part for _, key in measure] for index, part in enumerate(by_part)}
    keyed = [index for index, own in keys.items() if own]
    signed = [index for index in keyed if any(key.sharps for key in keys[index])]
    as_written = [index for index in keyed if not any(key.transposition.semitones % 12 for key in keys[index])]
    return signed or as_written or keyed


def _majority(keys: Sequence[WrittenKey]) -> SoundingKey:
    """Return the key that most parts have; of equal ones that of the part which stands first."""
    sharps = [shift_signature(key.sharps, *key.transposition) for key in keys]
    tonic = Counter(own % 12 for own in sharps).most_common(1)[0][0]  # F sharp and G flat are one
    winner = Counter(own for own in sharps if own % 12 == tonic).most_common(1)[0][0]
    mode = next((key.mode for key, own in zip(keys, sharps, strict=True) if own == winner and key.mode), "")
    return winner, int(mode in MINOR_MODES)


def set_keys(score: Score, changes: Iterable[tuple[Fraction, SoundingKey]], by_part: Sequence[PartKeys]) -> None:
    """Give a score these keys, each where it differs from the one before.

    Where no signature of the parts says its mode, all get the mode of the key that the notes suggest.
    """
    for time, (sharps, tonality) in changes:
        last = score.key_signatures[-1] if len(score.key_signatures) else None
        if last is None or (last.key, last.tonality) != (sharps, tonality):
            score.key_signatures.append(KeySignature(ticks(time), sharps, tonality))
    if len(score.key_signatures) and not any(key.mode for part in by_part for own in part for _, key in own):
        tonality = estimate_key(score).tonality
        for key in score.key_signatures:
            key.tonality = tonality

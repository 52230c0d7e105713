"""The fast reader of MIDI files gives what the careful one gives: the same score, sentences and events beside it."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import midi_files
from support.hostile_midi import damaged
from support.midi_files import EOT, LONGER, NOTE, TRACK, WHOLE, file, meta
from support.wild_midi import altered, is_agreed, wild
from symusic.core import ScoreTick as Score

from melody.corpus.archives import opened
from melody.formats.midi import Limits, dumps
from melody.native.library import core

pytestmark = pytest.mark.skipif(core() is None, reason="the core is not compiled")

GALLERY = sorted((Path(__file__).parents[2] / "outputs" / "gallery").glob("*.mid"))


def test_readers_agree_on_files_of_all_kinds() -> None:
    used = [is_agreed(path.read_bytes()) for path in GALLERY]
    assert len(used) >= 8
    assert all(used)
    assert not any(is_agreed(data) for data in (b"", WHOLE[:-1], WHOLE + b"x", WHOLE.replace(b"\x90\x3c", b"\x90\xbc")))
    assert not is_agreed(file(NOTE + meta(1, b"so") + b"\x00\x3c\x40" + EOT))  # running status across a text
    assert is_agreed(file(NOTE + meta(1, b"so") + NOTE + EOT, TRACK, LONGER + EOT))
    assert is_agreed(file(b"\x00\x90\x3c\x40\x00\x80\x3c\x00" + TRACK))  # a note without length


def test_readers_agree_on_damaged_files() -> None:
    used = [is_agreed(case.data) for case in damaged()]
    assert len(used) > 150
    assert sum(used) < len(used) / 4


def test_readers_agree_on_altered_and_wild_files() -> None:
    numbers, whole = random.Random(0), [path.read_bytes() for path in GALLERY if path.stat().st_size < 6000]
    used = [is_agreed(altered(numbers.choice(whole), numbers)) for _ in range(60)]
    assert 5 < sum(used) < 50
    wildly = [is_agreed(wild(numbers)) for _ in range(300)]
    assert 100 < sum(wildly) < 300


@given(midi_files.scores(), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_readers_agree_on_any_score(score: Score, numbers: random.Random) -> None:
    data = dumps(score)
    assert is_agreed(data)
    is_agreed(altered(data, numbers))


def test_readers_agree_at_limits() -> None:
    data = file(meta(3, b"Air") + EOT, LONGER + LONGER + EOT, TRACK)
    for at in range(1, 16):
        for limits in (Limits(events=at), Limits(payloads=at), Limits(tracks=at), Limits(ticks=16 * at)):
            is_agreed(data, limits)
        is_agreed(data, Limits(file_bytes=len(data) - 8 + at))
    assert is_agreed(data, Limits(events=14, payloads=4, tracks=3))
    assert not is_agreed(data, Limits(events=13))


@pytest.mark.slow
@pytest.mark.parametrize("archive", ["groove", "pop909", "band"])
def test_readers_agree_on_corpora(archive: str, data_folder: Path) -> None:
    def some(root: Path) -> Iterator[bytes]:
        for path in sorted(root.rglob("*.mid"))[::8][:150]:
            yield path.read_bytes()

    numbers, used = random.Random(1), []
    with opened(data_folder / f"{archive}.tar.xz", lambda path: path.endswith(".mid")) as root:
        for data in some(root):
            used.append(is_agreed(data))
            is_agreed(altered(data, numbers))
    assert sum(used) > 0.7 * len(used) > 15

"""Readers that crash, hang or dawdle, in a module of their own: readers work in other processes, which import it.

python odd_readers.py FOLDER OUT    prepares FOLDER with the reader that dawdles
"""

import ctypes
import os
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from symusic import Track

from melody.corpus import prepare as preparing
from melody.corpus.prepare import prepare
from melody.corpus.sources import Corpus, with_archives
from melody.music.score import Notes, Score, set_notes


def tune(seed: int) -> Score:
    """A random melody of 40 notes, unlike those of other seeds."""
    generator = np.random.default_rng(seed)
    result = Score(480)
    track = Track("tune", 0, False)
    pitch = 60 + np.clip(np.cumsum(generator.integers(-4, 5, 40)), -20, 20)
    set_notes(track, Notes(240 * np.arange(40), np.full(40, 240), pitch, np.full(40, 80)))
    result.tracks.append(track)
    return result


def odd(item: str, root: Path = Path()) -> dict[str, Score]:
    """A tune whose seed is the item's name; or what the name says."""
    name = Path(item).stem
    if name == "segfault":
        ctypes.string_at(0)
    if name == "exit":
        os._exit(0)
    if name == "hang":
        while True:
            pass
    if name == "chatter":
        os.write(1, b"noise on stdout")
        print("more of it")
        name = "99"
    return {item: tune(int(name))}


def slow(item: str, root: Path) -> dict[str, Score]:
    """A tune, after a moment."""
    time.sleep(0.05)
    return odd(item)


def signed(item: str, root: Path) -> dict[str, Score]:
    """A tune whose track is called by the number of the process that asked for it, after a moment."""
    score = slow(item, root)[item]
    score.tracks[0].name = str(os.getppid())
    return {item: score}


def texts(root: Path) -> list[str]:
    """The items of a folder for these readers."""
    return sorted(path.name for path in root.glob("*.txt"))


def corpus(folder: Path, read=odd) -> Corpus:
    """A folder of such items."""
    return Corpus("odd", str(folder), nullcontext(folder), with_archives, texts, read, folder / "store")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from support.odd_readers import slow as of_a_module  # not of __main__, which other processes do not know

    preparing_module = sys.modules[prepare.__module__]
    preparing_module.find_corpus = lambda *_: corpus(Path(sys.argv[1]), of_a_module)
    assert preparing
    preparing_module.prepare("odd", sys.argv[2], workers=2)

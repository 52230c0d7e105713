"""Pages: how many notes of whole engraved pages are read, as they are and photographed.

Pages of one staff are tunes of the test splits, of two staves soprano and bass of chorales; verovio engraves both in a
font that the page reader has not seen. A note is read where its track, onset and pitch are; a page whose bars have
slipped has few of them. Symbol errors on single staves: `python -m melody.learning.page_reader.train --measure`.

    python benchmarks/pages.py [--pages 40]
"""

import argparse
import io
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
from race import one_thread  # noqa: E402

one_thread()

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

from melody.corpus import open_store  # noqa: E402
from melody.errors import MelodyError  # noqa: E402
from melody.learning.page_reader.distorted import photographed  # noqa: E402
from melody.learning.page_reader.engraved import page_of, tunes  # noqa: E402
from melody.music.score import Score, clip, notes_of  # noqa: E402
from melody.senses.page.reader import read_page  # noqa: E402
from melody.tokens import EventTokenizer  # noqa: E402

FONT = "Leland"
BARS = 12  # of a page with two staves
TURNED = 2.0  # degrees by which a photograph is turned, at most


def tunes_alone(seed: int) -> Iterator[Score]:
    """Yield lines of held-out pieces."""
    yield from tunes("test", random.Random(seed))


def outer_voices(seed: int) -> Iterator[Score]:
    """Yield soprano and bass of held-out chorales."""
    split, tokenizer = open_store("chorale").split("test"), EventTokenizer()
    for index in np.random.default_rng(seed).permutation(len(split)).tolist():
        score = clip(tokenizer.decode(split.piece(index)[0]), 0, BARS)
        if len(score.tracks) == 4 and all(len(track.notes) for track in score.tracks):
            del score.tracks[1:3]
            score.markers = []
            yield score


def notes_in(score: Score) -> set[tuple[int, float, int]]:
    """The notes of a score: track, onset in quarters, pitch."""
    parts = enumerate(map(notes_of, score.tracks))
    rows = ((n, round(o / score.tpq, 3), p) for n, part in parts for o, p in zip(part.onset, part.pitch, strict=True))
    return {(n, float(o), int(p)) for n, o, p in rows}


def measure(scores: Iterator[Score], count: int, photograph: bool) -> str:
    """The figures of so many pages, in a line."""
    draw = np.random.default_rng(3)
    shares, seconds = [], 0.0
    for score in scores:
        try:
            image = page_of(score, FONT)
        except MelodyError:
            continue
        if photograph:
            image = photographed(image, float(draw.uniform(-TURNED, TURNED)), draw)
        begun = time.process_time()
        shares.append(read_share(image, score))
        seconds += time.process_time() - begun
        if len(shares) == count:
            break
    whole = np.mean([share == 1 for share in shares])
    return f"notes F1 {np.mean(shares):.3f}, pages without a mistake {whole:.2f}, seconds {seconds / len(shares):.2f}"


def read_share(image: Image.Image, score: Score) -> float:
    """F1 of the notes read on a page."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    try:
        found = notes_in(read_page(buffer.getvalue()).score)
    except MelodyError as error:
        print(error)
        return 0.0
    meant = notes_in(score)
    return 2 * len(found & meant) / max(1, len(found) + len(meant))


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=40)
    count = parser.parse_args().pages
    for staves, scores in (("one staff", tunes_alone), ("two staves", outer_voices)):
        for kind, photograph in (("as engraved", False), ("photographed", True)):
            print(f"{staves}, {kind}: {measure(scores(1), count, photograph)}", flush=True)


if __name__ == "__main__":
    main()

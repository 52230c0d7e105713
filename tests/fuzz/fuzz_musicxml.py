"""A fuzz target of MusicXML: made-up documents, plain, damaged or packed, become a score or one clear line.

``python tests/fuzz/fuzz_musicxml.py --seconds 60`` makes documents of elements that exist with values that may not
(`support.wild_musicxml`), changes some bytes of every third one, and packs every third one into an archive, of which
some bytes are changed too. What is read is written and read again. A failure is printed with its seed.
"""

import argparse
import sys
import time
import traceback
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from support.wild_musicxml import check, made  # noqa: E402

SLOW_SECONDS = 2.0  # of processor time


def main() -> int:
    """Run for a time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1, help="of the first document")
    options = parser.parse_args()
    end, seed, read = time.monotonic() + options.seconds, options.seed, 0
    while time.monotonic() < end:
        started = time.process_time()
        try:
            read += check(made(seed))
            assert time.process_time() - started < SLOW_SECONDS, "slow"
        except Exception:
            traceback.print_exc()
            print(f"seed {seed}")
            return 1
        seed += 1
    print(f"{seed - options.seed:,} documents, {read:,} of them read, no failure")
    return 0


if __name__ == "__main__":
    sys.exit(main())

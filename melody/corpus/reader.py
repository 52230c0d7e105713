"""A reader's own process: names of items in, what they hold out; started by `melody.corpus.workers`.

A reader meets strangers' files and native code: one may crash, hang or eat memory. Here it may. The process ends itself
when an item takes too long, even where the reader never comes back to Python, or when nobody has asked for a while; so
none is left behind, whatever became of the one that started it.
"""

import faulthandler
import os
import pickle
import signal
import sys
from typing import IO

IDLE_SECONDS = 60.0


def main() -> None:
    """Serve until the questions end: first a function and the seconds that it may take, then items."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever asks
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)  # what libraries print is no answer
    read, seconds = pickle.load(questions)
    _answer(answers, "ready")
    while True:
        faulthandler.dump_traceback_later(IDLE_SECONDS, exit=True, file=nowhere)
        try:
            item, root = pickle.load(questions)
        except EOFError:
            return
        faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)
        result = read(item, root)
        faulthandler.cancel_dump_traceback_later()
        _answer(answers, result)


def _answer(answers: IO[bytes], content: object) -> None:
    pickle.dump(content, answers, protocol=pickle.HIGHEST_PROTOCOL)
    answers.flush()

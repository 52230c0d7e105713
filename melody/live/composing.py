"""Composing beside playing: another process draws notes, the one that plays takes those that have come.

A thread would not do: on a busy machine the one that composes is put to sleep while it holds the interpreter's lock,
and the one that plays, which is needed for a few microseconds a millisecond, waits for it: measured, up to 300 ms.
"""

import multiprocessing
import signal
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from importlib import import_module
from itertools import chain
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from symusic import Tempo, Track

from melody.errors import MelodyError
from melody.music.score import TICKS_PER_QUARTER, Score

if TYPE_CHECKING:
    from melody.bundle import TrackInfo
    from melody.generation import Composer, NewNote, Take

Item = tuple[str, Any]  # what comes of a composition: its notes, and at last the take or an error
TOOK, NOTE, TAKE, ERROR = "took", "note", "take", "error"
EXPECTED = 0  # in place of a job's number
END_SECONDS = 2.0


class Composing:
    """A composition under way: the notes that have come, and the take once it is finished."""

    def __init__(self, receive: Callable[[], Sequence[Item]]) -> None:
        self.take: Take | None = None
        self.refusal: Exception | None = None  # what composing raised
        self.took_seconds: float | None = None  # of composing, to the first note, whenever that was
        self.bar_after_seconds: float | None = None  # from when it was asked for until its first bar was there
        self._first_bar: int | None = None
        self._receive, self._began = receive, time.perf_counter()

    def ready(self) -> "list[NewNote]":
        """The notes that have come since the last time. Raises what composing raised."""
        notes = []
        for kind, item in self._receive():
            if kind == ERROR:
                self.refusal = item
                raise item
            if kind == TOOK:
                self.took_seconds = item
            elif kind == TAKE:
                self.take = item
            else:
                notes.append(item)
        self._time_first_bar(notes)
        return notes

    def _time_first_bar(self, notes: "Sequence[NewNote]") -> None:
        """Look at the clock where a note shows that the first bar is over, or the take."""
        if notes and self._first_bar is None:
            self._first_bar = notes[0].bar
        over = self.take is not None or any(note.bar != self._first_bar for note in notes)
        if over and self._first_bar is not None and self.bar_after_seconds is None:
            self.bar_after_seconds = time.perf_counter() - self._began


def at_once(stream: "Generator[NewNote, None, Take]") -> Composing:
    """A composition that is finished before anything else happens."""
    items = [*_items(stream)]
    return Composing(lambda: [items.pop(0) for _ in range(len(items))])


def _items(stream: "Generator[NewNote, None, Take]") -> Generator[Item, None, None]:
    began = time.perf_counter()
    try:
        note = next(stream)
        yield TOOK, time.perf_counter() - began
        while True:
            yield NOTE, note
            note = next(stream)
    except StopIteration as stop:
        yield TAKE, stop.value
    except Exception as error:  # raised again where it is played
        yield ERROR, error


class ComposerProcess:
    """A model in a process of its own, which composes one piece at a time. Close it.

    It is started by multiprocessing's ``spawn``: a script of yours needs ``if __name__ == "__main__":`` around it.
    Raises `MelodyError` where the model cannot be loaded.
    """

    def __init__(self, model: str) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(theirs, model), daemon=True)
        self._process.start()
        theirs.close()
        import_module("melody.generation")  # for what will come from there: not while it plays
        self._job = 0
        loaded = self._next()
        if isinstance(loaded, Exception):
            self.close()
            raise loaded
        self.name: str = loaded[0]
        self.tracks: Sequence[TrackInfo] = loaded[1]
        self.tempo_qpm: float = loaded[2]

    def begin(self, primer: Score | None, **options: Any) -> Composing:
        """Compose as `Composer.stream` does; what was under way is given up, unless it is what was expected."""
        self._job += 1
        job = self._job
        self._send(job, primer, options)
        return Composing(lambda: self._received(job))

    def expect(self, primer: Score | None, **options: Any) -> None:
        """Let the first bar be composed of what may be begun next, so that it is there at once."""
        self._send(EXPECTED, primer, options)

    def _send(self, job: int, *asked: Any) -> None:
        try:
            self._pipe.send((job, asked))
        except ConnectionError:
            raise _lost() from None

    def _received(self, job: int) -> list[Item]:
        """Return what has come of a job; the rest of earlier ones is passed over."""
        items = []
        while self._pipe.poll():
            number, item = self._next()
            if number == job:
                items.append(item)
        return items

    def _next(self) -> Any:
        try:
            return self._pipe.recv()
        except (EOFError, ConnectionError):
            raise _lost() from None

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(END_SECONDS)  # it sees that nobody listens
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()
        self._process.close()


def _lost() -> MelodyError:
    return MelodyError("the process that composes has ended unexpectedly")


def _serve(pipe: "Connection[Any, Any]", model: str) -> None:
    """Run the process: load a model, compose what is asked for, give up when something else is."""
    from melody.generation import Composer

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes of a terminal; the player ends this one
    try:
        composer = Composer(model)
        next(composer.stream(bars=1, seed=0), None)  # whatever is slow the first time
    except MelodyError as error:
        pipe.send(error)
        return
    try:
        pipe.send((composer.bundle.name, composer.bundle.tracks, composer.bundle.tempo_qpm))
        begun = None
        while True:
            job, asked = _latest(pipe)
            if begun is None or begun.asked != asked:
                begun = _Begun(composer, asked)
            if job == EXPECTED:
                begun.draw_bar(pipe.poll)
                continue
            for item in begun.items():
                pipe.send((job, item))
                if pipe.poll():
                    break
            begun = None
    except (EOFError, ConnectionError):  # the player has gone
        return


def _latest(pipe: "Connection[Any, Any]") -> Any:
    """Wait for something that is asked for; of several the last is wanted still."""
    asked = pipe.recv()
    while pipe.poll():
        asked = pipe.recv()
    return asked


class _Begun:
    """A composition under way, and what it is of."""

    def __init__(self, composer: "Composer", asked: tuple[Score | None, dict[str, Any]]) -> None:
        self.asked = asked
        primer, options = asked
        self._to_come = _items(composer.stream(primer, **{"humanize": 0.0} | options))
        self._drawn: list[Item] = []

    def draw_bar(self, is_interrupted: Callable[[], bool]) -> None:
        """Draw up to the first note of the second bar, or less where something else is asked for."""
        for item in self._to_come:
            self._drawn.append(item)
            bars = {note.bar for kind, note in self._drawn if kind == NOTE}
            if len(bars) > 1 or is_interrupted():
                return

    def items(self) -> Iterator[Item]:
        """Items that have been drawn, and those still to come; once."""
        return chain(self._drawn, self._to_come)


def empty_score(tracks: "Sequence[TrackInfo]", qpm: float) -> Score:
    """A model's tracks without notes, and a tempo: what music from nothing is played with."""
    score = Score(TICKS_PER_QUARTER)
    score.tracks = [Track(info.name, 0 if info.drums else info.program, info.drums) for info in tracks]
    score.tempos = [Tempo(0, qpm=qpm)]
    return score

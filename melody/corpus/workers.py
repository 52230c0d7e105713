"""Reading in parallel, in processes that may die: a crash or a hang of a reader costs the file that it was reading.

Each worker asks a process of its own (`melody.corpus.reader`), item by item, and starts another when that one dies.
A process serves as long as it is asked, whatever the folder, and ends itself a minute later.
joblib carries the workers: threads by default, which only wait, or what ``joblib.parallel_config(backend=...)`` around
the call says: loky, Dask, Ray. There the items must lie under the same path on every machine.
"""

import atexit
import contextlib
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from melody.corpus.pieces import Dropped, ItemReader, Piece, read_item
from melody.corpus.reader import IDLE_SECONDS
from melody.errors import MelodyError, UsageError

TIMEOUT_SECONDS = 120.0  # for one item
BACKENDS = ("threads", "loky", "dask", "ray")
CRASHED, TOO_LONG = "reader crashed", "took too long"  # such items are tried again the next time
_BATCH = 32  # items a task at most
_START = (
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); from melody.corpus.reader import main; main()"
)

_DEAD = (OSError, EOFError, pickle.UnpicklingError)  # how a pipe tells that the other end is no more

Found = tuple[str, list[Piece | Dropped]]  # an item and what it holds


class _Process:
    """A reader's process. Raises `MelodyError` where it does not even start."""

    def __init__(self, job: bytes, seconds: float) -> None:
        self.job, self.seconds = job, seconds
        self.process = subprocess.Popen(
            [sys.executable, "-c", _START], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.last = time.monotonic()
        try:
            self._send(pickle.dumps(sys.path) + job)
            self._answer()
        except _DEAD as error:
            self.close()
            raise MelodyError(f"a reader's process cannot start (exit code {self.process.returncode})") from error

    def _send(self, data: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def _answer(self) -> Any:
        assert self.process.stdout
        return pickle.load(self.process.stdout)

    def read(self, item: str, root: Path) -> list[Piece | Dropped]:
        """Return the content of an item; or, where the process dies over it, a note of that."""
        began = time.monotonic()
        try:
            self._send(pickle.dumps((item, root)))
            result: list[Piece | Dropped] = self._answer()
        except _DEAD:
            self.close()
            if time.monotonic() - began >= self.seconds:
                return [Dropped(item, TOO_LONG, f"{item}: not read within {self.seconds:g} s; left out")]
            how = f"exit code {self.process.returncode}" if self.process.returncode >= 0 else "a signal"
            return [Dropped(item, CRASHED, f"{item}: its reader ended with {how}; left out")]
        self.last = time.monotonic()
        return result

    @property
    def serves(self) -> bool:
        """Return True where it can be asked, and will not end itself just then."""
        return self.process.poll() is None and time.monotonic() - self.last < IDLE_SECONDS / 2

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):  # what was not sent is lost
                pipe.close()  # type: ignore[union-attr]


_lock = threading.Lock()
_idle: list[_Process] = []
_busy: list[_Process] = []


def _take(job: bytes, seconds: float) -> _Process:
    """An idle process for this job, or a new one; those for other jobs end."""
    with _lock:
        fitting = [process for process in _idle if process.job == job and process.serves]
        for process in set(_idle) - set(fitting):
            process.close()
        _idle[:] = fitting
        found = _idle.pop() if _idle else None
    process = found or _Process(job, seconds)
    with _lock:
        _busy.append(process)
    return process


def _give_back(process: _Process) -> None:
    with _lock:
        if process in _busy:  # else everything has been ended
            _busy.remove(process)
            _idle.append(process)


@atexit.register
def end_all() -> None:
    with _lock:
        for process in _idle + _busy:
            process.process.kill()
        for process in _idle:
            process.close()
        _idle.clear()
        _busy.clear()


def _read(item: str, root: Path, reader: ItemReader, ngram: int) -> list[Piece | Dropped]:
    """Run the process of a reader."""
    return read_item(item, partial(reader, root=root), ngram)


def _read_batch(items: Sequence[str], root: Path, job: bytes, seconds: float) -> list[Found]:
    """A task: read some items, each in a process that may die over it."""
    found = []
    for item in items:
        process = _take(job, seconds)
        try:
            found.append((item, process.read(item, root)))
        finally:
            _give_back(process)
    return found


def read_items(
    items: Sequence[str],
    root: Path,
    reader: ItemReader,
    ngram: int,
    *,
    workers: int | None = None,
    seconds: float = TIMEOUT_SECONDS,
) -> Iterator[Found]:
    """Read items in a folder in parallel (default: all cores), each in the time of `seconds`, as they are done.

    `reader` must be a function of a module. Raises `MelodyError` where joblib is missing.
    """
    job = pickle.dumps((partial(_read, reader=reader, ngram=ngram), seconds))
    size = max(1, min(_BATCH, len(items) // (8 * (workers or os.cpu_count() or 1))))
    batches = (items[start : start + size] for start in range(0, len(items), size))
    try:
        for found in _mapped(partial(_read_batch, root=root, job=job, seconds=seconds), batches, workers):
            yield from found
    except BaseException:  # Ctrl-C: nobody waits for an answer any more
        end_all()
        raise


def read_pieces(
    items: Sequence[str], root: Path, reader: ItemReader, ngram: int, *, workers: int | None = None
) -> tuple[list[Piece], list[Dropped]]:
    """Read items in parallel: all pieces and all that was dropped, in the order of `items`."""
    found = dict(read_items(items, root, reader, ngram, workers=workers))
    results = [result for item in items for result in found[item]]
    return [r for r in results if isinstance(r, Piece)], [r for r in results if isinstance(r, Dropped)]


def _mapped(
    task: Callable[[Sequence[str]], list[Found]], batches: Iterable[Sequence[str]], workers: int | None
) -> Iterable[list[Found]]:
    if workers == 1:
        return map(task, batches)
    try:
        from joblib import Parallel, delayed
    except ImportError as error:
        raise MelodyError("reading in parallel needs joblib: pip install 'melody[train]', or --workers 1") from error
    # threads are but the default: they wait for the processes that work
    parallel = Parallel(n_jobs=workers or -1, prefer="threads", return_as="generator_unordered", batch_size=1)
    results: Iterable[list[Found]] = parallel(delayed(task)(batch) for batch in batches)
    return results


@contextlib.contextmanager
def backend(name: str, workers: int | None) -> Iterator[None]:
    """Have joblib carry the reading by another backend while the block runs.

    For Dask, the scheduler that Dask's own configuration names (``DASK_SCHEDULER_ADDRESS``), or else workers on this
    machine. Raises `UsageError` for a backend that melody does not know, `MelodyError` for one that is not installed.
    """
    if name not in BACKENDS:
        raise UsageError(f"backend {name!r}: there are {', '.join(BACKENDS)}")
    if name == "threads":
        yield
        return
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(_cluster(name, workers))
        except ImportError as error:
            package = {"dask": "dask[distributed]", "ray": "ray", "loky": "joblib"}[name]
            raise MelodyError(f"backend {name}: is not installed; pip install '{package}'") from error
        yield


@contextlib.contextmanager
def _cluster(name: str, workers: int | None) -> Iterator[Any]:
    import joblib

    with contextlib.ExitStack() as stack:
        if name == "dask":
            from distributed import Client

            stack.enter_context(_client(Client, workers))
        elif name == "ray":
            import_module("ray.util.joblib").register_ray()
        yield stack.enter_context(joblib.parallel_config(backend=name))


def _client(kind: Any, workers: int | None) -> Any:
    import dask

    there = dask.config.get("scheduler-address", None)
    return kind() if there else kind(n_workers=workers, threads_per_worker=1, dashboard_address=None)

"""Compositions at work: a few at once, some that wait, and no more; each tells what it has as it goes.

A task is a generator of events that runs in a thread. Between two events it stops where it was cancelled or has used
up its time. Its events wait in memory for whoever listens: their number is bounded by what was asked for, so a client
that reads slowly keeps a short list alive and no thread.
"""

import asyncio
import secrets
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from melody.studio.bounds import Bounds
from melody.studio.errors import Busy, TakesTooLong, refusal_of

Told = dict[str, Any]  # an event: {"event": name, ...}
Work = Callable[[], Generator[Told, None, None]]
LAST = ("done", "error", "cancelled")


class Task:
    """A composition under way; listen to it with ``async for``."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self.id = secrets.token_hex(8)
        self.state, self.told = "waiting", 0
        self.total = 0  # events that are expected
        self.began = time.monotonic()
        self._loop, self._seconds = loop, seconds
        self._events: asyncio.Queue[Told] = asyncio.Queue()
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Stop at the next event."""
        self._cancelled.set()

    def to_dict(self) -> dict[str, Any]:
        """Return how far it is."""
        share = min(1.0, self.told / self.total) if self.total else 0.0
        done = self.state in ("done", "error", "cancelled")
        return {"task": self.id, "state": self.state, "progress": 1.0 if done else round(share, 3)}

    async def __aiter__(self) -> AsyncIterator[Told]:
        while True:
            event = await self._events.get()
            yield event
            if event["event"] in LAST:
                return

    def run(self, work: Work) -> None:
        """Do the work; whatever becomes of it, the last event says so."""
        if self._cancelled.is_set():
            return self._tell({"event": "cancelled"})
        self.state, deadline = "composing", time.monotonic() + self._seconds
        events = work()
        try:
            for event in events:
                self._tell(event)
                if self._cancelled.is_set():
                    return self._tell({"event": "cancelled"})
                if time.monotonic() > deadline:
                    raise TakesTooLong(
                        f"composing took more than {self._seconds:.0f} s; ask for fewer `bars` or `takes`"
                    )
            self._tell({"event": "done"})
        except Exception as error:
            refusal = refusal_of(error)
            self._tell({"event": "error", "status": refusal.status} | refusal.body()["error"])
        finally:
            events.close()
        return None

    def _tell(self, event: Told) -> None:
        self.told += 1
        self.total = event.pop("total", self.total)
        if event["event"] in LAST:
            self.state = event["event"]
        try:
            self._loop.call_soon_threadsafe(self._events.put_nowait, event)
        except RuntimeError:  # the server has ended
            self.cancel()


class Tasks:
    """All tasks of a server, by id, while they are at work."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._tasks: dict[str, Task] = {}
        self._pool = ThreadPoolExecutor(bounds.composers, "compose")

    def start(self, work: Work) -> Task:
        """Begin to work, at once or when it is its turn. Call it in the event loop. Raises `Busy`."""
        if len(self._tasks) >= self._bounds.composers + self._bounds.waiting:
            raise Busy(
                f"{len(self._tasks)} compositions are at work or wait, which is the limit; try again in a moment"
            )
        loop = asyncio.get_running_loop()
        task = Task(loop, self._bounds.compose_seconds)
        self._tasks[task.id] = task
        done = loop.run_in_executor(self._pool, task.run, work)
        done.add_done_callback(lambda _: self._tasks.pop(task.id, None))
        return task

    def get(self, name: str) -> Task | None:
        """Return a task at work."""
        return self._tasks.get(name)

    def all(self) -> list[Task]:
        """Return those at work, in the order in which they came."""
        return [task for task in self._tasks.values() if task.state not in LAST]

    def close(self) -> None:
        """Cancel everything."""
        for task in self.all():
            task.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)

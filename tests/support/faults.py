"""Failures on the way to the disk, one at a time: the first operation, then the second, and so on."""

import builtins
import errno
import io
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from melody.errors import MelodyError


class Faults:
    """Counts what is done on the way to the disk, and fails the one with the number `fatal`."""

    def __init__(self, fatal: int) -> None:
        self.fatal, self.count = fatal, 0

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Put the fault into the functions of the system."""
        for name in ("fsync", "replace", "rename"):
            patch.setattr(os, name, self._wrapped(getattr(os, name)))
        patch.setattr(os, "open", self._wrapped(os.open, lambda path, flags, *_: flags & (os.O_WRONLY | os.O_RDWR)))
        patch.setattr(os, "mkdir", self._wrapped(os.mkdir, lambda path, *_: not os.path.exists(path)))
        for module in (builtins, io):
            patch.setattr(module, "open", self._opener(io.open))
        patch.setattr(os, "fdopen", self._opener(os.fdopen))

    def tick(self) -> None:
        self.count += 1
        if self.count == self.fatal:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _wrapped(
        self, function: Callable[..., Any], counts: Callable[..., Any] = lambda *_: True
    ) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if counts(*arguments):
                self.tick()
            return function(*arguments, **options)

        return call

    def _opener(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
            if not set(mode) & set("wax+"):
                return function(file, mode, *arguments, **options)
            self.tick()
            return FailingFile(function(file, mode, *arguments, **options), self)

        return call


class FailingFile:
    """A file whose writes are counted too; the fatal one leaves half of its bytes."""

    def __init__(self, file: Any, faults: Faults) -> None:
        self._file, self._faults = file, faults

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> "FailingFile":
        return self

    def __exit__(self, *reason: object) -> None:
        self._file.close()

    def write(self, data: Any) -> Any:
        try:
            self._faults.tick()
        except OSError:
            self._file.write(data[: len(data) // 2])
            raise
        return self._file.write(data)


def contents(folder: Path) -> dict[str, bytes]:
    """All files under a folder, by path."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def swept(work: Callable[[], object], patch: pytest.MonkeyPatch) -> Iterator[str]:
    """The message of each failure, for the first, second, third ... operation, until the work succeeds."""
    for fatal in itertools.count(1):
        with patch.context() as one:
            faults = Faults(fatal)
            faults.install(one)
            try:
                work()
            except MelodyError as error:
                message = str(error)
            else:
                assert faults.count < fatal  # it did not succeed in spite of a failure
                return
        yield message

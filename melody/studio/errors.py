"""Errors of the server: the library's one-liners, each with a code for programs and a status of HTTP."""

from typing import NamedTuple

from melody.errors import LimitExceeded, MelodyError, UnreadableFile, UsageError


class NotThere(MelodyError):
    """Something asked for by an id that the server does not have."""


class Busy(MelodyError):
    """More work than the server takes on at once."""


class TakesTooLong(MelodyError):
    """Work that was given up at its limit of time."""


class Refusal(NamedTuple):
    """An error as it goes out: a status, a code and a line."""

    status: int
    code: str
    message: str

    def body(self) -> dict[str, dict[str, str]]:
        """Return the JSON body of the answer."""
        return {"error": {"code": self.code, "message": self.message}}


KINDS: tuple[tuple[type[Exception], int, str], ...] = (  # the first that fits
    (NotThere, 404, "not_there"),
    (Busy, 429, "busy"),
    (TakesTooLong, 503, "too_long"),
    (UnreadableFile, 422, "unreadable_file"),
    (LimitExceeded, 413, "limit_exceeded"),
    (UsageError, 400, "usage"),
    (MelodyError, 422, "refused"),
    (MemoryError, 503, "out_of_memory"),
)


def refusal_of(error: Exception) -> Refusal:
    """Return the answer to a request that ended in this error; one of no known kind is a mistake of ours."""
    for kind, status, code in KINDS:
        if isinstance(error, kind):
            return Refusal(status, code, " ".join(str(error).split()) or "out of memory; close other programs")
    return Refusal(500, "mistake", f"a mistake in melody ({type(error).__name__}); please report what you did")

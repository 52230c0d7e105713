"""Archives over the network: by https alone, whole or not at all, and one line for whatever goes wrong."""

import http.client
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO, Any

from melody.corpus.archives import MAX_ARCHIVE_BYTES
from melody.errors import LimitExceeded, MelodyError

_BLOCK = 1 << 18
_TIMEOUT_SECONDS = 30
_SCHEME = "https://"


class _OnlyHttps(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
        if not newurl.startswith(_SCHEME):
            fp.close()
            raise urllib.error.URLError(f"redirected to {newurl[:60]}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch(url: str, target: Path) -> Path:
    """Download an archive into a file, whole or not at all.

    Raises `MelodyError` with the reason: no network, not there, cut off, too large.
    """
    if not url.startswith(_SCHEME):
        raise MelodyError(f"{url}: only https is fetched")
    try:
        opener = urllib.request.build_opener(_OnlyHttps)
        with opener.open(url, timeout=_TIMEOUT_SECONDS) as answer, target.open("xb") as output:
            _download(answer, output, url)
    except BaseException as error:
        target.unlink(missing_ok=True)
        if isinstance(error, OSError | http.client.HTTPException):  # urllib's errors are among them
            raise MelodyError(f"{url}: cannot fetch ({_reason(error)})") from error
        raise
    return target


def _download(answer: Any, output: IO[bytes], url: str) -> None:
    size = 0
    while block := answer.read(_BLOCK):
        size += len(block)
        if size > MAX_ARCHIVE_BYTES:
            raise LimitExceeded(f"{url}: more than {MAX_ARCHIVE_BYTES:,} bytes")
        output.write(block)
    announced = answer.headers.get("Content-Length", "")
    if announced.isdigit() and int(announced) != size:
        raise MelodyError(f"{url}: cannot fetch (only {size:,} of {int(announced):,} bytes came)")


def _reason(error: OSError | http.client.HTTPException) -> str:
    """Return the reason of a failure on one line."""
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        return "redirected in a circle" if error.code < 400 else f"{error.code} {error.reason}"
    if isinstance(error, http.client.IncompleteRead):
        return "the connection broke off"
    if isinstance(error, http.client.HTTPException) and not isinstance(error, OSError):
        return "the answer is no HTTP"
    inner = getattr(error, "reason", error)  # of a URLError
    return " ".join(str(getattr(inner, "strerror", None) or inner or type(error).__name__).split())

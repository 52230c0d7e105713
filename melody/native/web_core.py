"""The core for browsers: WebAssembly from the wheel, or compiled now."""

import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

from melody.native.build import WEB, compile_web, web_fingerprint


def web_core() -> bytes:
    """Return the core as WebAssembly. Raises `ValueError` with the reason where it cannot be had."""
    if WEB.is_file() and web_fingerprint().encode() in (data := WEB.read_bytes()):
        return data
    if find_spec("ziglang") is None:
        raise ValueError(
            "the core is not compiled for browsers here; `pip install 'melody[web]'` brings a compiler for it"
        )
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / WEB.name
        try:
            compile_web(library)
        except subprocess.CalledProcessError as error:
            raise ValueError(
                f"zig cannot compile the core for browsers: {(error.stderr or '').strip()[-300:]}"
            ) from error
        return library.read_bytes()

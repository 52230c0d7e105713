"""Compile the native core: with the system's C compiler, else with zig; and do so while a wheel is built.

    python -m melody.native.build      compile in place, for a checkout

The flags matter: without ``-ffp-contract=off`` a compiler may fuse products and sums, and takes would depend on it.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).parent
SOURCES = FOLDER / "core"
FLAGS = ("-std=c11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fvisibility=hidden", "-shared")
SUFFIX = {"win32": "dll", "darwin": "dylib"}.get(sys.platform, "so")
LIBRARY = FOLDER / f"melody_core.{SUFFIX}"


def fingerprint() -> str:
    """What tells these sources from others: a library made of others is not to be loaded."""
    digest = hashlib.sha256()
    for path in sorted(SOURCES.glob("*.[ch]")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:32]


def compile_core(compiler: Sequence[str], library: Path, flags: Sequence[str] = ()) -> None:
    """Compile the core with a compiler and some flags more. Raises `OSError` or `CalledProcessError`."""
    sources = sorted(str(path) for path in SOURCES.glob("*.c"))
    portable = () if library.suffix == ".dll" else ("-fPIC",)
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:  # whole, or not there
        made = Path(folder) / library.name
        named = f'-DFINGERPRINT="{fingerprint()}"'
        command = [*compiler, *FLAGS, named, *portable, *flags, "-o", str(made), *sources]
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
        os.replace(made, library)


def compilers() -> list[list[str]]:
    """The compilers at hand: what CC says, the system's, and zig where it is installed."""
    found = [[os.environ["CC"]]] if os.environ.get("CC") else []
    found += [[path] for name in ("cc", "gcc", "clang") if (path := shutil.which(name))]
    return [*found[:1], [sys.executable, "-m", "ziglang", "cc"]]


def build(library: Path = LIBRARY) -> str:
    """Compile with the first compiler that can; return what it is, or why none could, after ``none: ``."""
    reasons = []
    for compiler in compilers():
        try:
            compile_core(compiler, library)
        except subprocess.CalledProcessError as error:
            reasons.append(f"{compiler[-1]}: {(error.stderr or '').strip()[-300:]}")
        except (OSError, subprocess.TimeoutExpired) as error:
            reasons.append(f"{compiler[-1]}: {error}")
        else:
            return " ".join(compiler)
    return f"none: {'; '.join(reasons)}"


if __name__ == "__main__":
    said = build()
    print(said)
    sys.exit(said.startswith("none"))

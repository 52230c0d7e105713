"""Compile the native core: by the system's C compiler, else by zig; and do so while a wheel is built (`CoreHook`).

    python -m melody.native.build      compile in place, for a checkout

The hook is hatchling's. It asks for ziglang only where no compiler is found; where that cannot be had either, the
wheel is built without the core. MELODY_TARGET names another system for which zig is to build (`TARGETS`), or ``none``.
The flags matter: without ``-ffp-contract=off`` a compiler may fuse products and sums, and takes would depend on it.
Without ``-fno-trapping-math`` GCC keeps the branches of a bounded value, and makes no vectors of the LSTM's cell.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
SOURCES = FOLDER / "core"
COMMON = ("-std=c11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fvisibility=hidden")
FLAGS = (*COMMON, "-shared")
WEB_FLAGS = (*COMMON, "-target", "wasm32-wasi", "-mexec-model=reactor", "-msimd128", "-Wl,--export-dynamic", "-s")
WEB_SOURCES = FOLDER / "web"
LIBRARY = FOLDER / ("melody_core.dll" if sys.platform == "win32" else "melody_core.so")
WEB = FOLDER / "melody_core.wasm"  # in wheels that zig made
TARGETS = {  # the platform of a wheel: how zig calls it
    "manylinux_2_17_x86_64": "x86_64-linux-gnu.2.17",
    "manylinux_2_17_aarch64": "aarch64-linux-gnu.2.17",
    "macosx_11_0_x86_64": "x86_64-macos.11.0",
    "macosx_11_0_arm64": "aarch64-macos.11.0",
    "win_amd64": "x86_64-windows-gnu",
}
ZIG = [sys.executable, "-m", "ziglang", "cc"]


def fingerprint() -> str:
    """Return the hash of the sources: a library made of others is not to be loaded."""
    return _hash_of(SOURCES)


def web_fingerprint() -> str:
    """Return the hash of the sources of the core for browsers."""
    return _hash_of(SOURCES, WEB_SOURCES)


def _hash_of(*folders: Path) -> str:
    digest = hashlib.sha256()
    for path in (path for folder in folders for path in sorted(folder.glob("*.[ch]"))):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:32]


def compile_core(compiler: Sequence[str], library: Path, flags: Sequence[str] = ()) -> None:
    """Compile the core with a compiler and some flags more. Raises `OSError` or `CalledProcessError`."""
    portable = () if library.suffix == ".dll" else ("-fPIC",)
    _compile([*compiler, *FLAGS, *portable, *flags], library, fingerprint(), SOURCES)


def compile_web(library: Path = WEB) -> None:
    """Compile the core to WebAssembly, by zig. Raises `OSError` or `CalledProcessError`."""
    _compile([*ZIG, *WEB_FLAGS], library, web_fingerprint(), SOURCES, WEB_SOURCES)


def _compile(command: Sequence[str], library: Path, named: str, *folders: Path) -> None:
    sources = [str(path) for folder in folders for path in sorted(folder.glob("*.c"))]
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:  # whole, or not there
        made = Path(folder) / library.name
        full = [*command, f'-DFINGERPRINT="{named}"', "-o", str(made), *sources]
        subprocess.run(full, check=True, capture_output=True, text=True, timeout=600)
        os.replace(made, library)


def compilers() -> list[list[str]]:
    """The compilers at hand: what CC says, else the system's; and zig where it is installed."""
    own = os.environ.get("CC") or next(filter(shutil.which, ("cc", "gcc", "clang")), None)
    return [*([own.split()] if own else []), *([ZIG] if find_spec("ziglang") else [])]


def build(library: Path = LIBRARY) -> str:
    """Compile with the first compiler that can; return which, or why none could, after ``none: ``."""
    reasons = []
    for compiler in compilers():
        try:
            compile_core(compiler, library)
        except subprocess.CalledProcessError as error:
            reasons.append(f"{compiler[0]}: {(error.stderr or '').strip()[-300:]}")
        except (OSError, subprocess.TimeoutExpired) as error:
            reasons.append(f"{compiler[0]}: {error}")
        else:
            return " ".join(compiler)
    return f"none: {'; '.join(reasons) or 'no C compiler is there'}"


def build_for(platform: str, library: Path) -> None:
    """Compile for another system, by zig. Raises `CalledProcessError`."""
    compile_core(ZIG, library, ["-target", TARGETS[platform], "-s"])


if "hatchling" in sys.modules:  # something is being packed
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface

    class CoreHook(BuildHookInterface):  # type: ignore[misc, type-arg, unused-ignore]
        """The hook of hatchling: the core goes into the wheel, or, of an editable install, stays in its place."""

        PLUGIN_NAME = "custom"

        def dependencies(self) -> list[str]:
            """Return ziglang where it alone can compile."""
            wanted = os.environ.get("MELODY_TARGET")
            return ["ziglang"] if wanted in TARGETS or (wanted is None and not compilers()) else []

        def initialize(self, version: str, build_data: dict[str, Any]) -> None:
            """Compile before the files are packed."""
            wanted = os.environ.get("MELODY_TARGET")
            if self.target_name != "wheel" or wanted == "none":
                return
            name = "melody_core.dll" if (wanted or sys.platform).startswith("win") else "melody_core.so"
            library = LIBRARY if version == "editable" else Path(tempfile.mkdtemp()) / name
            if wanted:
                build_for(wanted, library)
            elif (said := build(library)).startswith("none"):
                self.app.display_warning(f"melody is installed without its native core: {said}")
                return
            here = re.sub(r"\W", "_", sysconfig.get_platform())
            build_data |= {"pure_python": False, "tag": f"py3-none-{wanted or here}"}
            if version != "editable":
                build_data["force_include"][str(library)] = f"melody/native/{name}"
                if wanted:  # by zig, which makes the core for browsers, too
                    compile_web(library.with_name(WEB.name))
                    build_data["force_include"][str(library.with_name(WEB.name))] = f"melody/native/{WEB.name}"


if __name__ == "__main__":
    said = build()
    print(said)
    sys.exit(said.startswith("none"))

"""The native core is built with a compiler, with zig, or left out; and holds under the sanitizers."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from melody.native.build import TARGETS, build, build_for, compile_core

ROOT = Path(__file__).parents[2]
compiler = next(filter(shutil.which, ("gcc", "cc", "clang")), None)
needs_compiler = pytest.mark.skipif(compiler is None, reason="no C compiler")
RUN = """
import sys
from pathlib import Path
from melody.native import library
library.LIBRARY = Path(sys.argv[1])
assert library.core() is not None, library.opened()
import random
from support.native_trials import trial
from support.wild_midi import altered, is_agreed, wild
for seed in range(int(sys.argv[2])):
    trial(seed)
    numbers = random.Random(seed)
    for _ in range(5):
        is_agreed(altered(wild(numbers), numbers))
        is_agreed(wild(numbers))
print("held", sys.argv[2])
"""


@needs_compiler
def test_it_compiles_without_a_warning(tmp_path: Path) -> None:
    compile_core([str(compiler)], tmp_path / "core.so", ["-Wall", "-Wextra", "-Werror", "-O1"])
    assert (tmp_path / "core.so").stat().st_size > 10_000


def test_without_a_compiler_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr("melody.native.build.find_spec", lambda _: None)
    assert build(tmp_path / "core.so") == "none: no C compiler is there"
    monkeypatch.setenv("CC", "no-such-compiler")
    assert build(tmp_path / "core.so").startswith("none: no-such-compiler:")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@needs_compiler
@pytest.mark.skipif(sys.platform != "linux", reason="the sanitizers are preloaded as Linux does")
def test_no_memory_but_its_own_is_touched(tmp_path: Path) -> None:
    """Trials against Python, among them tokens in any order, under AddressSanitizer and UBSan."""
    flags = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")
    compile_core([str(compiler)], tmp_path / "core.so", flags)
    names = ("libasan.so", "libubsan.so")
    found = [subprocess.run([str(compiler), f"-print-file-name={n}"], capture_output=True, text=True) for n in names]
    environment = os.environ | {
        "LD_PRELOAD": " ".join(done.stdout.strip() for done in found),
        "ASAN_OPTIONS": "detect_leaks=0",  # Python's own
        "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}",
    }
    command = [sys.executable, "-c", RUN, str(tmp_path / "core.so"), "60"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1200)
    assert done.stdout.strip() == "held 60", done.stdout + done.stderr[-3000:]


@pytest.mark.slow
@pytest.mark.parametrize("platform", TARGETS)
def test_zig_builds_it_for_every_system(platform: str, tmp_path: Path) -> None:
    pytest.importorskip("ziglang")
    library = tmp_path / ("melody_core.dll" if platform.startswith("win") else "melody_core.so")
    build_for(platform, library)
    assert library.stat().st_size > 10_000


@pytest.mark.slow
@pytest.mark.parametrize("situation", ["cc", "zig", "none"])
def test_a_wheel_is_built_with_a_compiler_with_zig_and_with_neither(situation: str, tmp_path: Path) -> None:
    """And melody composes from it, by the engine that it then has."""
    if situation == "cc" and compiler is None:
        pytest.skip("no C compiler")
    if situation == "zig":
        pytest.importorskip("ziglang")
    environment = {name: value for name, value in os.environ.items() if name not in ("CC", "MELODY_TARGET")}
    environment |= {"cc": {}, "zig": {"CC": f"{sys.executable} -m ziglang cc"}, "none": {"MELODY_TARGET": "none"}}[
        situation
    ]
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert ("py3-none-any" in wheel.name) == (situation == "none")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    words = [sys.executable, "-m", "melody", "compose", "--bars", "2", "--seed", "1", "--json", "--out", "take.mid"]
    own = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(words, env=own, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    engine = "onnx" if situation == "none" else "native"
    assert f'"engine": "{engine}"' in done.stdout

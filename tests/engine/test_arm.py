"""The core on a 64-bit Arm, by an emulator: the same tokens as on the processor here."""

import platform
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support.take_file import take_file

from melody.generation import Composer
from melody.generation.decoders.sampling import Sampled
from melody.generation.prepared import prepare
from melody.generation.seeds import Seed
from melody.generation.settings import Settings
from melody.native.build import COMMON, SOURCES, WEB_SOURCES, ZIG, compilers
from melody.native.library import core

RUNNER = Path(__file__).parents[1] / "support" / "take_runner.c"
EMULATOR = next(filter(None, map(shutil.which, ("qemu-aarch64-static", "qemu-aarch64"))), None)
ARM = "aarch64-linux-musl"  # zig compiles its C library first, which takes a minute
TAKES = [("folk", 5, 8), ("folk", 12345678901, 4), ("drums", 3, 4), ("drums", 8, 2)]  # model, seed, bars

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def run_on(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, bytes], tuple[list[int], str]]:
    """Return what draws a take on a machine: its tokens, and the kernels that it used."""
    if core() is None or not compilers():
        pytest.skip("the native core is not installed, or no compiler is")
    folder = tmp_path_factory.mktemp("machines")

    def run(machine: str, take: bytes) -> tuple[list[int], str]:
        program, is_arm = folder / machine, machine == ARM
        if not program.is_file():
            sources = [RUNNER, *sorted(SOURCES.glob("*.c")), WEB_SOURCES / "numbers.c"]
            compiler = [*ZIG, "-target", ARM, "-static"] if is_arm else compilers()[0]
            command = [*compiler, *COMMON, '-DFINGERPRINT="test"', "-o", str(program), *map(str, sources)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=600)
            assert done.returncode == 0, done.stderr
        command = [EMULATOR] * is_arm + [str(program)]
        done = subprocess.run(command, input=take, capture_output=True, timeout=600)
        assert done.returncode == 0, done.stderr.decode()
        return [int(line) for line in done.stdout.split()], done.stderr.decode().strip()

    return run


@pytest.mark.parametrize("machine", ["here", ARM])
@pytest.mark.parametrize(("name", "seed", "bars"), TAKES)
def test_a_take_is_the_same_on_every_machine(
    machine: str, name: str, seed: int, bars: int, run_on: Callable[[str, bytes], tuple[list[int], str]]
) -> None:
    if machine == ARM:
        pytest.importorskip("ziglang", reason="no zig here: nothing builds the core for another processor")
    if machine == ARM and EMULATOR is None:
        pytest.skip("no qemu-aarch64 here: nothing can show what an Arm would do (apt-get install qemu-user-static)")
    composer = Composer(name, engine="native")
    prepared = prepare(composer.bundle, composer.engine, None, Settings(bars=bars))
    own = Sampled().decode(prepared, composer.engine, [Seed(seed, 1)])[0].ids
    ids, kernels = run_on(machine, take_file(composer.bundle, prepared, Seed(seed, 1), bars))
    assert ids == own
    assert (kernels == "NEON") == (machine == ARM or platform.machine() in ("aarch64", "arm64"))

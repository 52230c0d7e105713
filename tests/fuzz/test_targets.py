"""Each kind of file fuzzed for a moment, without guidance; CI gives all of them a minute, guided."""

from pathlib import Path

import pytest

pytest.importorskip("onnx")
from fuzz.fuzz import main
from fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_breaks_a_promise(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = ["--runs", "150", "--seconds", "60", "--seed", "7"]
    assert main([name, "--blind", *runs, "--keep", str(tmp_path)]) == 0, capsys.readouterr().out


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_keep_the_promise_too(name: str) -> None:
    seeds = list(TARGETS[name].seeds())
    assert len(seeds) >= 2
    for seed in seeds:
        TARGETS[name].run(seed)

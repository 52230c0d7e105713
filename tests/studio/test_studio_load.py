"""Under load the server stays responsive, bounded in memory, and says 429 rather than dying."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "studio_load.py"


@pytest.mark.slow
def test_a_flood_slow_readers_and_streams_cut_off() -> None:
    command = [sys.executable, str(SCRIPT), "--clients", "32", "--seconds", "5", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=True)
    results = json.loads(done.stdout)
    for name, result in results.items():
        codes = {code for code in result["answers"] if not code.startswith("light")}
        assert codes <= {"200", "429"}, name
        assert not {code for code in result["answers"] if code.startswith("light")} - {"light 200", "light 429"}
        assert result["then composes"], name
        assert result["MB most"] < 1000, name
    assert results["flood"]["answers"].get("429", 0) > 0

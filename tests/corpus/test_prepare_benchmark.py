"""The benchmark of preparing runs as small as can be, and its files are what it says."""

import math
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import corpus

    yield corpus
    sys.modules.pop("corpus")


def test_a_corpus_is_timed_against_pretty_midi_and_against_itself(bench, tmp_path: Path) -> None:
    sizes = bench.Sizes(few=20, many=40, rounds=1, sample=3, workers=1)
    facts, results = bench.run(sizes, tmp_path)
    assert all(math.isfinite(result.median) for result in results)
    assert [result.name.split(":")[-1] for result in results[-2:]] == [" time", " peak memory"]
    assert any(fact.startswith("20 files, 20 pieces") for fact in facts)  # none was a copy of another
    assert any(fact.startswith("40 files, 40 pieces") for fact in facts)

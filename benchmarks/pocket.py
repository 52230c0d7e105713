"""Small and anywhere: memory and cold start of `melody compose`, sizes, and the page that composes by itself.

    python benchmarks/pocket.py [--models folk drums ...] [--web] [--quick] [--json]

Times are of the processor, not of the wall, so that a busy machine changes them little. `compose` runs from a copy of
the package with its byte code compiled, as pip leaves it. `--web` needs Chromium and ziglang (melody[web]).
"""

import argparse
import compileall
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
RUNS = 3
SEEDS, BARS = (1, 2, 3), 32


def cost(words: list[str], folder: Path, site: Path) -> tuple[float, float]:
    """Run Python with these words to its end: seconds of the processor, and the peak memory in MB."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, *words], cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"python {' '.join(words)}: exit code {process.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def starts(models: list[str]) -> list[dict[str, Any]]:
    """Cold starts of `melody compose --bars 8`, beside `import torch`."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder) / "site"
        shutil.copytree(ROOT / "melody", site / "melody", ignore=shutil.ignore_patterns("__pycache__"))
        compileall.compile_dir(site / "melody", quiet=2)
        for model in [*models, None]:
            words = ["-m", "melody", "compose", "--model", str(model), "--bars", "8", "--seed", "1", "--force"]
            words = [*words, "--out", "take.mid"] if model else ["-c", "import torch"]
            found = [cost(words, Path(folder), site) for _ in range(RUNS)]
            seconds, megabytes = (median(column) for column in zip(*found, strict=True))
            rows.append({"what": model or "import torch", "seconds": round(seconds, 2), "MB": round(megabytes, 1)})
    return rows


def sizes(models: list[str]) -> list[dict[str, Any]]:
    """Bytes of the bundles, and of their largest files, in MB."""
    rows = []
    for model in models:
        files = {path.name: path.stat().st_size / 1e6 for path in (ROOT / "melody/bundles" / model).iterdir()}
        names = ("step.onnx", "originality.npz", "planner.safetensors")
        rows.append(
            {"what": model, "MB": round(sum(files.values()), 2)} | {n: round(files.get(n, 0), 2) for n in names}
        )
    return rows


def pages(models: list[str]) -> list[dict[str, Any]]:
    """Tokens a second that the page composes in Chromium, of the processor time of its thread, and the page's size."""
    from support.browser import chromium

    from melody.native.web_core import web_core
    from melody.web import export

    compiled, rows = web_core(), []
    with tempfile.TemporaryDirectory() as folder:
        export.web_core = lambda: compiled
        made = {model: export.export_page(model, Path(folder) / model) for model in models}
        with chromium(Path(folder)) as (browser, _):
            browser.send("Performance.enable", timeDomain="threadTicks")

            def busy() -> float:
                found = browser.send("Performance.getMetrics")["metrics"]
                return {one["name"]: one["value"] for one in found}["TaskDuration"]

            for model, page in made.items():
                browser.open(page.folder / "index.html")
                browser.wait("globalThis.melody")
                browser.evaluate("melody.compose({seed: '0', bars: 4, temperature: 1}).then(() => 0)")  # compiles
                tokens, before = 0, busy()
                for seed in SEEDS:
                    asked = f"{{seed: '{seed}', bars: {BARS}, temperature: 1}}"
                    tokens += browser.evaluate(f"melody.compose({asked}).then((take) => take.ids.length)")
                rate = tokens / (busy() - before)
                rows.append({"what": model, "MB": round(page.bytes / 1e6, 1), "tokens a second": round(rate)})
    return rows


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["folk", "drums", "band", "pop", "piano", "chorale"])
    parser.add_argument("--web", action="store_true", help="the page too, in Chromium")
    parser.add_argument("--quick", action="store_true", help="one run of each, and short pieces")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if asked.quick:
        global RUNS, BARS
        RUNS, BARS = 1, 8
    found = {"start": starts(asked.models), "size": sizes(asked.models)}
    if asked.web:
        found["page"] = pages(asked.models)
    if asked.json:
        print(json.dumps(found))
        return
    for rows in found.values():
        for row in rows:
            print("  ".join(f"{name} {value}" for name, value in row.items()))
        print()


if __name__ == "__main__":
    main()

"""The clients in docs/studio.md run as they stand there."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support.primers import primer, tune
from support.studio_client import Client

import melody

PAGE = (Path(__file__).parents[2] / "docs" / "studio.md").read_text(encoding="utf-8")


def block(language: str, client: Client) -> str:
    """The first block in a language, with address and token of a server."""
    (code, *_) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return code.replace("http://127.0.0.1:7890", f"http://127.0.0.1:{client.port}").replace(
        '"..."', f'"{client.token}"'
    )


def test_the_python_client(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    melody.write(primer(tune()), "theme.mid")
    exec(block("python", client), {})
    takes = sorted(tmp_path.glob("theme-*.mid"))
    assert len(takes) == 2
    assert all(len(melody.read(take).tracks) == 1 for take in takes)


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_javascript_client(client: Client, tmp_path: Path) -> None:
    (tmp_path / "client.mjs").write_text(block("javascript", client), encoding="utf-8")
    done = subprocess.run(["node", "client.mjs"], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True)
    assert "take 1, bar 1: " in done.stdout
    assert done.stdout.count("/file/take.mid") == 2
    assert len(block("javascript", client).splitlines()) <= 30


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_curl_client(client: Client, tmp_path: Path) -> None:
    melody.write(primer(tune()), tmp_path / "theme.mid")
    (first, second) = re.findall(r"^curl (?:.|\n)*?(?=^curl|^```)", PAGE[PAGE.index("With curl") :], re.MULTILINE)[:2]
    score = client.upload((tmp_path / "theme.mid").read_bytes())["id"]
    script = first + second.replace('"ID"', f'"{score}"')
    names = {"URL": f"http://127.0.0.1:{client.port}", "TOKEN": client.token, "PATH": "/usr/bin:/bin"}
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, env=names, capture_output=True, text=True, timeout=120)
    assert f'"id":"{score}"' in done.stdout
    assert "event: done" in done.stdout

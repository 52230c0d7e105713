"""The data report says of each file how many of its notes stand in the tokens."""

import json
from pathlib import Path

from melody.corpus import prepare

UNISON = "**kern\n*M4/4\n4c\n4d 4d\n2e\n*-\n"
PLAIN = UNISON.replace("4d 4d", "4d 4f")


def test_the_report_tells_of_each_file_how_many_of_its_notes_are_kept(tmp_path: Path) -> None:
    music = tmp_path / "music"
    music.mkdir()
    (music / "unison.krn").write_text(UNISON)
    (music / "plain.krn").write_text(PLAIN)
    report = prepare(music, tmp_path / "store", workers=1)
    content = json.loads((tmp_path / "store" / "report.json").read_text())
    fewer = [{"name": "unison.krn", "read": 4, "kept": 3}]
    assert content["music"]["kept"] == {"read": 8, "kept": 7, "fewer": fewer}
    assert "7 of 8" in (report.folder / "report.html").read_text()

"""The seams: a toy model, rule, style and file format are added in the files that docs/architecture.md names alone.

melody is copied, the additions are written as a contributor would write them, and the copy trains, exports, composes,
reads and writes with all of them.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.tunes import tune

import melody

pytest.importorskip("torch")

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")

NEW = {
    "melody/models/toy.py": '''"""A toy: each token is predicted from a running mean of what was read."""

import torch
from torch import Tensor, nn

from melody.models.carry import unconditioned
from melody.models.embedding import summed


class Toy(nn.Module):
    def __init__(self, vocabulary_size, channel_sizes, hidden_size=8, intervals=None):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, hidden_size)
        self.channels = nn.ModuleList(nn.Embedding(size, hidden_size) for size in channel_sizes)
        self.head = nn.Linear(hidden_size, vocabulary_size)

    def start(self, batch_size, condition=None):
        unconditioned("toy", condition)
        return {"mean": torch.zeros(batch_size, self.embedding.embedding_dim, device=self.head.bias.device)}

    def forward(self, tokens, carry, context):
        x = summed(tokens, context, [self.embedding.weight, *self.channels.parameters()])
        mean, states = carry["mean"], []
        for part in x.float().unbind(1):
            mean = 0.5 * (mean + part)
            states.append(mean)
        return self.head(torch.stack(states, 1)), {"mean": mean}
''',
    "melody/generation/rules/toy.py": '''"""A toy rule: no pitch class C."""

from melody.generation.rules.contract import without


def no_c(vocabulary, voices):
    mask = without(vocabulary)
    start = vocabulary.ids["Pitch"].start
    mask[start : start + 128 : 12] = False
    return lambda reader: mask
''',
    "melody/corpus/toy.py": '''"""A toy corpus: MIDI files, each a piece."""

from melody.formats.reading import read


def items(root):
    return sorted(path.name for path in root.glob("*.mid"))


def read_toy(item, root):
    return {item: read(root / item)}
''',
    "melody/formats/toy.py": '''"""A toy format: a line of MIDI pitches behind the word TOY, a quarter each."""

import numpy as np
from symusic import Tempo, Track

from melody.formats.midi import Reading
from melody.music.score import Notes, Score, notes_of, set_notes
from melody.storage.files import write_bytes


def parse_toy(data, name):
    pitches = np.array([int(word) for word in data.split()[1:]])
    score = Score(480)
    score.tempos.append(Tempo(0, qpm=100))
    track = Track("Toy", 0, False)
    onset = np.arange(len(pitches)) * 480
    set_notes(track, Notes(onset, np.full(len(pitches), 480), pitches, np.full(len(pitches), 80)))
    score.tracks.append(track)
    return Reading(score)


def write_toy(score, path, force):
    pitches = [int(pitch) for track in score.tracks for pitch in notes_of(track).pitch]
    return write_bytes(path, ("TOY " + " ".join(map(str, pitches))).encode(), force=force)
''',
    "corpora/toy/recipe.yaml": """name: toy
reader: toy
source: made up
licence: none
origin: {repository: here, commit: "1", archive: "https://example.org/toy.zip"}
""",
    "corpora/toy/split.json": json.dumps(
        {
            "train": [f"{number}.mid" for number in range(16)],
            "valid": [f"{number}.mid" for number in range(16, 20)],
            "test": [f"{number}.mid" for number in range(20, 24)],
            "left_out": {},
        }
    ),
    "configs/toy.yaml": """name: toy
corpus: toy
track_names: [High, Low]
style_rules: [no_c]
model: {name: toy}
data: {batch_size: 2, window: 32}
evaluation: {batch_size: 2}
max_passes: 1
sample_every: null
tensorboard: false
threads: 1
""",
}

# file: what stands there, and what it becomes
CHANGED = {
    "melody/models/__init__.py": [
        (
            "from melody.models.transformer import",
            "from melody.models.toy import Toy\nfrom melody.models.transformer import",
        ),
        ('"transformer": Transformer', '"transformer": Transformer, "toy": Toy'),
    ],
    "melody/config.py": [
        (
            "def _by_name(",
            'class ToyConfig(ConfigSection):\n    name: Literal["toy"] = "toy"\n    hidden_size: Count = 8\n'
            "    intervals: None = None\n\n    def options(self) -> dict[str, Any]:\n"
            '        return {"hidden_size": self.hidden_size}\n\n\ndef _by_name(',
        ),
        ('Tag("transformer")],', 'Tag("transformer")] | Annotated[ToyConfig, Tag("toy")],'),
    ],
    "melody/generation/rules/styles.py": [
        ('    "no_parallels": no_parallels,', '    "no_parallels": no_parallels,\n    "no_c": no_c,'),
        (
            "from melody.generation.rules.contract import",
            "from melody.generation.rules.toy import no_c\nfrom melody.generation.rules.contract import",
        ),
    ],
    "melody/corpus/recipe.py": [
        ("READERS = {", 'READERS = {\n    "toy": RecipeReader(toy.read_toy, toy.items),'),
        ("from melody.corpus import ", "from melody.corpus import toy, "),
    ],
    "melody/formats/reading.py": [
        ("KINDS = (", 'KINDS = (\n    Kind("TOY (.toy)", lambda data, suffix: data.startswith(b"TOY "), parse_toy),'),
        (
            "from melody.formats.musicxml import",
            "from melody.formats.toy import parse_toy\nfrom melody.formats.musicxml import",
        ),
    ],
    "melody/generation/take_files.py": [
        ("KINDS: dict[str, Writer] = {", 'KINDS: dict[str, Writer] = {\n    ".toy": _toy,'),
        (
            "Writer = Callable",
            "def _toy(writing: Writing) -> Written:\n    from melody.formats.toy import write_toy\n\n"
            "    return Written([write_toy(writing.score, writing.path, writing.force)], [])\n\n\nWriter = Callable",
        ),
    ],
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of melody with the additions, as a working directory."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "melody", folder / "melody", ignore=shutil.ignore_patterns("bundles", "__pycache__"))
    (folder / "melody" / "bundles").symlink_to(ROOT / "melody" / "bundles")
    for name, pairs in CHANGED.items():
        text = (folder / name).read_text(encoding="utf-8")
        for old, new in pairs:
            assert text.count(old) >= 1, (name, old)
            text = text.replace(old, new, 1)
        (folder / name).write_text(text, encoding="utf-8")
    for name, text in NEW.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    for seed in range(24):
        melody.write(tune(seed), folder / "music" / f"{seed}.mid")
    return folder


COMMANDS = (
    "prepare toy --from music --out outputs/stores/toy --workers 1",
    "train configs/toy.yaml corpus=outputs/stores/toy",
    "export outputs/runs/toy --samples 0",
    "models",
    "compose tune.toy --model outputs/bundles/toy --bars 4 --seed 1 --out take.mid",
)
# What the copy does, in one process: most of the time goes into imports.
SCRIPT = """
import sys
import melody
from melody.cli import run
for command in sys.argv[1:]:
    print("$", command)
    if code := run(command.split()):
        sys.exit(f"{command}: {code}")
melody.write(melody.read("take.mid"), "out.toy")
print(len(melody.read("out.toy").tracks))
"""


def test_all_of_it_works_together(copy: Path):
    (copy / "tune.toy").write_bytes(b"TOY 72 74 76 77 79 77 76 74")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *COMMANDS],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    said = dict(re.findall(r"^\$ (\w+)[^\n]*\n(.*?)(?=^\$ |\Z)", done.stdout, re.M | re.S))
    assert "toy" in said["models"]
    assert said["compose"].splitlines()[-1] == "1"  # a track in the new format
    take = melody.read(copy / "take.mid")
    notes = [note for track in take.tracks for note in track.notes]
    assert sorted((note.time, note.pitch) for note in notes)[:8] == list(
        zip(range(0, 8 * 480, 480), [72, 74, 76, 77, 79, 77, 76, 74], strict=True)
    )
    new = [note.pitch for note in notes if note.time >= 8 * 480]
    assert new
    assert all(pitch % 12 for pitch in new)


def test_the_page_names_these_files_and_no_other_has_changed():
    """Each file that was touched stands in the page's table, new ones by their folder and the word NAME."""
    table = PAGE[PAGE.index("## Where to add something") :]
    named = set(re.findall(r"`((?:melody|corpora|configs)/[\w./]+)`", table))
    for name in CHANGED:
        assert name in named
    patterns = [pattern.replace("NAME", "toy") for pattern in named] + [f"{n}toy.py" for n in named if n.endswith("/")]
    for name in NEW:
        assert name in patterns

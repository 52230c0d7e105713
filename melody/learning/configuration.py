"""A configuration for someone's own folder of music: what `melody prepare` leaves beside the store for `melody train`.

Sizes follow those of the shipped models: the fewer the tokens, the smaller the model and the more the passes.
"""

import re
from collections import Counter
from pathlib import Path
from statistics import median

from melody.corpus import TokenStore
from melody.learning.export import tracks_of
from melody.music.general_midi import default_name
from melody.music.score import Score
from melody.storage.files import write_bytes
from melody.tokens import EventTokenizer
from melody.tokens.channels import MOST_VOICES, USUAL_VOICES

PIECES = 200  # by which tracks and tempo are known
SIZES = ((150_000, 128, 2), (1_500_000, 192, 3))  # up to so many tokens: width and layers
LARGEST = (256, 3)
TOKENS = 6_000_000  # read in all passes together, as the shipped models did
MOST_PASSES, EVALUATIONS = 60, 15
TEXT = """\
# What melody train makes of the folder {folder}. Change what you like; melody/config.py has every key.
name: {name}
corpus: {corpus}
description: {description}
licence: '' # fill in: under which licence may the music be used, and the model that learned from it?
tempo_qpm: {tempo:.0f}
track_names: [{tracks}]
style_rules: [] # such as tonic_ending, no_parallels

model:
  name: residual_lstm
  hidden_size: {width}
  layers: {layers}
  dropout: 0.3
  input_dropout: 0.1
  weight_dropout: 0.2
  channel_dropout: 0.1
  intervals: {intervals}

data:
  batch_size: {lanes}
  window: 128
  plan_dropout: 0.15
  voices: {voices}

optimizer:
  learning_rate: 3.0e-3
  weight_decay: 0.02

max_passes: {passes}
evaluation:
  every: {every}
  patience: 5
"""


def write_configuration(store: TokenStore) -> tuple[Path, bool]:
    """Write a configuration beside a store, ``STORE.yaml``, unless one is there; return its path, and if it is new."""
    path = store.folder.with_name(f"{store.folder.name}.yaml")
    if path.exists():
        return path, False
    return write_bytes(path, configuration_of(store).encode()), True


def configuration_of(store: TokenStore) -> str:
    """Return the YAML of a configuration that fits a store of events."""
    tokenizer, train = EventTokenizer(), store.split("train")
    scores = [tokenizer.decode(train.piece(index)[0]) for index in range(min(PIECES, len(train)))]
    infos = tracks_of(scores, ())
    tokens = int(train.lengths.sum())
    width, layers = next(((w, n) for most, w, n in SIZES if tokens <= most), LARGEST)
    passes = max(3, min(MOST_PASSES, round(TOKENS / max(1, tokens))))
    pitched = not all(info.drums for info in infos)
    names = _numbered([default_name(info.program, info.drums) for info in infos])
    return TEXT.format(
        folder=plain_name(store.name),
        name=re.sub(r"^[^A-Za-z0-9]+|[^\w.-]+", "-", store.name).strip("-") or "mine",
        corpus=_quoted(str(store.folder)),
        description=_quoted(f"{', '.join(names)}: learned from {len(train)} pieces of {plain_name(store.name)}."),
        tempo=_tempo(scores),
        tracks=", ".join(map(_quoted, names)),
        width=width,
        layers=layers,
        intervals=36 if pitched else "null",
        lanes=max(2, min(32, 2 ** max(1, (len(train) // 2).bit_length() - 1))),
        voices=max(USUAL_VOICES, min(MOST_VOICES, len(infos))),
        passes=passes,
        every=-(-passes // EVALUATIONS),
    )


def _tempo(scores: list[Score]) -> float:
    tempos = [score.tempos[0].qpm for score in scores if len(score.tempos)]
    return median(tempos) if tempos else 120.0


def _numbered(names: list[str]) -> list[str]:
    """Names that stand once, with numbers where instruments come several times."""
    often, seen, result = Counter(names), Counter[str](), []
    for name in names:
        seen[name] += 1
        result.append(f"{name} {seen[name]}" if often[name] > 1 else name)
    return result


def plain_name(text: str) -> str:
    """Return a name as a configuration may hold it: no control characters, and no ``$``, which would refer to a key."""
    return "".join(letter if letter.isprintable() and letter != "$" else "?" for letter in text)


def _quoted(text: str) -> str:
    """Text as YAML takes it whatever stands in it."""
    return "'" + text.replace("'", "''") + "'"

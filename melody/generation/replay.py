"""A take again, from the settings that `melody.write` embedded in its file.

The settings name the primer by its file name and SHA-256, the model by its name and the hash of its step graph. A
primer with this hash is looked for where it is given, beside the file, in the folder above and in the working
directory. Settings that came in a file are a stranger's: their size, types and limits are checked before they act.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from melody.bundle import open_bundle
from melody.bundle.bundle import REWRITER
from melody.errors import MelodyError, UnreadableFile, UsageError
from melody.formats.midi.events import Limits, scan
from melody.formats.midi.metas import OWN_ID, SEQUENCER
from melody.formats.midi.reader import Reading
from melody.formats.reading import byte_limit, read_file
from melody.generation.checks import check_number
from melody.generation.composer import MOST_TAKES, Composer
from melody.generation.settings import settings_from
from melody.generation.take import Take
from melody.senses.sensed import Listening, listening_from
from melody.storage.files import read_bytes

MAX_SETTINGS_BYTES = 1 << 16


@dataclass(frozen=True)
class Replayed:
    """A take that was composed again."""

    take: Take
    composer: Composer
    reading: Reading | None  # of its primer
    source: Mapping[str, Any] | None  # name and hash of the primer's file, as the settings have them
    version: str  # of melody, that composed it first


def replay(file: Path, primer: Path | None = None, model: str | None = None) -> Replayed:
    """Compose the take in a MIDI file again.

    Raises `MelodyError` where it holds no settings, or another primer or model is here than it was made with.
    """
    version, settings = embedded(file)
    composer = composer_of(file, settings, model)
    source = settings["primer"]
    path = find_primer(file, source, primer)
    reading = read_file(path, known=known_of(source)) if path else None
    take = composer.recompose(settings, reading.score if reading else None)
    return Replayed(replace(take, settings=take.settings | {"primer": source}), composer, reading, source, version)


def known_of(source: Mapping[str, Any] | None) -> Listening:
    """Return what was known of a primer that was heard."""
    return listening_from((source or {}).get("known") or {})


def embedded(file: Path) -> tuple[str, dict[str, Any]]:
    """Return the version of melody that wrote a file, and the settings of its take. Raises `UnreadableFile`.

    A take of a take holds both settings; its own are the last.
    """
    metas = scan(read_bytes(file, Limits().file_bytes), str(file), Limits()).tracks[0].metas()
    own = [payload[len(OWN_ID) :] for _, kind, payload in metas if kind == SEQUENCER and payload.startswith(OWN_ID)]
    words = [text.split(b" ", 2) for text in own if text.startswith(b"melody ")]
    if not words or len(words[-1]) < 3:
        raise UnreadableFile(f"{file}: holds no settings of melody; `replay` rebuilds what melody composed and wrote")
    version, text = words[-1][1:]
    try:
        settings = json.loads(text if len(text) <= MAX_SETTINGS_BYTES else b"")
        settings_from(settings)
        known = _knows_its_making(settings)
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError, UsageError):
        known = False
    if not known:
        raise UnreadableFile(f"{file}: its settings are damaged, or of another melody than this; compose it anew")
    return version.decode("ascii", "replace"), settings


def model_of(file: Path) -> str | None:
    """The model that composed a take, if its file tells and it is here."""
    try:
        return open_bundle(str(embedded(file)[1]["model"])).name
    except MelodyError:
        return None


def _knows_its_making(settings: Mapping[str, Any]) -> bool:
    """Return True where all that stands beside the settings proper is there and of its type."""
    source = settings["primer"]
    words = [settings[name] for name in ("model", "step_graph", "engine")]
    words += [] if source is None else [source["name"], source["sha256"]]
    known_of(source)
    check_number("seed", settings["seed"], -(2**63), 2**64)
    check_number("take", settings["take"], 1, MOST_TAKES)
    return all(isinstance(word, str) for word in words)


def find_primer(file: Path, source: Mapping[str, Any] | None, given: Path | None = None) -> Path | None:
    """Return the path of the primer that `source` names; None where there was none. Raises `MelodyError`."""
    if source is None:
        if given:
            raise UsageError(f"{file}: was composed from nothing; leave out {given}")
        return None
    name = Path(source["name"]).name
    if not name:
        if given is None:
            raise MelodyError(f"{file}: composed in Python, from a primer without a name; give the primer too")
        return given
    here = [path for path in _candidates(file, name, given) if path.is_file()]
    for path in here:
        if hashlib.sha256(read_bytes(path, byte_limit(path))).hexdigest() == source["sha256"]:
            return path
    if here:
        raise MelodyError(f"{here[0]}: is not the {name} that {file} was made from; give that one")
    raise MelodyError(f"{given or name}: not found, and {file} was made from it; give the primer too")


def _candidates(file: Path, name: str, given: Path | None) -> Iterator[Path]:
    if given is not None:
        yield given
        return
    folder = file.resolve().parent
    yield from (folder / name, folder.parent / name, Path(name))


def composer_of(file: Path, settings: Mapping[str, Any], model: str | None = None) -> Composer:
    """Return a composer with the model that composed a file. Raises `MelodyError` where another one is here."""
    name = model or Path(settings["model"]).name
    try:
        bundle = open_bundle(name)
    except UnreadableFile:
        raise
    except MelodyError as error:
        raise MelodyError(f"{file}: composed by {name}, which is not here; give its folder as `model`") from error
    graph = bundle.step_graph
    if graph != settings["step_graph"]:
        raise MelodyError(
            f"{file}: composed by another {settings['model']} (step graph {settings['step_graph'][:12]}) than "
            f"{bundle.folder} ({graph[:12]}); give its folder as `model`"
        )
    if settings.get("rewriter", known := bundle.settings["files"].get(REWRITER)) != known:
        raise MelodyError(f"{file}: rewritten by another rewriter than {bundle.folder} has; give its folder as `model`")
    return Composer(bundle, engine=settings["engine"])

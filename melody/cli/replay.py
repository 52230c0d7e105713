"""``melody compose --replay FILE.mid``: the file again, from the settings that `melody.write` embedded in it.

The settings name the primer by its file name and SHA-256, the model by its name and the hash of its step graph. A
primer with this hash is looked for where it is given, beside FILE, in the folder above and in the working directory.
The result is compared with FILE byte for byte, which no other version of melody or of its engine need reach.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from melody.cli.takes import Output, read_primer, refuse_existing, with_source, write_takes
from melody.errors import MelodyError, UnreadableFile, UsageError

if TYPE_CHECKING:
    from melody.generation import Composer

ALLOWED = {"primer", "model", "replay", "out", "soundfont", "as_json", "force"} | {
    *("wav", "flac", "mp3", "png", "musicxml", "svg", "dawproject", "html"),
}
# what they are called on the command line, where names differ
OPTIONS = {"ranges": "range", "tracks": "track", "around": "with", "mapping": "map", "ending": "no-ending"}


def rebuild(file: Path, primer: Path | None, model: str | None, out: Path, output: Output, given: set[str]) -> int:
    """Compose `file` again and write it to `out`; 0 where the bytes are the same, else 1.

    Raises `MelodyError` where it holds no settings, or another primer or model is here than it was made with.
    """
    if others := sorted(given - ALLOWED):
        option = OPTIONS.get(others[0], others[0]).replace("_", "-")
        raise UsageError(f"--replay takes its settings from the file; leave out --{option}")
    version, settings = embedded(file)
    name = out if out.suffix.lower() in (".mid", ".midi") else out / f"{file.stem}-replay.mid"
    refuse_existing(output, [name], [file, primer])
    composer = _composer(file, settings, model)
    source = settings.get("primer")
    path = find_primer(file, source, primer)
    reading = read_primer(output, path)
    take = with_source(composer.recompose(settings, reading.score if reading else None), source)
    before = file.read_bytes()
    written = write_takes(output, [take], [name], reading if source and source["name"] else None)
    same = name.read_bytes() == before
    output.report.line(f"{name}: the same bytes as {file}" if same else f"{name}: {_differs(file, version)}")
    output.report.done(replayed=str(file), identical=same, model=composer.bundle.name, seed=take.seed, **written)
    return 0 if same else 1


def embedded(file: Path) -> tuple[str, dict[str, Any]]:
    """The version of melody that wrote a file, and the settings of its take. Raises `UnreadableFile`.

    A take of a take holds both settings; its own are the last.
    """
    from melody.formats.midi.events import Limits, scan
    from melody.formats.midi.metas import OWN_ID, SEQUENCER
    from melody.generation.settings import settings_from
    from melody.storage.files import read_bytes

    metas = scan(read_bytes(file, Limits().file_bytes), str(file), Limits()).tracks[0].metas()
    own = [payload[len(OWN_ID) :] for _, kind, payload in metas if kind == SEQUENCER and payload.startswith(OWN_ID)]
    words = [text.split(b" ", 2) for text in own if text.startswith(b"melody ")]
    if not words or len(words[-1]) < 3:
        raise UnreadableFile(f"{file}: holds no settings of melody; --replay rebuilds what melody compose wrote")
    try:
        settings = json.loads(words[-1][2])
        settings_from(settings)
        known = _knows_its_making(settings)
    except (ValueError, TypeError, AttributeError, KeyError):
        known = False
    if not known:
        raise UnreadableFile(f"{file}: its settings are damaged, or of another melody than this; compose it anew")
    return words[-1][1].decode(), settings


def _knows_its_making(settings: Mapping[str, Any]) -> bool:
    """Whether all that stands beside the settings proper is there and of its type."""
    source = settings["primer"]
    words = [settings[name] for name in ("model", "step_graph", "engine")]
    words += [] if source is None else [source["name"], source["sha256"]]
    numbers = [settings["seed"], settings["take"]]
    return all(isinstance(w, str) for w in words) and all(isinstance(n, int) for n in numbers) and numbers[1] >= 1


def find_primer(file: Path, source: Mapping[str, str] | None, given: Path | None) -> Path | None:
    """The path of the primer that `source` names; None where there was none. Raises `MelodyError`."""
    if source is None:
        if given:
            raise UsageError(f"{file}: was composed from nothing; leave out {given}")
        return None
    name = Path(source["name"]).name
    if not name:
        if given is None:
            raise MelodyError(f"{file}: composed in Python, from a primer without a name; give it before --replay")
        return given
    here = [path for path in _candidates(file, name, given) if path.is_file()]
    for path in here:
        if hashlib.sha256(path.read_bytes()).hexdigest() == source["sha256"]:
            return path
    if here:
        raise MelodyError(f"{here[0]}: is not the {name} that {file} was made from; give that before --replay")
    raise MelodyError(f"{given or name}: not found, and {file} was made from it; give the primer before --replay")


def _candidates(file: Path, name: str, given: Path | None) -> Iterator[Path]:
    if given is not None:
        yield given
        return
    folder = file.resolve().parent
    yield from (folder / name, folder.parent / name, Path(name))


def _composer(file: Path, settings: Mapping[str, Any], model: str | None) -> "Composer":
    import melody
    from melody.bundle import open_bundle

    name = model or Path(str(settings["model"])).name
    try:
        bundle = open_bundle(name)
    except UnreadableFile:
        raise
    except MelodyError as error:
        raise MelodyError(f"{file}: composed by {name}, which is not here; give its folder with --model") from error
    graph = bundle.settings["files"].get("step.onnx", "")
    if graph != settings["step_graph"]:
        raise MelodyError(
            f"{file}: composed by another {settings['model']} (step graph {settings['step_graph'][:12]}) than "
            f"{bundle.folder} ({graph[:12]}); give its folder with --model"
        )
    return melody.load(bundle.folder, engine=settings["engine"])


def _differs(file: Path, version: str) -> str:
    import melody

    if version != melody.__version__:
        return f"differs from {file}, which melody {version} wrote; this is {melody.__version__}"
    return f"differs from {file}; it was changed since, or made with another engine release"

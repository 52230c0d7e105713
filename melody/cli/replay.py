"""``melody compose --replay FILE.mid``: the file again, byte for byte, from the settings in it.

Another version of melody or of its engine need not reach the same bytes. See `melody.generation.replay`.
"""

from collections.abc import Mapping
from pathlib import Path

from melody.cli.takes import Output, read_primer, refuse_existing, with_source, write_takes
from melody.errors import UsageError
from melody.version import __version__

ALLOWED = {"primer", "model", "replay", "out", "soundfont", "as_json", "force"} | {
    *("wav", "stems", "flac", "mp3", "png", "musicxml", "svg", "dawproject", "html"),
}


def rebuild(
    file: Path, primer: Path | None, model: str | None, out: Path, output: Output, given: Mapping[str, str]
) -> int:
    """Compose `file` again and write it to `out`; 0 where the bytes are the same, else 1.

    Raises `MelodyError` where it holds no settings, or another primer or model is here than it was made with.
    """
    from melody.generation.replay import composer_of, embedded, find_primer, known_of

    if others := [option for name, option in given.items() if name not in ALLOWED]:
        raise UsageError(f"--replay takes its settings from the file; leave out {', '.join(others)}")
    version, settings = embedded(file)
    name = out if out.suffix.lower() in (".mid", ".midi", ".kar") else out / f"{file.stem}-replay.mid"
    refuse_existing(output, [name], [file, primer])
    composer = composer_of(file, settings, model)
    source = settings.get("primer")
    path = find_primer(file, source, primer)
    reading = read_primer(output, path, known_of(source))
    take = with_source(composer.recompose(settings, reading.score if reading else None), source)
    before = file.read_bytes()
    written = write_takes(output, [take], [name], reading if source and source["name"] else None)
    same = name.read_bytes() == before
    output.report.line(f"{name}: the same bytes as {file}" if same else f"{name}: {_differs(file, version)}")
    output.report.done(replayed=str(file), identical=same, model=composer.bundle.name, seed=take.seed, **written)
    return 0 if same else 1


def _differs(file: Path, version: str) -> str:
    if version != __version__:
        return f"differs from {file}, which melody {version} wrote; this is {__version__}"
    return f"differs from {file}; it was changed since, or made with another engine release"

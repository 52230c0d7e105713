"""From takes to files and a report, for ``melody compose`` and its ``--replay``."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from melody.cli.output import Report, in_flags, say
from melody.errors import MelodyError, UsageError
from melody.storage.locks import held

if TYPE_CHECKING:
    from melody.formats.midi import Reading
    from melody.generation import Take
    from melody.senses.sensed import Listening

PAGE = ".html"
HEARD = ("tempo_qpm", "meter")  # options that say of a recording how it was played
STEMS = ".wav"  # where one kind has several files: the sound of tracks beside the whole, or pages


class Interrupted(Exception):
    """Ctrl-C while takes were composed and written; the message says what was kept."""


@dataclass(frozen=True)
class Output:
    """Options of output: the report, the kinds of files next to the MIDI, the SoundFont, and leave to overwrite."""

    report: Report
    extras: Sequence[str]
    soundfont: Path | None
    force: bool
    stems: bool = False  # beside .wav

    @property
    def each(self) -> list[str]:
        """Return the suffixes of the files of each take: all but the page, which shows all takes."""
        return [suffix for suffix in self.extras if suffix != PAGE]

    def page_of(self, names: Sequence[Path]) -> Path | None:
        """Return the path of the page of these takes, if one was asked for: named as the first, without its number."""
        first = names[0]
        return first.with_name(f"{first.stem.removesuffix('-1')}{PAGE}") if PAGE in self.extras else None


def refuse_existing(output: Output, names: Sequence[Path], inputs: Sequence[Path | None] = ()) -> None:
    """Raise `MelodyError`, before anything is composed, where a file is there that may not be overwritten.

    What was given as an input never may. So it is with a page that nothing here can engrave.
    """
    from melody.storage.files import refuse_overwrite

    if ".svg" in output.extras:
        from melody.formats.engraving import require_verovio

        require_verovio()
    given = [path for path in inputs if path and path.exists()]
    targets = [name.with_suffix(suffix) for name in names for suffix in (name.suffix, *output.each)]
    if page := output.page_of(names):
        targets.append(page)
    for path in targets:
        if path.exists() and any(path.samefile(other) for other in given):
            raise MelodyError(f"{path}: is what you gave, and stays as it is; choose another name with --out")
        refuse_overwrite(path, output.force)


def listening(primer: Path | None, options: Mapping[str, Any]) -> "Listening | None":
    """Return what the options say of a primer that is a recording; None for any other primer."""
    from melody.cli.options import asked
    from melody.senses.recording import begins_as_recording
    from melody.senses.sensed import Listening

    if primer is None or not begins_as_recording(primer):
        if options["polyphonic"] is not None:
            raise UsageError("`polyphonic` and `monophonic` are for recordings; leave them out")
        return None
    settings = asked({name: options[name] for name in HEARD})
    return Listening(settings.tempo_qpm, settings.meter, options["polyphonic"])


def read_primer(output: Output, primer: Path | None, known: "Listening | None" = None) -> "Reading | None":
    """Read the primer; the report tells what was mended, left out or guessed."""
    if primer is None:
        return None
    from melody.formats.reading import read_file
    from melody.senses.sensed import Listening

    reading = read_file(primer, known=known or Listening())
    output.report.remarks(primer, reading)
    return reading


def source_of(primer: Path | None, known: "Listening | None" = None) -> dict[str, Any] | None:
    """A primer's name (no folder: bytes must not depend on where one works) and the SHA-256 of its bytes.

    Of a recording, what was known of it too.
    """
    if primer is None:
        return None
    source: dict[str, Any] = {"name": primer.name, "sha256": hashlib.sha256(primer.read_bytes()).hexdigest()}
    return source | ({"known": known.to_dict()} if known and known.to_dict() else {})


def with_source(take: "Take", source: dict[str, Any] | None) -> "Take":
    """The take, whose settings name the file of its primer."""
    return replace(take, settings=take.settings | {"primer": source})


def write_takes(
    output: Output, takes: "Iterable[Take]", names: Sequence[Path], reading: "Reading | None"
) -> dict[str, Any]:
    """Write takes and what else is asked for, tell people of it, and give programs' part of the report.

    Takes that come one by one are written as they come. Raises `Interrupted` where Ctrl-C ends that.
    """
    from melody.formats.midi import cautions

    messages: list[str] = []
    described: list[dict[str, Any]] = []
    shown: list[Take] = []
    page = output.page_of(names)
    alone = ExitStack()
    try:
        for number, (take, name) in enumerate(zip(takes, names, strict=True)):
            if not number:
                alone.enter_context(_alone(names[0]))
                messages = [*map(in_flags, take.messages), *cautions(take.score, reading.texts if reading else ())]
                for message in [*_places(take), *messages]:
                    output.report.line(message)
            files = write_take(output, take, name, reading)
            described.append({"files": files, **take.to_dict()})
            output.report.line(_line_of(take, files))
            if page:
                shown.append(take)
        if page:
            messages += _write_page(output, page, shown, names)
    except KeyboardInterrupt:
        kept = f"kept {len(described)} of {len(names)} takes" if described else "no take was finished"
        raise Interrupted(f"interrupted; {kept}") from None
    finally:
        alone.close()
    output.report.data.setdefault("repairs", [])
    report = {"messages": messages, "takes": described}
    return report | ({"html": str(page)} if page else {})


def _alone(first: Path) -> AbstractContextManager[None]:
    """Keep other processes from writing takes of this name until all files of ours are there."""
    name = first.with_name(re.sub(r"-\d+$", "", first.stem))
    return held(name, lambda: say(f"waiting for another melody that writes {name}"))


def _write_page(output: Output, page: Path, takes: "Sequence[Take]", names: Sequence[Path]) -> list[str]:
    """Write the page of all takes, and tell of it; what had to be left out, a line each."""
    from melody.generation.take_page import panel, subtitle
    from melody.render.player import write_page

    panels = [panel(take, name.stem, name.read_bytes()) for take, name in zip(takes, names, strict=True)]
    left_out = write_page(panels, page, subtitle(takes[0]), output.soundfont, output.force)
    for line in [*left_out, str(page)]:
        output.report.line(line)
    return left_out


def write_take(output: Output, take: "Take", name: Path, reading: "Reading | None") -> dict[str, str]:
    """Write a take as MIDI and what else is asked for; the path of each by its kind."""
    from melody.generation.take_files import Writing, write_piece

    title = reading.title if reading and not take.settings["only_new"] else ""
    midi = Writing(take, name, title, given=reading, soundfont=output.soundfont, force=output.force, stems=output.stems)
    files = {"midi": str(write_piece(midi).paths[0])}
    for suffix in output.each:
        more = replace(midi, path=name.with_suffix(suffix), title=midi.headline)
        whole, *others = map(str, write_piece(more).paths)
        part, first = ("stem", 1) if suffix == STEMS else ("page", 2)
        files[suffix[1:]] = whole
        files |= {f"{suffix[1:]}-{part}{number}": path for number, path in enumerate(others, first)}
    return files


def _places(take: "Take") -> list[str]:
    """Return a line for each track that the model has under another name."""
    from melody.generation.ranges import listed

    verb = "heard" if take.settings.get("add") else "goes on"
    return [f"{track}: {verb} as {listed(places)}" for track, places in take.places if (track,) != places]


def _line_of(take: "Take", files: dict[str, str]) -> str:
    key = f"{take.key}, " if take.key else ""
    line = f"{'  '.join(files.values())}  {take.notes} notes, {key}{take.nats_per_note:.2f} nats a note"
    if take.in_training is not None:
        line += f", {take.in_training:.1%} in training"
    if take.chord_tones is not None:
        line += f", {take.chord_tones:.0%} chord tones"
    if take.breaches is None:
        return line
    return f"{line}, {take.breaches}, candidate {take.candidate} of {take.candidates}"

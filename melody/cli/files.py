"""``melody inspect``, ``check`` and ``render``: commands on one file."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from melody.cli import options as o
from melody.cli.output import Report
from melody.cli.takes import listening
from melody.errors import LimitExceeded, MelodyError, UsageError
from melody.storage.display import shown

if TYPE_CHECKING:
    from melody.formats.midi import Reading
    from melody.music.score import Score
    from melody.senses.sensed import Listening


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(inspect)
    app.command()(check)
    app.command()(render)


def inspect(
    file: Annotated[Path, typer.Argument(help=f"{o.MUSIC_FILE}.")],
    model: Annotated[str | None, typer.Option(help="Also show how surprising each bar is to this model.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Of a recording: draw the notes over the pitch that was heard, in a .png.")
    ] = None,
    tempo_qpm: o.Tempo = None,
    meter: o.Meter = None,
    polyphonic: o.Polyphonic = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")] = False,
    as_json: o.Json = False,
) -> None:
    """Show what melody reads in FILE: tracks, bars, meters, tempos, key, and what had to be mended or left out.

    Example: melody inspect song.mid --model pop
    """
    from melody.formats.reading import read_file
    from melody.music.key import estimate_key
    from melody.music.score import bars, note_count
    from melody.senses.sensed import Listening

    report = Report(as_json)
    known = listening(file, {"tempo_qpm": tempo_qpm, "meter": meter, "polyphonic": polyphonic})
    if out is not None:
        _draw_heard(file, known, out, force)
    reading = read_file(file, known=known or Listening())
    report.remarks(file, reading)
    score = reading.score
    summary: dict[str, Any] = {
        "file": str(file),
        "notes": note_count(score),
        "bars": len(bars(score)) - 1,
        "ticks_per_quarter": score.tpq,
        "meters": [f"{m.numerator}/{m.denominator}" for m in score.time_signatures],
        "tempos_qpm": [round(t.qpm, 2) for t in score.tempos],
        "key": estimate_key(score).name if note_count(score) else "none",
        "tokens": _token_count(score),
    }
    for name, value in summary.items():
        text = (
            ", ".join(map(str, value[:12])) + (" ..." if len(value) > 12 else "") if isinstance(value, list) else value
        )
        report.line(f"{name.replace('_', ' '):18} {text if text != '' else '-'}")
    tracks = _tracks(reading)
    report.line("")
    report.table(tracks)
    surprise = _surprise(reading, model) if model else []
    if surprise:
        report.line("")
        report.table(surprise, {"nats per note": "{:.2f}".format})
    if out is not None:
        report.line(f"{out}")
    report.done(**summary, tracks=tracks, surprise=surprise)


def check(file: Annotated[Path, typer.Argument(help="MIDI file.")], as_json: o.Json = False) -> int:
    """Check that a MIDI FILE opens as meant in every DAW; exit code 1 where a rule is broken.

    Example: melody check take.mid
    """
    from melody.formats.midi import check as breaches_of
    from melody.formats.midi.check import CAUTIONS
    from melody.formats.midi.events import Limits
    from melody.formats.midi.reader import parse
    from melody.storage.files import read_bytes

    report = Report(as_json)
    data = read_bytes(file, Limits().file_bytes)
    found = breaches_of(data, str(file), cautions=True)
    with suppress(MelodyError):  # what cannot be read has been said
        report.remarks(file, parse(data, str(file)))
    for finding in found:
        caution = "caution: " if finding.rule in CAUTIONS else ""
        report.line(f"{file}: {finding.place}: {caution}{finding.rule}: {finding.explanation}")
    breaches = [finding for finding in found if finding.rule not in CAUTIONS]
    report.line(f"{file}: {len(breaches) or 'no'} rule{'' if len(breaches) == 1 else 's'} broken")
    cautions = [finding._asdict() for finding in found if finding.rule in CAUTIONS]
    report.done(file=str(file), breaches=[breach._asdict() for breach in breaches], cautions=cautions)
    return 1 if breaches else 0


def render(
    file: Annotated[Path, typer.Argument(help=f"{o.MUSIC_FILE}.")],
    out: Annotated[
        Path | None, typer.Option(help="File to write: .wav, .flac, .mp3, .ogg, .png or .html. Default: FILE.wav.")
    ] = None,
    soundfont: Annotated[Path | None, typer.Option(help="SoundFont (.sf2, .sf3) for the sound.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")] = False,
    as_json: o.Json = False,
) -> None:
    """Write FILE as sound, as a piano roll (--out ends in .png), or as a page that plays it (.html).

    Example: melody render take.mid --out take.flac
    """
    from melody.formats.reading import read_file
    from melody.generation.take_files import RENDERED, Writing, write_piece

    report = Report(as_json)
    path = out or file.with_suffix(".wav")
    if path.suffix.lower() not in RENDERED:
        raise UsageError(f"{path}: nothing of that suffix can be rendered; end the name in {', '.join(RENDERED)}")
    reading = read_file(file)
    report.remarks(file, reading)
    writing = Writing(reading.score, path, title=shown(file.stem), source=file.name, soundfont=soundfont, force=force)
    written = write_piece(writing)
    for line in [*written.left_out, *map(str, written.paths)]:
        report.line(line)
    report.done(file=str(path), left_out=written.left_out)


def _draw_heard(file: Path, known: "Listening | None", out: Path, force: bool) -> None:
    """Draw what is heard in a recording."""
    from melody.formats.reading import byte_limit
    from melody.render.heard import draw_heard
    from melody.senses.hearing import hear
    from melody.storage.files import read_bytes

    if known is None:
        raise UsageError(f"{file}: no recording, so there is no pitch to draw; melody render draws its notes")
    if out.suffix.lower() != ".png":
        raise UsageError(f"{out}: the pitch is drawn as a picture; end the name in .png")
    draw_heard(hear(read_bytes(file, byte_limit(file)), str(file), known), out, shown(file.name), force)


def _tracks(reading: "Reading") -> list[dict[str, Any]]:
    from melody.music.roles import roles_of
    from melody.music.score import notes_of

    rows = []
    for number, (track, found) in enumerate(zip(reading.score.tracks, roles_of(reading.score), strict=True), 1):
        pitch = notes_of(track).pitch
        span = f"{pitch.min()}-{pitch.max()}" if len(pitch) else "-"
        program = "drums" if track.is_drum else str(track.program)
        row = {"track": number, "name": track.name, "role": found.role, "program": program}
        rows.append({**row, "notes": len(pitch), "pitches": span})
    return rows


def _token_count(score: "Score") -> int | str:
    """Return how many tokens a score takes, or why it is beyond what tokens can say."""
    from melody.tokens import EventTokenizer

    try:
        return len(EventTokenizer().encode(score))
    except LimitExceeded as error:
        return f"none: {error}"


def _surprise(reading: "Reading", model: str) -> list[dict[str, Any]]:
    from melody.bundle import open_bundle
    from melody.engine import open_engine
    from melody.evaluation.likelihood import nats_per_bar

    bundle = open_bundle(model)
    return nats_per_bar(reading.score, bundle, open_engine(bundle))

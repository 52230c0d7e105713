"""``melody compose``: continue a primer, or start from nothing."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from melody.cli.output import Report
from melody.errors import UsageError

if TYPE_CHECKING:
    from melody.generation import Take
    from melody.midi import Reading

EXAMPLES = """
Examples:

  melody compose --bars 16 --wav                           a piece from nothing, with sound

  melody compose theme.mid --bars 16 --takes 4 --seed 7    four continuations of your theme

  melody compose theme.mid --key "E minor" --only-new --out ideas/
"""
MUSIC, DECODING, CONTROL, OUTPUT = "The music", "Decoding", "Control", "Output"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXAMPLES)(compose)


def compose(
    primer: Annotated[
        Path | None, typer.Argument(help="MIDI, MusicXML or ABC to continue; without it, from nothing.")
    ] = None,
    model: Annotated[str, typer.Option(help="A shipped model's name or a folder.", rich_help_panel=MUSIC)] = "chorale",
    bars: Annotated[int, typer.Option(help="New bars: exactly as many.", rich_help_panel=MUSIC)] = 8,
    takes: Annotated[int, typer.Option(help="Different continuations.", rich_help_panel=MUSIC)] = 1,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same bytes.", rich_help_panel=MUSIC)] = None,
    temperature: Annotated[float, typer.Option(help="Below 1 safer, above 1 wilder.", rich_help_panel=DECODING)] = 1.0,
    top_k: Annotated[int, typer.Option(help="Only the K likeliest tokens; 0: off.", rich_help_panel=DECODING)] = 0,
    top_p: Annotated[float, typer.Option(help="Only the likeliest with this mass.", rich_help_panel=DECODING)] = 0.95,
    min_p: Annotated[float, typer.Option(help="Only this share of the likeliest.", rich_help_panel=DECODING)] = 0.0,
    greedy: Annotated[
        bool, typer.Option("--greedy", help="Always the likeliest token.", rich_help_panel=DECODING)
    ] = False,
    beam_width: Annotated[
        int, typer.Option(help="Beam search of this width; 0: sample.", rich_help_panel=DECODING)
    ] = 0,
    length_penalty: Annotated[
        float, typer.Option(help="Of beam search; above 0 favours more notes.", rich_help_panel=DECODING)
    ] = 0.0,
    key: Annotated[
        str | None, typer.Option(help='Steer new music to a key, as "E minor".', rich_help_panel=CONTROL)
    ] = None,
    tempo: Annotated[
        float | None, typer.Option(help="Quarters a minute of the new part.", rich_help_panel=CONTROL)
    ] = None,
    meter: Annotated[str | None, typer.Option(help="Meter of the new part, as 3/4.", rich_help_panel=CONTROL)] = None,
    ending: Annotated[
        bool, typer.Option("--ending/--no-ending", help="Whether the last bar closes.", rich_help_panel=CONTROL)
    ] = True,
    only_new: Annotated[
        bool, typer.Option("--only-new", help="Write the new part alone.", rich_help_panel=CONTROL)
    ] = False,
    out: Annotated[Path, typer.Option(help="A file (.mid) or a folder.", rich_help_panel=OUTPUT)] = Path("outputs"),
    wav: Annotated[bool, typer.Option("--wav", help="Also as sound.", rich_help_panel=OUTPUT)] = False,
    flac: Annotated[bool, typer.Option("--flac", help="Also as FLAC.", rich_help_panel=OUTPUT)] = False,
    mp3: Annotated[bool, typer.Option("--mp3", help="Also as MP3.", rich_help_panel=OUTPUT)] = False,
    png: Annotated[bool, typer.Option("--png", help="Also a piano roll.", rich_help_panel=OUTPUT)] = False,
    soundfont: Annotated[Path | None, typer.Option(help="SoundFont of the sound.", rich_help_panel=OUTPUT)] = None,
    engine: Annotated[str, typer.Option(help="onnx, or torch as the reference.", rich_help_panel=OUTPUT)] = "onnx",
    as_json: Annotated[bool, typer.Option("--json", help="A report for programs.", rich_help_panel=OUTPUT)] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files.", rich_help_panel=OUTPUT)] = False,
) -> None:
    """Continue PRIMER, or start from nothing.

    What you give goes to the output as it came. New music begins on the bar line after it and has exactly the bars
    you ask for.
    """
    import secrets

    import melody
    from melody.midi import cautions

    report = Report(as_json)
    seed = secrets.randbelow(2**31) if seed is None else seed
    extras = [suffix for suffix, wanted in ((".wav", wav), (".flac", flac), (".mp3", mp3), (".png", png)) if wanted]
    names = names_of_takes(out, primer.stem if primer else Path(model).name, seed, takes)
    _refuse_existing([name.with_suffix(suffix) for name in names for suffix in (".mid", *extras)], force)
    reading = _read(primer)
    repairs = reading.repairs if reading else ()
    for repair in repairs:
        report.line(f"{primer}: repaired: {repair}")
    decoding = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p, "greedy": greedy}
    search = {"beam_width": beam_width, "length_penalty": length_penalty}
    control = {"key": key, "tempo_qpm": tempo, "meter": parse_meter(meter), "ending": ending, "only_new": only_new}
    composer = melody.load(model, engine=engine)
    composed = composer.compose(
        reading.score if reading else None, bars=bars, takes=takes, seed=seed, **decoding, **search, **control
    )
    messages = [*composed[0].messages, *cautions(composed[0].score)]
    for message in messages:
        report.line(message)
    written = []
    for take, name in zip(composed, names, strict=True):
        files = write_take(take, name, reading, extras, soundfont, force)
        written.append(_described(take, files))
        report.line(_line_of(take, files))
    report.line(f"model {composer.bundle.name}, seed {seed}")
    report.done(model=composer.bundle.name, seed=seed, repairs=list(repairs), messages=messages, takes=written)


def names_of_takes(out: Path, stem: str, seed: int, takes: int) -> list[Path]:
    """The MIDI file of each take: `out` itself where it names a file, numbered where there are several."""
    if out.suffix.lower() in (".mid", ".midi"):
        return [out] if takes == 1 else [out.with_name(f"{out.stem}-{n}{out.suffix}") for n in range(1, takes + 1)]
    if out.suffix and not out.is_dir():
        raise UsageError(f"--out {out}: give a .mid file or a folder; --wav, --flac, --mp3 and --png write beside it")
    return [out / f"{stem}-{seed}-{number}.mid" for number in range(1, takes + 1)]


def parse_meter(text: str | None) -> tuple[int, int] | None:
    """3/4 as (3, 4)."""
    if text is None:
        return None
    match = re.fullmatch(r"\s*(\d{1,3})/(\d{1,2})\s*", text)
    if not match:
        raise UsageError(f"--meter {text}: write it as 3/4")
    return int(match[1]), int(match[2])


def write_take(
    take: "Take", name: Path, reading: "Reading | None", extras: list[str], soundfont: Path | None, force: bool
) -> dict[str, str]:
    """Write a take as MIDI and what else is asked for; the path of each by its kind."""
    import melody

    title, texts = (reading.title, reading.texts) if reading and not take.settings["only_new"] else ("", ())
    files = {"midi": str(melody.write(take, name, title=title, texts=texts, force=force))}
    for suffix in extras:
        path = name.with_suffix(suffix)
        if suffix == ".png":
            from melody.render.pianoroll import draw

            draw(take.score, path, primer_ticks=take.first_new_tick, title=name.stem, force=force)
        else:
            melody.render(take, path, soundfont=soundfont, force=force)
        files[suffix[1:]] = str(path)
    return files


def _read(primer: Path | None) -> "Reading | None":
    if primer is None:
        return None
    from melody.reading import load

    return load(primer)


def _refuse_existing(paths: list[Path], force: bool) -> None:
    from melody.files import refuse_overwrite

    for path in paths:
        refuse_overwrite(path, force)


def _described(take: "Take", files: dict[str, str]) -> dict[str, Any]:
    return {
        "files": files,
        "take": take.number,
        "notes": take.notes,
        "key": take.key,
        "nats_per_note": round(take.nats_per_note, 4),
    }


def _line_of(take: "Take", files: dict[str, str]) -> str:
    return f"{'  '.join(files.values())}  {take.notes} notes, {take.key}, {take.nats_per_note:.2f} nats a note"

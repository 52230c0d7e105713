"""``melody compose``: continue a primer, or start from nothing."""

import re
from pathlib import Path
from typing import Annotated

import typer

from melody.cli.output import Report
from melody.cli.replay import rebuild
from melody.cli.takes import Output, read_primer, refuse_existing, source_of, with_source, write_takes
from melody.errors import UsageError

EXAMPLES = """
Examples:

  melody compose --bars 16 --wav                           a piece from nothing, with sound

  melody compose theme.mid --bars 16 --takes 4 --seed 7    four continuations of your theme

  melody compose theme.mid --key "E minor" --only-new --out ideas/

  melody compose --key "D minor" --strict-key --range Soprano=D4:G5 --range Bass=40:62

  melody compose theme.mid --max-copy-bars 2               no longer quotations of what the model learned

  melody compose theme.mid --takes 2 --best-of 8 --by rules    two, each the best of eight

  melody compose --replay outputs/theme-7-1.mid            the same file, byte for byte
"""
MUSIC, DECODING, CONTROL, OUTPUT = "The music", "Decoding", "Control", "Output"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXAMPLES)(compose)


def compose(
    context: typer.Context,
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
    stochastic: Annotated[
        bool,
        typer.Option("--stochastic", help="The beam draws: no two takes are alike.", rich_help_panel=DECODING),
    ] = False,
    best_of: Annotated[
        int, typer.Option(help="Draw N for each take and keep the best.", metavar="N", rich_help_panel=DECODING)
    ] = 1,
    by: Annotated[
        str,
        typer.Option(
            help="What is best: likelihood (nats a note), rules (voice leading, ranges, ending) or both.",
            rich_help_panel=DECODING,
        ),
    ] = "both",
    key: Annotated[
        str | None, typer.Option(help='Steer new music to a key, as "E minor".', rich_help_panel=CONTROL)
    ] = None,
    strict_key: Annotated[
        bool,
        typer.Option(
            "--strict-key",
            help="No new pitch outside the scale of --key, or of the primer's last key; minor with both its sixths "
            "and sevenths. Drums are free.",
            rich_help_panel=CONTROL,
        ),
    ] = False,
    ranges: Annotated[
        list[str] | None,
        typer.Option(
            "--range",
            help="No new note of a track outside LOW:HIGH, as Soprano=C4:A5 or 1=60:81: its name or number, pitches as "
            "names (C4 is 60) or numbers. Repeat for other tracks.",
            metavar="TRACK=LOW:HIGH",
            rich_help_panel=CONTROL,
        ),
    ] = None,
    max_polyphony: Annotated[
        int | None,
        typer.Option(
            help="At most N new notes at once in each pitched track; 1: single lines.",
            metavar="N",
            rich_help_panel=CONTROL,
        ),
    ] = None,
    style_rules: Annotated[
        bool,
        typer.Option(
            "--style-rules/--no-style-rules",
            help="Hold the music to the rules of the model's style, as no parallel fifths in chorales.",
            rich_help_panel=CONTROL,
        ),
    ] = True,
    max_copy_bars: Annotated[
        float | None,
        typer.Option(
            help="No new voice copies more than N bars of a training piece, in whatever key; where one would, it is "
            "drawn again from a bar line before.",
            metavar="N",
            rich_help_panel=CONTROL,
        ),
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
    replay: Annotated[
        Path | None,
        typer.Option(
            help="Compose FILE again from the settings in it; its primer is looked for beside it, and here.",
            metavar="FILE",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="A file (.mid) or a folder.", rich_help_panel=OUTPUT)] = Path("outputs"),
    wav: Annotated[bool, typer.Option("--wav", help="Also as sound.", rich_help_panel=OUTPUT)] = False,
    flac: Annotated[bool, typer.Option("--flac", help="Also as FLAC.", rich_help_panel=OUTPUT)] = False,
    mp3: Annotated[bool, typer.Option("--mp3", help="Also as MP3.", rich_help_panel=OUTPUT)] = False,
    png: Annotated[bool, typer.Option("--png", help="Also a piano roll.", rich_help_panel=OUTPUT)] = False,
    soundfont: Annotated[Path | None, typer.Option(help="SoundFont of the sound.", rich_help_panel=OUTPUT)] = None,
    engine: Annotated[str, typer.Option(help="onnx, or torch as the reference.", rich_help_panel=OUTPUT)] = "onnx",
    as_json: Annotated[bool, typer.Option("--json", help="A report for programs.", rich_help_panel=OUTPUT)] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files.", rich_help_panel=OUTPUT)] = False,
) -> int:
    """Continue PRIMER, or start from nothing.

    What you give goes to the output as it came. New music begins on the bar line after it and has exactly the bars
    you ask for.
    """
    import secrets

    import melody
    from melody.generation.ranges import parse_ranges

    report = Report(as_json)
    extras = [suffix for suffix, wanted in ((".wav", wav), (".flac", flac), (".mp3", mp3), (".png", png)) if wanted]
    output = Output(report, extras, soundfont, force)
    if replay:
        given = _given(context)
        return rebuild(replay, primer, model if "model" in given else None, out, output, given)
    seed = secrets.randbelow(2**31) if seed is None else seed
    names = names_of_takes(out, primer.stem if primer else Path(model).name, seed, takes)
    refuse_existing(output, names)
    reading = read_primer(output, primer)
    decoding = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p, "greedy": greedy}
    search = {"beam_width": beam_width, "length_penalty": length_penalty, "stochastic": stochastic}
    choice = {"best_of": best_of, "by": by}
    control = {"key": key, "tempo_qpm": tempo, "meter": parse_meter(meter), "ending": ending, "only_new": only_new}
    limits = {
        "strict_key": strict_key,
        "ranges": parse_ranges(ranges or []),
        "max_polyphony": max_polyphony,
        "max_copy_bars": max_copy_bars,
        "style_rules": style_rules,
    }
    composer = melody.load(model, engine=engine)
    options = {**decoding, **search, **choice, **control, **limits}
    composed = composer.compose(reading.score if reading else None, bars=bars, takes=takes, seed=seed, **options)
    source = source_of(primer)
    written = write_takes(output, [with_source(take, source) for take in composed], names, reading)
    report.line(f"model {composer.bundle.name}, seed {seed}")
    report.done(model=composer.bundle.name, seed=seed, **written)
    return 0


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


def _given(context: typer.Context) -> set[str]:
    """The names of the options that stand on the command line."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"}

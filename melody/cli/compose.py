"""``melody compose``: continue a primer, or start from nothing."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from melody.cli.output import Report
from melody.cli.replay import rebuild
from melody.cli.takes import Output, read_primer, refuse_existing, source_of, with_source, write_takes
from melody.errors import UsageError

if TYPE_CHECKING:
    from melody.generation import Take
    from melody.music.score import Score

EXAMPLES = """
From nothing, or on from a theme:

  melody compose --bars 16 --wav                           a piece from nothing, with sound

  melody compose theme.mid --bars 16 --takes 4 --seed 7    four continuations of your theme

  melody compose theme.mid --only-new --follow             the new part alone; its bars as they come

  melody compose song.mid --model pop --map Lead=Melody    as pop; the track Lead goes on as its melody

Around what is there:

  melody compose tune.mid --with Soprano                   harmonise: the other voices around a tune

  melody compose theme.mid --fill 5-8 --track Alto         those bars of that track anew, all else as it is

  melody compose theme.mid --keep rhythm                   the rhythm again, with new pitches

What is asked for holds:

  melody compose --chords "Am F | C G7/B" --density low    two chords a bar, over again

  melody compose theme.mid --key "E minor" --strict-key --meter 3/4 --tempo 90

  melody compose --range Soprano=D4:G5 --range Bass=40:62 --max-polyphony 1 --no-repeat 6

  melody compose theme.mid --max-copy-bars 2               no longer quotations of what the model learned

Search, and the same again:

  melody compose theme.mid --takes 2 --best-of 8 --by rules    two, each the best of eight

  melody compose --beam-width 8 --stochastic --takes 4     four of eight beams, no two alike

  melody compose --replay outputs/theme-7-1.mid            the same file, byte for byte
"""
FROM_NOTHING = "chorale"  # the model without a primer
MUSIC, AROUND, CONTROL = "The music", "Around what is there", "Control"
DECODING, OUTPUT = "Decoding", "Output"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXAMPLES)(compose)


def compose(
    context: typer.Context,
    primer: Annotated[
        Path | None, typer.Argument(help="MIDI, MusicXML or ABC to continue; without it, from nothing.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="A shipped model's name or a folder; else the shipped one that suits PRIMER's tracks best, or "
            f"{FROM_NOTHING} from nothing.",
            rich_help_panel=MUSIC,
        ),
    ] = None,
    bars: Annotated[
        int | None,
        typer.Option(
            help="New bars: exactly as many; 8, or what there is to be composed around.", rich_help_panel=MUSIC
        ),
    ] = None,
    takes: Annotated[int, typer.Option(help="Different continuations.", rich_help_panel=MUSIC)] = 1,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same bytes.", rich_help_panel=MUSIC)] = None,
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            help="This track goes to that one of the model's, as Lead=Soprano or 2=Piano (names or numbers); else by "
            "range, fullness and name. Repeat for other tracks, or for one that is read as several voices.",
            metavar="TRACK=MODELTRACK",
            rich_help_panel=MUSIC,
        ),
    ] = None,
    around: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            help="This track (name or number) goes on where the others end: they are composed around it. Repeatable.",
            metavar="TRACK",
            rich_help_panel=AROUND,
        ),
    ] = None,
    fill: Annotated[
        str | None,
        typer.Option(
            help="Compose these bars anew, between what stands before and after them; the best of 4 by what follows.",
            metavar="FIRST-LAST",
            rich_help_panel=AROUND,
        ),
    ] = None,
    tracks: Annotated[
        list[str] | None,
        typer.Option("--track", help="Fill this track alone. Repeatable.", metavar="TRACK", rich_help_panel=AROUND),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            help="The new bars keep the rhythm of the primer's (new pitches), or its pitches (a new rhythm).",
            metavar="rhythm|pitches",
            rich_help_panel=AROUND,
        ),
    ] = None,
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
        int | None,
        typer.Option(
            help="Draw N for each take and keep the best; default 1, to fill 4.", metavar="N", rich_help_panel=DECODING
        ),
    ] = None,
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
    chords: Annotated[
        str | None,
        typer.Option(
            help="Chords of the new part, a bar each or as many as stand between bar lines (|), over again; else those "
            "in the primer's markers.",
            metavar='"Am F | C G"',
            rich_help_panel=CONTROL,
        ),
    ] = None,
    strict_chords: Annotated[
        bool,
        typer.Option(
            "--strict-chords/--loose-chords",
            help="Whether every note that begins on a strong beat, or with a chord, belongs to it; loose: as the model "
            "likes, about seven in ten.",
            rich_help_panel=CONTROL,
        ),
    ] = True,
    density: Annotated[
        str | None,
        typer.Option(
            help="Onsets in each bar, by thirds of the model's training music.",
            metavar="low|medium|high",
            rich_help_panel=CONTROL,
        ),
    ] = None,
    style: Annotated[
        str | None,
        typer.Option(help="Of a model that learned several: which one.", metavar="NAME", rich_help_panel=CONTROL),
    ] = None,
    no_repeat: Annotated[
        int | None,
        typer.Option(
            help="No track writes N notes in a row that stand among its last 128.", metavar="N", rich_help_panel=CONTROL
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
    form: Annotated[
        str | None, typer.Option(help="Sections of the piece, as AABA; or as-primer.", rich_help_panel=CONTROL)
    ] = None,
    section: Annotated[int, typer.Option(help="Bars of each section.", rich_help_panel=CONTROL)] = 8,
    follow: Annotated[
        bool, typer.Option("--follow", help="Print the bars of a take as they are composed.", rich_help_panel=OUTPUT)
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
    musicxml: Annotated[
        bool, typer.Option("--musicxml", help="Also as MusicXML, for notation programs.", rich_help_panel=OUTPUT)
    ] = False,
    svg: Annotated[
        bool, typer.Option("--svg", help="Also as engraved pages; needs melody\\[notation].", rich_help_panel=OUTPUT)
    ] = False,
    dawproject: Annotated[
        bool,
        typer.Option("--dawproject", help="Also as a project for Bitwig, Studio One, Cubase.", rich_help_panel=OUTPUT),
    ] = False,
    html: Annotated[
        bool,
        typer.Option("--html", help="Also one page to listen to all takes and look at them.", rich_help_panel=OUTPUT),
    ] = False,
    soundfont: Annotated[Path | None, typer.Option(help="SoundFont of the sound.", rich_help_panel=OUTPUT)] = None,
    engine: Annotated[str, typer.Option(help="onnx, or torch as the reference.", rich_help_panel=OUTPUT)] = "onnx",
    as_json: Annotated[bool, typer.Option("--json", help="A report for programs.", rich_help_panel=OUTPUT)] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files.", rich_help_panel=OUTPUT)] = False,
) -> int:
    """Continue PRIMER, compose around it or within it, or start from nothing.

    What you give goes to the output as it came; new music has exactly the bars you ask for.
    """
    import secrets

    import melody
    from melody.cli.follow import followed
    from melody.generation.composer import check_takes
    from melody.generation.primer.assignment import parse_mapping
    from melody.generation.ranges import parse_ranges
    from melody.generation.settings import settings_of

    report = Report(as_json)
    sound, sight = {".wav": wav, ".flac": flac, ".mp3": mp3}, {".png": png, ".musicxml": musicxml, ".svg": svg}
    extras = [
        suffix for suffix, wanted in (sound | sight | {".dawproject": dawproject, ".html": html}).items() if wanted
    ]
    output = Output(report, extras, soundfont, force)
    if replay:
        given = _given(context)
        return rebuild(replay, primer, model, out, output, given)
    check_takes(takes)
    seed = secrets.randbelow(2**31) if seed is None else seed
    names = names_of_takes(out, primer.stem if primer else Path(model or FROM_NOTHING).name, seed, takes)
    refuse_existing(output, names, [primer])
    reading = read_primer(output, primer)
    decoding = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p, "greedy": greedy}
    search = {"beam_width": beam_width, "length_penalty": length_penalty, "stochastic": stochastic}
    choice = {"best_of": best_of, "by": by}
    control = {"key": key, "tempo_qpm": tempo, "meter": parse_meter(meter), "ending": ending, "only_new": only_new}
    control |= {"form": form, "section": section}
    harmony = {"chords": chords, "strict_chords": strict_chords, "strict_key": strict_key}
    limits = {
        "ranges": parse_ranges(ranges or []),
        "max_polyphony": max_polyphony,
        "density": density,
        "style": style,
        "no_repeat": no_repeat,
        "max_copy_bars": max_copy_bars,
        "style_rules": style_rules,
    }
    task = {"fill": parse_bars(fill), "tracks": tuple(tracks or ()), "with_tracks": tuple(around or ()), "keep": keep}
    theme = reading.score if reading else None
    places = {"mapping": parse_mapping(mapping or [])}
    name, reason = chosen(model, theme, around or (), places["mapping"])
    if reason:
        report.line(f"model {name.name}: {reason}")
    composer = melody.load(name, engine=engine)
    options = {"bars": bars, **places, **decoding, **search, **choice, **control, **harmony, **limits, **task}
    settings = settings_of(options)
    if follow:
        composed: Iterable[Take] = [followed(composer, theme, report, takes, seed, settings)]
    else:
        composed = composer.each(theme, settings, takes=takes, seed=seed)
    source = source_of(primer)
    written = write_takes(output, (with_source(take, source) for take in composed), names, reading)
    report.line(f"model {composer.bundle.name}, seed {seed}")
    report.done(model=composer.bundle.name, model_reason=reason, seed=seed, **written)
    return 0


def chosen(
    model: str | None,
    theme: "Score | None",
    around: Sequence[str] = (),
    mapping: Mapping[str, tuple[str, ...]] | None = None,
) -> tuple[Path, str]:
    """The model named, or the shipped one that suits a theme, and why that one."""
    from melody.generation.model_choice import choose, shipped

    if model or theme is None:
        return Path(model or FROM_NOTHING), ""
    choice = choose(theme, shipped(), around, mapping)
    return choice.bundle.folder, choice.reason


def names_of_takes(out: Path, stem: str, seed: int, takes: int) -> list[Path]:
    """The MIDI file of each take: `out` itself where it names a file, numbered where there are several."""
    if out.suffix.lower() in (".mid", ".midi"):
        return [out] if takes == 1 else [out.with_name(f"{out.stem}-{n}{out.suffix}") for n in range(1, takes + 1)]
    if out.suffix and not out.is_dir():
        raise UsageError(
            f"--out {out}: give a .mid file or a folder; --wav, --png, --musicxml, --html and so on write beside it"
        )
    return [out / f"{stem}-{seed}-{number}.mid" for number in range(1, takes + 1)]


def parse_bars(text: str | None) -> tuple[int, int] | None:
    """5-8 as (5, 8), 5 as (5, 5)."""
    if text is None:
        return None
    match = re.fullmatch(r"\s*(\d{1,4})(?:\s*[-:–]\s*(\d{1,4}))?\s*", text)
    if not match:
        raise UsageError(f"--fill {text}: write the first and the last bar, as 5-8")
    return int(match[1]), int(match[2] or match[1])


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

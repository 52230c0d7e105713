"""``melody compose``: continue a primer, or start from nothing."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from melody.cli import options as o
from melody.cli.lines import Contour
from melody.cli.output import Report
from melody.cli.replay import rebuild
from melody.cli.takes import HEARD, Output, listening, read_primer, refuse_existing, source_of, with_source, write_takes
from melody.errors import UsageError

if TYPE_CHECKING:
    from melody.generation import Take
    from melody.music.score import Score

EXAMPLES = """
From nothing, or on from your music:

  melody compose --bars 16 --wav                           a piece from nothing, with sound

  melody compose song.mid --bars 16 --takes 4 --seed 7     four continuations of your song

  melody compose song.mid --only-new --follow              only the new bars, printed as they come

  melody compose band.mid --model pop --map Lead=Melody    as pop; the track Lead is its melody

  melody compose hum.wav --bars 8 --meter 3/4              on from what you hum or play; the meter is that of the hum

  melody compose page.png --bars 8                         on from a page of music, scanned or photographed

Around what is there:

  melody compose tune.abc --with 1                         harmonise a tune: compose the other voices

  melody compose song.mid --add bass,drums                 a bass and drums for it, through all its bars

  melody compose band.mid --fill 5-8 --track Piano         those bars of that track anew, all else as it is

  melody compose song.mid --rewrite 5-8 --track Alto       the same from both sides at once, in 16 rounds

  melody compose riff.mid --keep rhythm                    its rhythm again, with new pitches

  melody compose --like take.mid --strength 0.3            that take with three bars in ten anew

Rules that always hold:

  melody compose --describe "slow waltz in D minor, sparse, for piano"    in words; it says what it understood

  melody compose --chords "Am F | C G7/B" --density low    two chords a bar, again and again

  melody compose --contour hum.wav --bars 16               a tune that rises and falls as your voice does

  melody compose song.mid --key "E minor" --strict-key --meter 3/4 --tempo 90

  melody compose --range Soprano=D4:G5 --range Bass=40:62 --max-polyphony 1 --no-repeat 6

  melody compose song.mid --max-copy-bars 2                no longer quotations of what the model learned

Search, and the same again:

  melody compose song.mid --takes 2 --best-of 8 --by rules    two takes, each the best of eight

  melody compose --beam-width 8 --stochastic --takes 4     four of eight versions, no two alike

  melody compose --replay outputs/song-pop-7-1.mid         the same file, byte for byte
"""
EXTRAS = ("wav", "flac", "mp3", "png", "musicxml", "svg", "dawproject", "html")  # options, and suffixes
MIDI = (".mid", ".midi", ".kar")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXAMPLES)(compose)


def compose(
    context: typer.Context,
    primer: o.Primer = None,
    model: o.Model = None,
    bars: o.Bars = None,
    describe: o.Describe = None,
    polyphonic: o.Polyphonic = None,
    takes: o.Takes = 1,
    seed: o.Seed = None,
    mapping: o.Map = None,
    with_tracks: o.With = None,
    add: o.Add = None,
    fill: o.Fill = None,
    rewrite: o.Rewrite = None,
    rounds: o.Rounds = None,
    like: o.Like = None,
    strength: o.Strength = None,
    tracks: o.Track = None,
    keep: o.Keep = None,
    key: o.KeyName = None,
    strict_key: o.StrictKey = False,
    chords: o.Chords = None,
    strict_chords: o.StrictChords = True,
    tempo_qpm: o.Tempo = None,
    meter: o.Meter = None,
    density: o.Density = None,
    contour: Contour = None,
    style: o.Style = None,
    ranges: o.Range = None,
    max_polyphony: o.MaxPolyphony = None,
    no_repeat: o.NoRepeat = None,
    max_copy_bars: o.MaxCopyBars = None,
    style_rules: o.StyleRules = True,
    ending: o.Ending = True,
    only_new: o.OnlyNew = False,
    loop: o.Loop = False,
    form: o.Form = None,
    section: o.Section = 8,
    humanize: o.Humanize = None,
    swing: o.Swing = None,
    temperature: o.Temperature = 1.0,
    top_k: o.TopK = 0,
    top_p: o.TopP = None,
    min_p: o.MinP = 0.0,
    greedy: o.Greedy = False,
    best_of: o.BestOf = None,
    by: o.By = "both",
    beam_width: o.BeamWidth = 0,
    length_penalty: o.LengthPenalty = 0.0,
    stochastic: o.Stochastic = False,
    out: o.Out = Path("outputs"),
    follow: o.Follow = False,
    replay: o.Replay = None,
    wav: o.Wav = False,
    stems: o.Stems = False,
    flac: o.Flac = False,
    mp3: o.Mp3 = False,
    png: o.Png = False,
    musicxml: o.MusicXml = False,
    svg: o.Svg = False,
    dawproject: o.DawProject = False,
    html: o.Html = False,
    soundfont: o.SoundFont = None,
    engine: o.Engine = "auto",
    as_json: o.Json = False,
    force: o.Force = False,
) -> int:
    """Continue PRIMER, compose around it or inside it, or start from nothing.

    Your music goes to the output as it is; the new part has exactly the bars you ask for.
    """
    import secrets

    import melody
    from melody.cli.follow import followed
    from melody.generation.composer import check_takes
    from melody.generation.replay import model_of
    from melody.generation.variation import as_variation

    report = Report(as_json)
    kinds = [f".{kind}" for kind in EXTRAS if context.params[kind] or (kind == "wav" and stems)]
    output = Output(report, kinds, soundfont, force, stems)
    if replay:
        return rebuild(replay, primer, model, out, output, _given(context))
    params, model = described(context.params, model, report)
    known = listening(primer, params)
    given = {name: value for name, value in params.items() if not known or name not in HEARD}
    behind = read_primer(output, primer, known) if like else None
    if like:
        primer, known, model = like, None, model or model_of(like)
        del given["strength"]
    settings = o.asked(given)
    check_takes(takes)
    seed = secrets.randbelow(2**31) if seed is None else seed
    reading = read_primer(output, primer, known)
    theme = reading.score if reading else None
    if theme and like:
        settings = as_variation(settings, theme, behind.score if behind else None, strength)
    name, reason = chosen(model, theme, settings.with_tracks, settings.mapping, settings.add, settings.contour)
    names = names_of_takes(out, f"{primer.stem}-{name.name}" if primer else name.name, seed, takes)
    refuse_existing(output, names, [primer])
    if reason:
        report.line(f"model {name.name}: {reason}")
    composer = melody.load(name, engine=engine)
    if follow:
        composed: Iterable[Take] = [followed(composer, theme, report, takes, seed, settings)]
    else:
        composed = composer.each(theme, settings, takes=takes, seed=seed)
    source = source_of(primer, known)
    written = write_takes(output, (with_source(take, source) for take in composed), names, reading)
    report.line(f"model {composer.bundle.name}, seed {seed}")
    report.done(model=composer.bundle.name, model_reason=reason, seed=seed, **written)
    return 0


def chosen(
    model: str | None,
    theme: "Score | None",
    around: Sequence[str] = (),
    mapping: Mapping[str, tuple[str, ...]] | None = None,
    add: Sequence[str] = (),
    contour: Sequence[float] | None = None,
) -> tuple[Path, str]:
    """Return the model named, or the shipped one that suits a theme and follows a contour, and why that one."""
    from melody.generation.advice import at_home

    choice = None if model else at_home(theme, around, mapping, add, contour)
    return (choice.bundle.folder, choice.reason) if choice else (Path(model or o.FROM_NOTHING), "")


def described(params: Mapping[str, Any], model: str | None, report: Report) -> tuple[dict[str, Any], str | None]:
    """Return the options and the model with what --describe says of those that were left out, and report it."""
    if params["describe"] is None:
        return dict(params), model
    from melody.bundle import open_bundle
    from melody.generation.describe import describe
    from melody.generation.model_choice import shipped

    known = [open_bundle(model)] if model else shipped()
    found = describe(params["describe"], {bundle.name: bundle.settings.get("styles", []) for bundle in known})
    for line in found.understood:
        report.line(f"understood: {line}")
    if found.unknown:
        report.line(f"not understood: {', '.join(found.unknown)}")
    report.data["described"] = {"understood": found.understood, "not_understood": found.unknown}
    said = {name: value for name, value in found.settings.items() if params[name] is None}
    if "meter" in said:
        said["meter"] = "/".join(map(str, said["meter"]))
    return {**params, **said}, model or found.model


def names_of_takes(out: Path, stem: str, seed: int, takes: int) -> list[Path]:
    """Return the MIDI file of each take: `out` itself where it names a file, numbered where there are several."""
    from melody.generation.take_files import KINDS

    suffix = out.suffix.lower()
    if suffix in MIDI:
        return [out] if takes == 1 else [out.with_name(f"{out.stem}-{n}{out.suffix}") for n in range(1, takes + 1)]
    if suffix and suffix in KINDS and not out.is_dir():
        raise UsageError(
            f"--out {out}: give a .mid file or a folder; --wav, --png, --musicxml, --html and so on write next to it"
        )
    return [out / f"{stem}-{seed}-{number}.mid" for number in range(1, takes + 1)]


def _given(context: typer.Context) -> dict[str, str]:
    """Return the options that stand on the command line, by parameter: as a person writes them."""
    given = {}
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is not None and source.name == "COMMANDLINE":
            off = parameter.secondary_opts and not context.params[parameter.name or ""]
            given[parameter.name or ""] = (parameter.secondary_opts if off else parameter.opts)[0]
    return given

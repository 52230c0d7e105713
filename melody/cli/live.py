"""``melody play`` and ``melody jam``: MIDI to other programs and instruments, and back, in time."""

import secrets
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from melody.cli import options as o
from melody.cli.compose import chosen
from melody.cli.output import Report
from melody.cli.takes import Output, read_primer, refuse_existing, source_of, with_source, write_take
from melody.errors import MelodyError, UsageError

if TYPE_CHECKING:
    from melody.live import Composing, Jam, Lateness
    from melody.music.score import Score

PLAY_EXAMPLES = """
Examples:

  melody play song.mid                             to a virtual port, named melody

  melody play song.mid --bars 16 --port synth      and on, composed while it plays, to a port with synth in its name

  melody play --bars 32 --tempo 80                 from nothing

  melody play --ports                              list the ports
"""
JAM_EXAMPLES = """
Examples:

  melody jam --port keys --tempo 96                four bars yours, four melody's, at 96

  melody jam --input keys --port synth --bars 2    hear one port, answer on another

  melody jam --sync --meter 3/4                    in the tempo of your DAW's MIDI clock
"""
Port = Annotated[
    str | None,
    typer.Option(
        help="Port to send to: a part of its name, or socket:HOST:PORT. Default: a new virtual port.",
        metavar="NAME",
        rich_help_panel=o.PORTS,
    ),
]
ListPorts = Annotated[bool, typer.Option("--ports", help="List the ports and stop.", rich_help_panel=o.PORTS)]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog=PLAY_EXAMPLES)(play)
    app.command(epilog=JAM_EXAMPLES)(jam)


def play(
    file: Annotated[Path | None, typer.Argument(help=f"{o.MUSIC_FILE} to play.")] = None,
    bars: Annotated[
        int | None, typer.Option(help="Compose so many bars while it plays.", rich_help_panel=o.MUSIC)
    ] = None,
    model: o.Model = None,
    seed: o.Seed = None,
    key: o.KeyName = None,
    meter: o.Meter = None,
    tempo: Annotated[
        float | None,
        typer.Option(help="Tempo of music from nothing, in quarters a minute.", rich_help_panel=o.CONTROL),
    ] = None,
    ending: o.Ending = True,
    temperature: o.Temperature = 1.0,
    port: Port = None,
    clock: Annotated[
        bool, typer.Option("--clock/--no-clock", help="Send MIDI clock, start and stop.", rich_help_panel=o.PORTS)
    ] = True,
    ports: ListPorts = False,
    out: Annotated[Path | None, typer.Option(help="Also write the music as MIDI.", rich_help_panel=o.OUTPUT)] = None,
    force: o.Force = False,
    as_json: o.Json = False,
) -> None:
    """Play FILE on a MIDI port; with --bars compose a continuation while it plays, and go on without a break."""
    with _extra():
        from melody.live import ComposerProcess, SystemClock
        from melody.live import play as perform
        from melody.live.composing import empty_score
        from melody.live.ports import open_outlet

    report = Report(as_json)
    if ports:
        return _list_ports(report)
    if file is None and bars is None:
        raise UsageError("play what? give a file, or --bars 16 to compose from nothing, or both")
    if file and tempo:
        raise UsageError("--tempo is for music from nothing; a file has its own")
    if bars is None and (unused := [n for n, v in {"out": out, "key": key, "meter": meter}.items() if v]):
        raise UsageError(f"--{unused[0]} is for what is composed; give --bars too")
    output = Output(report, [], None, force)
    if out:
        refuse_existing(output, [out], [file])
    reading = read_primer(output, file)
    written: dict[str, str] = {}
    with ExitStack() as stack:
        outlet = stack.enter_context(closing(open_outlet(port)))
        stack.enter_context(_terminable())
        report.line(f"port {outlet.name}")
        _await_listener(port)
        new, score = None, reading.score if reading else None
        if bars is not None:
            composer = stack.enter_context(closing(ComposerProcess(str(chosen(model, score)[0]))))
            seed = secrets.randbelow(2**31) if seed is None else seed
            control = {"key": key, "meter": meter and o.parse_meter(meter), "ending": ending, "tempo_qpm": tempo}
            new = composer.begin(score, bars=bars, seed=seed, temperature=temperature, **control)
            score = score or empty_score(composer.tracks, tempo or composer.tempo_qpm)
            report.line(f"{bars} bars by {composer.name}, seed {seed}")
            report.data |= {"model": composer.name, "seed": seed}
        assert score is not None
        figures = perform(score, outlet, SystemClock(), new=new, sends_clock=clock)
    _tell(report, figures)
    if out and new and new.take:
        written = write_take(output, with_source(new.take, source_of(file)), out, reading)
        report.line(str(out))
    report.done(files=written, **figures.to_dict())
    return None


def jam(
    bars: Annotated[int, typer.Option(help="Bars of each call and each answer.", rich_help_panel=o.MUSIC)] = 4,
    tempo: Annotated[float, typer.Option(help="Tempo in quarters a minute.", rich_help_panel=o.MUSIC)] = 100.0,
    meter: Annotated[str, typer.Option(help="Meter, as 3/4.", rich_help_panel=o.MUSIC)] = "4/4",
    model: Annotated[
        str, typer.Option(help="Model, by name (see melody models) or folder.", rich_help_panel=o.MUSIC)
    ] = "folk",
    seed: o.Seed = None,
    key: o.KeyName = None,
    density: o.Density = None,
    ending: Annotated[
        bool,
        typer.Option("--ending/--no-ending", help="Close with each answer, or stay open.", rich_help_panel=o.CONTROL),
    ] = False,
    temperature: o.Temperature = 1.0,
    rounds: Annotated[
        int | None,
        typer.Option(help="End after so many answers. Default: go on until Ctrl-C.", min=1, rich_help_panel=o.MUSIC),
    ] = None,
    port: Port = None,
    heard: Annotated[
        str | None,
        typer.Option(
            "--input", help="Port to listen on. Default: that of --port.", metavar="NAME", rich_help_panel=o.PORTS
        ),
    ] = None,
    channel: Annotated[
        int | None,
        typer.Option(help="MIDI channel of the answers. Default: yours.", min=1, max=16, rich_help_panel=o.PORTS),
    ] = None,
    sync: Annotated[
        bool, typer.Option("--sync", help="Follow the MIDI clock that comes in.", rich_help_panel=o.PORTS)
    ] = False,
    click: Annotated[
        bool | None,
        typer.Option(
            "--click/--no-click",
            help="Click on channel 10 while you play. Default: on, but off with --sync.",
            rich_help_panel=o.PORTS,
        ),
    ] = None,
    ports: ListPorts = False,
    out: Annotated[Path | None, typer.Option(help="Also write the session as MIDI.", rich_help_panel=o.OUTPUT)] = None,
    force: o.Force = False,
    as_json: o.Json = False,
) -> None:
    """Play some bars, and melody answers with as many, in tempo, until Ctrl-C.

    The first call is yours: after one bar of count-in, or with --sync at the start of the clock.
    """
    with _extra():
        from melody.live import ComposerProcess, Jam, JamSettings, SystemClock
        from melody.live.ports import open_pair

    from melody.generation.settings import settings_of

    report = Report(as_json)
    if ports:
        return _list_ports(report)
    units = o.parse_meter(meter)
    options = {"bars": bars, "key": key, "temperature": temperature, "density": density, "ending": ending}
    settings_of({**options, "meter": units, "tempo_qpm": tempo})  # refused before anything sounds
    if out:
        refuse_existing(Output(report, [], None, force), [out])
    first_seed = secrets.randbelow(2**31) if seed is None else seed
    rules = JamSettings(
        bars=bars,
        meter=units,
        qpm=tempo,
        rounds=rounds,
        click=not sync if click is None else click,
        follows=sync,
        channel=None if channel is None else channel - 1,
    )
    inlet, outlet = open_pair(port, heard)
    with closing(inlet), closing(outlet), _terminable(), closing(ComposerProcess(model)) as composer:

        def answer(primer: "Score", number: int) -> "Composing":
            return composer.begin(primer, seed=first_seed + number, **options)

        def expect(primer: "Score", number: int) -> None:
            composer.expect(primer, seed=first_seed + number, **options)

        session = Jam(answer, (inlet, outlet), SystemClock(), rules, expect=expect, say=report.line)
        report.line(f"model {composer.name}, seed {first_seed}, port {outlet.name}; Ctrl-C ends it")
        _await_listener(port)
        try:
            with suppress(KeyboardInterrupt):  # the player's way to say that it is enough
                session.run()
        finally:
            _finish(session, report, out, force)
    return None


def _finish(session: "Jam", report: Report, out: Path | None, force: bool) -> None:
    """Tell the figures of a session and write its file."""
    import melody
    from melody.live.scheduler import quantiles, spread
    from melody.music.score import note_count

    waits = [one.wait_seconds for one in session.rounds if one.wait_seconds is not None]
    if waits:
        report.line(f"from your last note to melody's first: {spread(waits)}")
        report.data["wait"] = quantiles(waits)
    firsts = [one.bar_after_seconds for one in session.rounds if one.bar_after_seconds is not None]
    if firsts:
        report.line(f"from the end of your call to melody's first bar: {spread(firsts)}")
        report.data["first_bar"] = quantiles(firsts)
    _tell(report, session.figures)
    if out and note_count(session.score()):
        report.data["file"] = str(melody.write(session.score(), out, force=force))
        report.line(str(out))
    report.done(rounds=[vars(one) for one in session.rounds], **session.figures.to_dict())


def _await_listener(port: str | None) -> None:
    """Wait for somebody to connect a program to a new virtual port."""
    if port is None and sys.stdin.isatty():
        print("connect your program to this port, then press Enter", file=sys.stderr)
        sys.stdin.readline()


def _tell(report: Report, figures: "Lateness") -> None:
    for line in figures.lines():
        report.line(line)


def _list_ports(report: Report) -> None:
    from melody.live.ports import port_names

    inlets, outlets = port_names()
    report.line("to listen on: " + (", ".join(inlets) or "none"))
    report.line("to send to: " + (", ".join(outlets) or "none"))
    report.done(inputs=inlets, outputs=outlets)


@contextmanager
def _extra() -> Iterator[None]:
    """Import what not everyone has; say what to install where it is missing."""
    try:
        yield
    except ImportError as error:
        raise MelodyError(f"playing live needs {error.name}: pip install 'melody[live]'") from None


@contextmanager
def _terminable() -> Iterator[None]:
    """Take an end from outside (SIGTERM, a closed terminal) as Ctrl-C, so that no note hangs."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signals = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = [signal.signal(number, interrupt) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)

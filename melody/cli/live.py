"""``melody play`` and ``melody jam``: MIDI to other programs and instruments, and back, in time."""

import secrets
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from melody.cli.compose import chosen, parse_meter
from melody.cli.output import Report
from melody.cli.takes import Output, read_primer, refuse_existing, source_of, with_source, write_take
from melody.errors import MelodyError, UsageError

if TYPE_CHECKING:
    from melody.live import Composing, Figures, Jam
    from melody.music.score import Score

MUSIC, PORTS, OUTPUT = "The music", "Ports", "Output"
PLAY_EXAMPLES = """
Examples:

  melody play theme.mid                            to a virtual port, named melody

  melody play theme.mid --bars 16 --port synth     and on, composed while it plays, to a port with synth in its name

  melody play --bars 32 --tempo 80                 from nothing

  melody play --ports                              what there is
"""
JAM_EXAMPLES = """
Examples:

  melody jam --port keys --tempo 96                four bars yours, four melody's, at 96

  melody jam --input keys --port synth --bars 2    hear one port, answer on another

  melody jam --sync --meter 3/4                    in the tempo of your DAW's MIDI clock
"""
PORT = Annotated[
    str | None,
    typer.Option(
        help="The port to send to: a part of its name, or socket:HOST:PORT; default: a virtual one.",
        metavar="NAME",
        rich_help_panel=PORTS,
    ),
]
LIST = Annotated[bool, typer.Option("--ports", help="List the ports and stop.", rich_help_panel=PORTS)]
SEED = Annotated[int | None, typer.Option(help="The same seed, the same notes.", rich_help_panel=MUSIC)]
KEY = Annotated[str | None, typer.Option(help="Key of what is composed, as 'E minor'.", rich_help_panel=MUSIC)]
TEMPERATURE = Annotated[float, typer.Option(help="Below 1: safer, above: bolder.", rich_help_panel=MUSIC)]
JSON = Annotated[bool, typer.Option("--json", help="A report for programs.", rich_help_panel=OUTPUT)]
FORCE = Annotated[bool, typer.Option("--force", help="Overwrite the file.", rich_help_panel=OUTPUT)]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog=PLAY_EXAMPLES)(play)
    app.command(epilog=JAM_EXAMPLES)(jam)


def play(
    file: Annotated[Path | None, typer.Argument(help="MIDI, MusicXML or ABC.")] = None,
    bars: Annotated[int | None, typer.Option(help="Compose so many, while it plays.", rich_help_panel=MUSIC)] = None,
    model: Annotated[
        str | None,
        typer.Option(help="A shipped model, or a folder; default: what suits the file.", rich_help_panel=MUSIC),
    ] = None,
    seed: SEED = None,
    key: KEY = None,
    meter: Annotated[str | None, typer.Option(help="Of what is composed, as 3/4.", rich_help_panel=MUSIC)] = None,
    tempo: Annotated[
        float | None, typer.Option(help="Quarters a minute of music from nothing.", rich_help_panel=MUSIC)
    ] = None,
    temperature: TEMPERATURE = 1.0,
    ending: Annotated[
        bool, typer.Option("--ending/--no-ending", help="Whether the last bar closes.", rich_help_panel=MUSIC)
    ] = True,
    port: PORT = None,
    clock: Annotated[
        bool, typer.Option("--clock/--no-clock", help="Send MIDI clock, start and stop.", rich_help_panel=PORTS)
    ] = True,
    ports: LIST = False,
    out: Annotated[
        Path | None, typer.Option(help="Also write what was played, as MIDI.", rich_help_panel=OUTPUT)
    ] = None,
    force: FORCE = False,
    as_json: JSON = False,
) -> None:
    """Play FILE on a MIDI port, and with --bars what is composed behind it, without a break."""
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
            control = {"key": key, "meter": parse_meter(meter), "ending": ending, "tempo_qpm": tempo}
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
    bars: Annotated[int, typer.Option(help="Of a call, and of its answer.", rich_help_panel=MUSIC)] = 4,
    tempo: Annotated[float, typer.Option(help="Quarters a minute.", rich_help_panel=MUSIC)] = 100.0,
    meter: Annotated[str, typer.Option(help="As 3/4.", rich_help_panel=MUSIC)] = "4/4",
    model: Annotated[str, typer.Option(help="A shipped model, or a folder.", rich_help_panel=MUSIC)] = "folk",
    seed: SEED = None,
    key: KEY = None,
    temperature: TEMPERATURE = 1.0,
    density: Annotated[
        str | None, typer.Option(help="Of the answers.", metavar="low|medium|high", rich_help_panel=MUSIC)
    ] = None,
    ending: Annotated[
        bool, typer.Option("--ending/--no-ending", help="Whether each answer closes.", rich_help_panel=MUSIC)
    ] = False,
    rounds: Annotated[
        int | None, typer.Option(help="Answers, and then the end; else Ctrl-C.", min=1, rich_help_panel=MUSIC)
    ] = None,
    port: PORT = None,
    heard: Annotated[
        str | None,
        typer.Option(
            "--input", help="The port to listen on; default: that of --port.", metavar="NAME", rich_help_panel=PORTS
        ),
    ] = None,
    channel: Annotated[
        int | None,
        typer.Option(help="Of the answers; default: the player's.", min=1, max=16, rich_help_panel=PORTS),
    ] = None,
    sync: Annotated[
        bool, typer.Option("--sync", help="Follow the MIDI clock that comes in.", rich_help_panel=PORTS)
    ] = False,
    click: Annotated[
        bool | None,
        typer.Option(
            "--click/--no-click",
            help="A click on channel 10 while you play; by default without --sync.",
            rich_help_panel=PORTS,
        ),
    ] = None,
    ports: LIST = False,
    out: Annotated[Path | None, typer.Option(help="Also write the session, as MIDI.", rich_help_panel=OUTPUT)] = None,
    force: FORCE = False,
    as_json: JSON = False,
) -> None:
    """Call and response: you play some bars, melody answers with as many, in tempo, until Ctrl-C.

    After a bar of count-in, or with --sync the start of the clock, the first call is yours.
    """
    with _extra():
        from melody.live import ComposerProcess, Jam, Rules, SystemClock
        from melody.live.ports import open_pair

    from melody.generation.settings import settings_of

    report = Report(as_json)
    if ports:
        return _list_ports(report)
    units = parse_meter(meter)
    assert units
    options = {"bars": bars, "key": key, "temperature": temperature, "density": density, "ending": ending}
    settings_of({**options, "meter": units, "tempo_qpm": tempo})  # refused before anything sounds
    if out:
        refuse_existing(Output(report, [], None, force), [out])
    first_seed = secrets.randbelow(2**31) if seed is None else seed
    rules = Rules(
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

        session = Jam(answer, (inlet, outlet), SystemClock(), rules, say=report.line)
        report.line(f"model {composer.name}, seed {first_seed}, port {outlet.name}; Ctrl-C ends it")
        _await_listener(port)
        try:
            with suppress(KeyboardInterrupt):  # the player's way to say that it is enough
                session.run()
        finally:
            _finish(session, report, out, force)
    return None


def _finish(session: "Jam", report: Report, out: Path | None, force: bool) -> None:
    """The figures and the file of a session."""
    import melody
    from melody.live.scheduler import quantiles, spread
    from melody.music.score import note_count

    waits = [one.wait_seconds for one in session.rounds if one.wait_seconds is not None]
    if waits:
        report.line(f"from your last note to melody's first: {spread(waits)}")
        report.data["wait"] = quantiles(waits)
    _tell(report, session.figures)
    if out and note_count(session.score()):
        report.data["file"] = str(melody.write(session.score(), out, force=force))
        report.line(str(out))
    report.done(rounds=[vars(one) for one in session.rounds], **session.figures.to_dict())


def _await_listener(port: str | None) -> None:
    """A virtual port has just appeared: time to connect something to it, where somebody can say when."""
    if port is None and sys.stdin.isatty():
        print("connect your program to this port, then press Enter", file=sys.stderr)
        sys.stdin.readline()


def _tell(report: Report, figures: "Figures") -> None:
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
    """An import of what not everyone has."""
    try:
        yield
    except ImportError as error:
        raise MelodyError(f"playing live needs {error.name}: pip install 'melody[live]'") from None


@contextmanager
def _terminable() -> Iterator[None]:
    """An end from outside (SIGTERM, a closed terminal) is as good as Ctrl-C: nothing sounds on."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signals = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = [signal.signal(number, interrupt) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)

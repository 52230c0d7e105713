"""``melody studio`` and ``melody serve``: the page to work on, and its API."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from melody.cli import options as o
from melody.cli.output import Report
from melody.errors import MelodyError

if TYPE_CHECKING:
    from melody.studio.server import Serving

STUDIO_EXAMPLES = """
Examples:

  melody studio                        start from nothing, or drop a file onto the page

  melody studio song.mid               with your song

  melody studio --no-browser --port 0  print the address, on any free port
"""
SERVE_EXAMPLES = """
Examples:

  melody serve                                        the API; its page of all calls is at /docs

  melody serve --public-url https://melody.example    behind a proxy, see docs/studio.md
"""
PANEL = "Server"
Port = Annotated[int, typer.Option(help="Port on 127.0.0.1; 0: any that is free.", rich_help_panel=PANEL)]
Folder = Annotated[Path, typer.Option(help="Where sessions are kept, a file each.", rich_help_panel=PANEL)]
PublicUrl = Annotated[
    str | None,
    typer.Option(help="Address that browsers see, where a proxy stands before it.", rich_help_panel=PANEL),
]
PORT, FOLDER = 7890, Path("outputs/studio")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog=STUDIO_EXAMPLES)(studio)
    app.command(epilog=SERVE_EXAMPLES)(serve)


def studio(
    theme: Annotated[Path | None, typer.Argument(help=f"{o.MUSIC_FILE} to begin a session with.")] = None,
    port: Port = PORT,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in your browser.", rich_help_panel=PANEL)
    ] = True,
    folder: Folder = FOLDER,
    public_url: PublicUrl = None,
) -> None:
    """Open a page to work on: hear takes, keep one, compose bars anew, go back. On this machine, offline.

    Your sessions are kept in a folder, and the page finds them again after a restart.
    """
    import webbrowser

    serving = _prepared(folder, port, public_url, page=True)
    report, url = Report(False), serving.secret_url
    if theme:
        with serving.closed_on_error():
            url += f"&session={_session_of(serving, theme, report)}"

    def up() -> None:
        report.line(f"melody studio: {url}")
        report.line("Ctrl-C ends it; sessions are kept in " + str(folder))
        if browser:
            webbrowser.open(url)

    serving.run(up)


def serve(port: Port = PORT, folder: Folder = FOLDER, public_url: PublicUrl = None, as_json: o.Json = False) -> None:
    """Offer melody to other programs over HTTP, on this machine: compose, hear, edit, keep sessions.

    The page at /docs describes every call with examples. Calls want the token that is printed.
    """
    serving = _prepared(folder, port, public_url, page=False)
    report = Report(as_json)

    def up() -> None:
        report.line(f"melody serve: {serving.url}docs")
        report.line(f"token: {serving.door.token}")
        report.done(url=serving.url, token=serving.door.token)

    serving.run(up)


def _prepared(folder: Path, port: int, public_url: str | None, page: bool) -> "Serving":
    """Return a server on its port; say what to install where it is missing."""
    try:
        from melody.studio.server import prepare
    except ImportError as error:
        raise MelodyError(f"the studio needs {error.name}: pip install 'melody[studio]'") from None
    return prepare(folder, port, public_url, page)


def _session_of(serving: "Serving", theme: Path, report: Report) -> str:
    """Begin a session with a file and return its id."""
    from melody.formats.reading import MAX_FILE_BYTES
    from melody.storage.files import read_bytes

    sheet, told = serving.desk.shelf.take_in(read_bytes(theme, MAX_FILE_BYTES), theme.name)
    for line in told:
        report.line(f"{theme}: {line}")
    session = serving.desk.sessions.begin(theme.stem)
    session.add(sheet, None, f"opened {theme.name}", serving.desk.bounds)
    return session.id

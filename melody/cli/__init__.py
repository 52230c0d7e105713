"""The command line: parse, call the public API, print. One line for an error, no traceback; exit codes 0, 1, 2.

MELODY_DEBUG=1 prints the traceback of any error before its line.

Each command is one function in a module of its own and imports what it needs when it runs.
"""

import os
import sys
import traceback
from collections.abc import Sequence
from io import TextIOWrapper

import typer

from melody.cli import compose, files, learn, live, models, originality, pocket, runs, studio, teach
from melody.cli.output import in_flags, say
from melody.cli.takes import Interrupted
from melody.errors import MelodyError, UsageError
from melody.storage.display import shown
from melody.version import __version__

app = typer.Typer(
    name="melody",
    help="Compose music as symbols: continuations of your MIDI by a residual LSTM, offline, in seconds.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# Recent releases of typer carry click inside, older ones use the installed one; BadParameter leads to either's bases.
CommandLineError: type[Exception] = typer.BadParameter.__bases__[0]  # click's UsageError

EXTRAS = {  # of pyproject.toml, for the packages that commands import
    "train": ("torch", "lightning_fabric", "miditok", "tokenizers", "onnx", "onnxscript", "joblib", "tensorboard"),
    "audio": ("pyloudnorm",),
    "notation": ("verovio",),
    "live": ("mido", "rtmidi"),
    "audio-in": ("swift_f0",),
    "studio": ("fastapi", "uvicorn", "starlette"),
}

for module in (compose, models, files, originality, live, studio, learn, teach, pocket, runs):
    module.register(app)


@app.callback(invoke_without_command=True)
def _options(version: bool = typer.Option(False, "--version", help="Print the version and stop.")) -> None:
    if version:
        print(__version__)
        raise typer.Exit


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``melody`` as the shell starts it."""
    for stream in (sys.stdout, sys.stderr):  # a terminal that is not UTF-8 shows signs in place of what it lacks
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    code = run(sys.argv[1:] if arguments is None else list(arguments))
    try:
        sys.stdout.flush()
    except OSError:  # nobody reads our output, or its disk is full
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains as it ends
        code = code or 1
    sys.exit(code)


def compose_main() -> None:
    """``compose``, the short name of ``melody compose``."""
    main(["compose", *sys.argv[1:]])


def run(arguments: list[str]) -> int:
    """Run a command line and return its exit code."""
    try:
        result = app(args=arguments or ["--help"], standalone_mode=False)
    except typer.Exit as stop:
        return stop.exit_code
    except UsageError as error:
        return _fail(in_flags(str(error)), 2)
    except CommandLineError as error:
        return _fail(error.format_message(), 2)  # type: ignore[attr-defined]
    except MelodyError as error:
        return _fail(in_flags(str(error)), 1)
    except Interrupted as stop:
        return _fail(str(stop), 130)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted", 130)
    except BrokenPipeError:  # the reader of our output has gone
        return 1
    except OSError as error:
        return _fail(f"{error.filename or 'output'}: {error.strerror or error}", 1)
    except ImportError as error:
        return _fail(_missing(error), 1)
    except MemoryError:
        return _fail("out of memory; close other programs, or give a smaller file, model or number of takes", 1)
    except Exception as error:  # a mistake of ours: still one line, and a way to tell us
        return _fail(
            f"a mistake in melody ({type(error).__name__}: {shown(error, 200)}); please report it with the command, "
            "its files and what MELODY_DEBUG=1 prints before this line",
            1,
        )
    if result == 130:  # what recent releases of typer make of Ctrl-C, without a word
        return _fail("interrupted", 130)
    return result if isinstance(result, int) else 0


def _missing(error: ImportError) -> str:
    """Return what to install where a package is missing that not everyone has."""
    name = (error.name or "").partition(".")[0]
    extra = next((extra for extra, packages in EXTRAS.items() if name in packages), None)
    remedy = f"pip install 'melody[{extra}]'" if extra else "install melody again"
    return f"this needs {name or error}: {remedy}"


def _fail(message: str, code: int) -> int:
    """Print an error in one line, behind its traceback where MELODY_DEBUG asks for one."""
    if os.environ.get("MELODY_DEBUG", "0") not in ("", "0"):
        traceback.print_exc()
    say(f"melody: {' '.join(message.split())}")
    return code

"""Output of commands: lines for people, or one JSON report for programs; remarks and errors on stderr.

Names and texts in a line may come from a file of a stranger, so every line goes through `shown`.
"""

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from melody.storage.display import shown

if TYPE_CHECKING:
    from melody.formats.midi import Reading

FLAGS = {"with_tracks": "with", "tracks": "track", "mapping": "map", "ranges": "range", "tempo_qpm": "tempo"}
MOST_REMARKS = 10  # lines about one file; JSON has all


@dataclass
class Report:
    """Collects the results of a command; `line` prints at once unless the report goes out as JSON."""

    as_json: bool
    data: dict[str, Any] = field(default_factory=dict)

    def line(self, text: str) -> None:
        """Say something to a person, in one line."""
        if not self.as_json:
            print(shown(text), flush=True)

    def lines(self, text: str) -> None:
        """Say several lines that are melody's own."""
        for line in text.split("\n"):
            self.line(line)

    def table(
        self, rows: Sequence[Mapping[str, Any]], formats: Mapping[str, Callable[[Any], str]] | None = None
    ) -> None:
        """Print rows of one shape as aligned columns; nothing where there are no rows."""
        for text in table_lines(rows, formats or {}):
            self.line(text)

    def remarks(self, file: Path | str, reading: "Reading") -> None:
        """Tell on stderr what was mended, left out or read otherwise in a file, and put all of it into the report."""
        told = told_of(reading)
        self.data.setdefault("repairs", []).extend(told)
        for remark in told[:MOST_REMARKS]:
            say(f"{file}: {in_flags(remark)}")
        if len(told) > MOST_REMARKS:
            say(f"{file}: {len(told) - MOST_REMARKS:,} more remarks; melody inspect --json shows all")

    def done(self, **data: Any) -> None:
        """Finish: print the JSON report where one was asked for."""
        self.data |= data
        if self.as_json:
            print(json.dumps(self.data, indent=2, default=str))


def told_of(reading: "Reading") -> list[str]:
    """Return the repairs and remarks of a file that was read, each once."""
    return list(dict.fromkeys([*reading.repairs, *reading.remarks]))


def in_flags(text: str) -> str:
    """Return a message of the library with its options (`with_tracks`) as the command line has them (--with)."""
    return re.sub(r"`([a-z_]+)`", lambda match: "--" + FLAGS.get(match[1], match[1]).replace("_", "-"), text)


def say(text: str) -> None:
    """Print a line on stderr, where it does not mix with the results of a command."""
    print(shown(text), file=sys.stderr, flush=True)


def table_lines(rows: Sequence[Mapping[str, Any]], formats: Mapping[str, Callable[[Any], str]]) -> list[str]:
    """Return rows of one shape as aligned lines of text, numbers to the right."""
    if not rows:
        return []
    names = list(rows[0])
    cells = [names, *([shown(formats.get(n, str)(row[n])) for n in names] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    right = [all(not isinstance(row[n], str) for row in rows) for n in names]

    def line(parts: list[str]) -> str:
        padded = (p.rjust(w) if r else p.ljust(w) for p, w, r in zip(parts, widths, right, strict=True))
        return "  ".join(padded).rstrip()

    return [line(parts) for parts in cells]

"""How commands speak: lines for people, or one JSON report for programs."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Report:
    """Collects what a command did; `line` prints at once unless the report goes out as JSON."""

    as_json: bool
    data: dict[str, Any] = field(default_factory=dict)

    def line(self, text: str) -> None:
        """Say something to a person."""
        if not self.as_json:
            print(text, flush=True)

    def done(self, **data: Any) -> None:
        """Finish: print the JSON report where one was asked for."""
        self.data |= data
        if self.as_json:
            print(json.dumps(self.data, indent=2, default=str))


def table(rows: Sequence[Mapping[str, Any]], format_of: Mapping[str, Callable[[Any], str]] | None = None) -> str:
    """Rows of one shape as aligned text columns; numbers to the right."""
    if not rows:
        return ""
    formats = format_of or {}
    names = list(rows[0])
    cells = [names, *([formats.get(n, str)(row[n]) for n in names] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    right = [all(not isinstance(row[n], str) for row in rows) for n in names]

    def line(parts: list[str]) -> str:
        padded = (p.rjust(w) if r else p.ljust(w) for p, w, r in zip(parts, widths, right, strict=True))
        return "  ".join(padded).rstrip()

    return "\n".join(line(parts) for parts in cells)

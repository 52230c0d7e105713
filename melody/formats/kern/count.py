"""Notes of a **kern file counted by other means than the reader's, without times: a report says lossless only by it.

A note is a word of a **kern column with a pitch that is no grace note, no rest and no continuation of a tie.
"""

import re
from collections import Counter
from itertools import groupby

_NOTE = re.compile(r"(?<!\S)[^\s\]_qQr]*[A-Ga-g][^\s\]_qQr]*(?!\S)")


def count_notes(text: str) -> int:
    """Return how many notes the first piece of a text in **kern has."""
    total = 0
    labels: list[int] = []  # the spine of each column
    kern: set[int] = set()  # the spines of **kern
    for row in rows_of(text):
        fields = row.split("\t")
        if row.startswith("**") and not labels:
            labels = [*range(len(fields))]
            kern = {label for label, field in zip(labels, fields, strict=True) if field == "**kern"}
        elif row.startswith("*"):
            labels = _after(fields, labels)
            if not labels:
                break
        elif row and row[0] not in "!=":
            total += sum(
                len(_NOTE.findall(field)) for field, label in zip(fields, labels, strict=False) if label in kern
            )
    return total


def rows_of(text: str) -> list[str]:
    """Return the lines of a text, which other characters that break lines in print do not divide."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _after(fields: list[str], labels: list[int]) -> list[int]:
    """Return the spines of the columns behind a line of interpretations."""
    result: list[int] = []
    for field, group in groupby(zip(fields, labels, strict=False), key=lambda pair: pair[0]):
        own = [label for _, label in group]
        if field == "*v":
            result += Counter(own) if min(Counter(own).values()) > 1 else own[:1]
        elif field == "*^":
            result += [label for label in own for _ in (0, 1)]
        elif field == "*+":
            result += [one for label in own for one in (label, -1)]
        elif field == "*x":
            result += [label for pair in zip(own[1::2], own[::2], strict=False) for label in pair]
        elif field != "*-":
            result += own
    return result

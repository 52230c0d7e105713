r"""Bytes of ABC to tunes and their lines: which are fields, directives and music. Nothing here opens a file.

Source: the ABC standard 2.1 (abcnotation.com), 2.2 for the structure, 3.3 for continued fields, 8.2 for `\'e`.
"""

import html
import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from melody.storage.display import shown

_X = re.compile(r"^(?=X:)", re.MULTILINE)
_CHARSET = re.compile(rb"^\s*(?:%%|I:)abc-charset\s+(?:iso-8859-1|latin1|windows-1252)\b", re.MULTILINE | re.IGNORECASE)
_LINE = re.compile(r"\s*(?:%%\s*(?P<directive>.*)|(?P<letter>[A-Za-z+]):(?![:|])(?P<value>.*))", re.DOTALL)
_COMMENT = re.compile(r"(?<!\\)%.*", re.DOTALL)


class Tune(NamedTuple):
    """A tune as written, from its `X:` on, and the line of the text at which it begins, from 1."""

    text: str
    line: int


class Line(NamedTuple):
    """A line of a tune: a field by its letter, a directive as `%`, music as the empty string."""

    kind: str
    value: str
    number: int


def decoded(data: bytes) -> str:
    """The text of a file: UTF-8, UTF-16 by its byte-order mark, or else Latin-1."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    if not _CHARSET.search(data, 0, 4096):
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError:
            pass
    return data.decode("latin-1")


def header_and_tunes(text: str) -> tuple[str, list[Tune]]:
    """Split a file into its header, whose fields hold for all, and its tunes, each up to the next `X:` (2.2)."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    header, *parts = _X.split(text)
    tunes, line = [], header.count("\n") + 1
    for part in parts:
        tunes.append(Tune(part.rstrip() + "\n", line))
        line += part.count("\n")
    return header, tunes


def lines_of(tune: Tune) -> Iterator[Line]:
    """The lines of a tune up to the empty one that ends it; the last, of kind `end`, holds what stands behind that.

    Comments, blocks of text or PostScript for print, and empty lines before the first `K:` are passed over. A field
    goes on in lines that begin with `+:`.
    """
    rows = tune.text.split("\n")
    pending: Line | None = None
    number, has_key = 0, False
    while number < len(rows):
        row, at = rows[number], tune.line + number
        number += 1
        if not row.strip():
            if has_key:
                break
            continue
        match = _LINE.match(row)
        if match and match["directive"] is not None:
            block = re.match(r"begin(\w+)", match["directive"])
            ends = (i for i in range(number, len(rows)) if block and re.match(rf"\s*%%\s*end{block[1]}\b", rows[i]))
            number = next(ends, number - 1) + 1
            line = Line("%", match["directive"].strip(), at)
        elif not (row := _COMMENT.sub("", row)).strip():
            continue
        elif not match:
            line = Line("", row, at)
        elif match["letter"] == "+" and pending is not None:
            pending = pending._replace(value=f"{pending.value} {_COMMENT.sub('', match['value']).strip()}")
            continue
        else:
            line = Line(match["letter"], _COMMENT.sub("", match["value"]).strip(), at)
            has_key = has_key or line.kind == "K"
        if pending:
            yield pending
        pending = line
    if pending:
        yield pending
    rest = "\n".join(rows[number:]).strip()
    yield Line("end", rest, tune.line + number)


# ---- text strings (8.2) ----------------------------------------------------------------------------------------------

_COMBINING = (0x300, 0x301, 0x302, 0x303, 0x308, 0x30C, 0x306, 0x30B, 0x327, 0x304, 0x307, 0x30A, 0x328)
_MARKS = dict(zip("`'^~\"vuHc=.rk", map(chr, _COMBINING), strict=True))
_LETTERS = {"ss": "ß", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "/o": "ø", "/O": "Ø", "aa": "å", "AA": "Å",
            "DH": "Ð", "dh": "ð", "TH": "Þ", "th": "þ", "/d": "đ", "/D": "Đ", "/l": "ł", "/L": "Ł"}  # fmt: skip
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([A-Za-z/][A-Za-z])|([`'^~\"=.])([A-Za-z])|([%&\\\"]))")


def plain(text: str) -> str:
    r"""Return a text string with its escapes resolved: `\"u` and `&uuml;` to ü, `\u0161` to š.

    Escapes may spell what acts on a terminal, as `\u001b`; that is replaced here.
    """
    if "\\" in text:
        text = _ESCAPE.sub(_letter, text)
    if "&" in text:
        text = html.unescape(text)
    return text if text.isprintable() else shown(text)


def _letter(escape: re.Match[str]) -> str:
    short, long, pair, mark, letter, literal = escape.groups()
    if short or long:
        code = int(short or long, 16)
        return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else escape[0]
    if literal:
        return literal
    if pair:
        if pair in _LETTERS:
            return _LETTERS[pair]
        mark, letter = pair[0], pair[1]
        if mark not in _MARKS:
            return escape[0]
    return unicodedata.normalize("NFC", letter + _MARKS[mark])

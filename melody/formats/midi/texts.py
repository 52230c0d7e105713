"""Text in MIDI files: bytes of unknown encoding to clean strings and back, and names that every DAW can show.

MIDI names no encoding. Byte-order marks and UTF-8 are certain; else the texts of a file, taken together, are Shift-JIS,
GBK or Windows-1251 where they look like it (`encoding_of`), and Latin-1 where not. A guess is only for reading: the
writer puts the bytes back as they came.
"""

import re
import unicodedata
from collections.abc import Iterable

from melody.formats.midi.events import Repairs

# Escape sequences of terminals: CSI, then OSC and other strings, then the short ones.
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]")
_BREAKS = "\n\r\t"
_WITHOUT_BREAKS = dict.fromkeys(map(ord, _BREAKS))
_CONTROLS = re.compile(rb"[\0-\x08\x0b\x0c\x0e-\x1f\x7f]")
FALLBACK = "latin-1"  # to which no byte is strange
_ORIGINAL_NAME = "Track name: "  # begins the event that keeps a name which had to change
KEPT_COPYRIGHT = "Copyright: "  # the same for a copyright notice


def decode(
    payload: bytes, limit: int, repairs: Repairs, place: str, breaks: bool = True, encoding: str = FALLBACK
) -> str:
    """The text of a meta event without control characters, at most `limit` characters.

    It is UTF-16 by its byte-order mark, UTF-8 where it can be, and else in `encoding`.
    """
    text = _certain(payload)
    if text is None:
        text = payload.rstrip(b"\0").decode(encoding, "replace")
    cleaned = _printable(text, breaks)
    if cleaned is not text:
        repairs.add("control characters in a text; left out", place)
    if len(cleaned) > limit:
        repairs.add(f"a text of more than {limit:,} characters; cut there", place)
    return cleaned[:limit]


def _certain(payload: bytes) -> str | None:
    """The text by its byte-order mark, or as UTF-8; None where it is neither."""
    if payload.isascii():  # most are, and the codec below is slow
        return payload.rstrip(b"\0").decode("ascii")
    for mark, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if payload.startswith(mark):
            body = payload[2:]
            return body[: len(body) // 2 * 2].decode(encoding, "replace").rstrip("\0")
    try:
        return payload.rstrip(b"\0").decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


def as_it_came(payload: bytes, limit: int) -> bytes | None:
    """The bytes of a text that are to be written again: they are not UTF-8, and hold no control characters.

    In an encoding that was not known, letters may look like the control characters above 127.
    """
    if payload.isascii():
        return None
    body = payload.rstrip(b"\0")
    return None if _certain(payload) is not None or _CONTROLS.search(body) else body[:limit]


# ---- encodings by their look -----------------------------------------------------------------------------------------

_ENOUGH = 0.8  # the share of what there is that must look so
_MOST_BYTES = 1 << 16  # of a file's texts that are looked at


def encoding_of(payloads: Iterable[bytes]) -> str:
    """The encoding that the texts of a file are most likely in, those that are not UTF-8.

    Double bytes: of Shift-JIS most begin below 0xA0 (kana, common kanji), of GBK most begin with 0xB0 to 0xD7 (the
    common hanzi) and end above 0xA0. In Windows-1251 words are Cyrillic as a whole; accents of Latin-1 stand in words
    of plain letters.
    """
    data = b"\n".join(payload.rstrip(b"\0") for payload in payloads if _certain(payload) is None)[:_MOST_BYTES]
    if not data:
        return FALLBACK
    looks = {"cp932": _is_japanese, "gbk": _is_chinese, "cp1251": _is_cyrillic}
    return next((name for name, looks_so in looks.items() if looks_so(data)), FALLBACK)


def _is_japanese(data: bytes) -> bool:
    try:
        text = data.decode("cp932")
    except UnicodeDecodeError:
        return False
    letters = [c for c in text if c >= "\x80"]
    japanese = sum("\u3000" <= c <= "\u30ff" or "\u4e00" <= c <= "\u9fff" or "\uff01" <= c <= "\uff5e" for c in letters)
    common = sum(c.encode("cp932")[0] < 0xA0 for c in letters)
    return bool(letters) and min(japanese, common) >= _ENOUGH * len(letters)


def _is_chinese(data: bytes) -> bool:
    try:
        text = data.decode("gbk")
    except UnicodeDecodeError:
        return False
    pairs = [c.encode("gbk") for c in text if c >= "\x80"]
    common = sum((0xB0 <= pair[0] <= 0xD7 or 0xA1 <= pair[0] <= 0xA3) and pair[1] > 0xA0 for pair in pairs)
    return bool(pairs) and common >= _ENOUGH * len(pairs)


def _is_cyrillic(data: bytes) -> bool:
    words = [word for word in re.findall(rb"[A-Za-z\x80-\xff]+", data) if not word.isascii()]
    whole = [word for word in words if re.fullmatch(rb"[\xc0-\xff\xa8\xb8]+", word)]
    return len(whole) >= _ENOUGH * len(words) and any(len(word) > 1 for word in whole)


def _printable(text: str, breaks: bool) -> str:
    if text.isprintable():
        return text
    line = text.translate(_WITHOUT_BREAKS) if breaks else text
    if line.isprintable() or not any(map(_is_control, line)):
        return text
    text = _ESCAPES.sub("", text)
    kept = _BREAKS if breaks else ""
    return "".join(c if c in kept or not _is_control(c) else " " * c.isspace() for c in text)


def _is_control(character: str) -> bool:
    """Control characters, and the format characters that reorder or hide text."""
    return unicodedata.category(character) in ("Cc", "Cf", "Cs")


def ascii_name(name: str) -> str:
    """`name` in ASCII: accents dropped, some letters spelt out, all else as question marks.

    >>> ascii_name("Größe, Violão")
    'Grosse, Violao'
    """
    spelt = "".join(_SPELT.get(c, c) for c in name)
    plain = "".join(c for c in unicodedata.normalize("NFKD", spelt) if not unicodedata.combining(c))
    printable = "".join(c if " " <= c <= "~" else "?" for c in plain)
    return " ".join(printable.split())


def original_name(text: str) -> str | None:
    """The name that an event with the words of `keep_name` holds, or None for any other text."""
    return text[len(_ORIGINAL_NAME) :] if text.startswith(_ORIGINAL_NAME) else None


def original_copyright(text: str) -> str | None:
    """The notice that an event with `KEPT_COPYRIGHT` holds, or None for any other text."""
    return text[len(KEPT_COPYRIGHT) :] if text.startswith(KEPT_COPYRIGHT) else None


def keep_name(name: str) -> str:
    """The words of the event that keeps a track's own name beside the ASCII one."""
    return _ORIGINAL_NAME + name


_SPELT = {
    "ß": "ss", "Æ": "Ae", "æ": "ae", "Œ": "Oe", "œ": "oe", "Ø": "O", "ø": "o", "Ł": "L", "ł": "l", "Đ": "D",
    "đ": "d", "Þ": "Th", "þ": "th", "ð": "d", "ı": "i", "♭": "b", "♯": "#", "–": "-", "—": "-", "‘": "'",
    "’": "'", "©": "(c)", "®": "(R)", "℗": "(P)", "“": '"', "”": '"', "„": '"', "…": "...",
}  # fmt: skip

"""Damaged and malicious MusicXML (plain and packed) and ABC by name, each with what a right reading gives."""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator

from support.hostile_pieces import Case, NoteKey

HEAD = '<?xml version="1.0" encoding="UTF-8"?>'
DOCTYPE = (
    '<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN" '
    '"http://www.musicxml.org/dtds/partwise.dtd">'
)
STEPS = (("C", 60), ("D", 62), ("E", 64), ("F", 65))
MEASURES = 6
KEYS = tuple((1920 * m + 480 * i, 480, pitch) for m in range(MEASURES) for i, (_, pitch) in enumerate(STEPS))


def note(step: str = "C", duration: str = "1", octave: str = "4", more: str = "") -> str:
    """A note of a quarter, if not said otherwise."""
    return (
        f"<note><pitch><step>{step}</step>{more}<octave>{octave}</octave></pitch><duration>{duration}</duration></note>"
    )


ATTRIBUTES = (
    "<attributes><divisions>1</divisions><key><fifths>0</fifths><mode>major</mode></key>"
    "<time><beats>4</beats><beat-type>4</beat-type></time></attributes>"
)
BACK = "<backup><duration>1</duration></backup>"
BAR = "".join(note(step) for step, _ in STEPS)


def document(*, first: str = ATTRIBUTES, extra: str = "", name: str = "Flute", head: str = HEAD + DOCTYPE) -> str:
    """Six bars of four quarters; `extra` stands at the end of the third."""
    bars = [first + BAR, BAR, BAR + extra, *[BAR] * (MEASURES - 3)]
    measures = "".join(f'<measure number="{i}">{bar}</measure>' for i, bar in enumerate(bars, 1))
    return (
        f'{head}<score-partwise version="4.0"><part-list><score-part id="P1"><part-name>{name}</part-name>'
        f'</score-part></part-list><part id="P1">{measures}</part></score-partwise>'
    )


def packed(text: bytes, member: str = "score.musicxml", container: str | None = "score.musicxml") -> bytes:
    """An .mxl file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        if container is not None:
            root = f'<container><rootfiles><rootfile full-path="{container}"/></rootfiles></container>'
            archive.writestr("META-INF/container.xml", root)
        archive.writestr(member, text)
    return buffer.getvalue()


def _case(
    name: str, text: str | bytes, says: str = "", surely: tuple[NoteKey, ...] | None = KEYS, suffix: str = ".xml"
) -> Case:
    data = text.encode() if isinstance(text, str) else text
    return Case(f"{suffix[1:]}: {name}", data, surely, (), says, None, suffix=suffix)


# ---- damaged ---------------------------------------------------------------------------------------------------------


def damaged() -> list[Case]:
    """What a reader should mend, and say so."""
    return [*_documents(), *_cut(), *_archives(), *_tunes()]


def _documents() -> Iterator[Case]:
    extras = {
        "a duration of nothing": (note(duration="x"), "duration"),
        "a duration below zero": (note(duration="-4"), "duration"),
        "a duration of NaN": (note(duration="nan"), "duration"),
        "a duration of infinity": (note(duration="inf"), "duration"),
        "a duration of 10**300": (note(duration="1" + "0" * 300), "duration"),
        "a duration of 1e9": (note(duration="1e999999999"), "duration"),
        "a note without duration": ("<note><pitch><step>C</step><octave>4</octave></pitch></note>", "duration"),
        "octave 1,000,000": (BACK + note(octave="1000000"), "pitch"),
        "octave -9": (BACK + note(octave="-9"), "pitch"),
        "a step Q": (BACK + note("Q"), "pitch"),
        "an alteration of a million": (BACK + note(more="<alter>1000000</alter>"), "pitch"),
        "a step back to before the measure": ("<backup><duration>1000000</duration></backup>", "step back"),
        "tempo 0": ('<sound tempo="0"/>', "tempo"),
        "an endless tempo": ('<sound tempo="1e30"/>', "tempo"),
        "a metronome at 0": (
            "<direction><direction-type><metronome><beat-unit>quarter</beat-unit><per-minute>0</per-minute>"
            "</metronome></direction-type></direction>",
            "tempo",
        ),
        "meter 0/4": ("<attributes><time><beats>0</beats><beat-type>4</beat-type></time></attributes>", "meter"),
        "meter 1000000000/4": (
            "<attributes><time><beats>1000000000</beats><beat-type>4</beat-type></time></attributes>",
            "meter",
        ),
        "meter 4/0": ("<attributes><time><beats>4</beats><beat-type>0</beat-type></time></attributes>", "meter"),
        "meter 4/3": ("<attributes><time><beats>4</beats><beat-type>3</beat-type></time></attributes>", "meter"),
        "99 sharps": ("<attributes><key><fifths>99</fifths></key></attributes>", "key"),
        "division 0": ("<attributes><divisions>0</divisions></attributes>", "division"),
        "a bell in a word": ("<direction><direction-type><words>\a</words></direction-type></direction>", "control"),
        "a bare ampersand": (
            "<direction><direction-type><words>Tom & I</words></direction-type></direction>",
            "ampersand",
        ),
    }
    for name, (extra, says) in extras.items():
        yield _case(name, document(extra=extra), says)
    yield _case("Latin-1 that claims to be UTF-8", document(name="Flöte").encode("latin-1"), "Latin-1")
    for encoding in ("UT-8", "UTF-16", "shift_jis", "x" * 99):
        yield _case(f"the encoding {encoding[:9]}", document(head=HEAD.replace("UTF-8", encoding)), "encoding")
    yield _case("an escape sequence in a name", document(name="\x1b[31mFlute"), "control")
    yield _case("reversed text in a name", document(name="abc\u202efed"), "control")
    yield _case("a name of 500,000 letters", document(name="x" * 500_000), "cut")


def _cut() -> Iterator[Case]:
    text = document()
    ends = [i + len("</measure>") for i in range(len(text)) if text.startswith("</measure>", i)]
    for count, end in enumerate(ends[:-1], 1):
        for more in (3, 40):
            whole = tuple(key for key in KEYS if key[0] < 1920 * count)
            yield _case(f"cut {more} bytes after measure {count}", text[: end + more], "cut off", whole)
    yield _case("cut before its last tag", text[:-10], "cut off")
    yield _case("a tag that nothing opened", text.replace("</part>", "</part></score>"), "cut off")
    yield _case("zeros behind", text.encode() + bytes(100), "control")
    yield _case("a second document behind", text + text, "cut off")


def _archives() -> Iterator[Case]:
    text = document().encode()
    whole = packed(text)
    central = whole.index(b"PK\1\2")
    for name, data in {
        "an archive without its directory": whole[:central], "an archive cut in its directory": whole[: central + 20],
        "an archive without its last bytes": whole[:-8],
    }.items():  # fmt: skip
        yield _case(name, data, "damaged archive", suffix=".mxl")
    yield _case("an archive with a wrong checksum", _wrong_checksum(whole), "damaged archive", suffix=".mxl")
    yield _case("an archive without a container", packed(text, container=None), "does not say", suffix=".mxl")
    escaping = packed(text, "a\x1b[31m.xml", None)
    yield _case("a member whose name has colours", escaping, "does not say", suffix=".mxl")
    yield _case(
        "a container that points outside", packed(text, container="../../etc/passwd"), "does not say", suffix=".mxl"
    )
    yield _case(
        "a container that points to /dev/zero", packed(text, container="/dev/zero"), "does not say", suffix=".mxl"
    )


def _wrong_checksum(archive: bytes) -> bytes:
    checksum = struct.pack("<I", zlib.crc32(document().encode()))
    return archive.replace(checksum, b"\1\2\3\4")


TUNE = "X:1\nT:Test\nM:4/4\nL:1/4\nK:C\n"
TUNE_KEYS = tuple((480 * i, 480, pitch) for i, (_, pitch) in enumerate(STEPS))


def _tunes() -> Iterator[Case]:
    music = "CDEF|\n"
    yield _case("a bar too long", TUNE + "CDEF|CDEFG|\n", "a bar longer than its meter", surely=None, suffix=".abc")
    yield _case(
        "a call for another file", TUNE + "%%abc-include /etc/passwd\n" + music, "another file", TUNE_KEYS, ".abc"
    )
    yield _case(
        "a title with an escape sequence", TUNE.replace("Test", "\x1b]0;x\a") + music, "control", TUNE_KEYS, ".abc"
    )
    yield _case("zeros in a tune", (TUNE + music).replace("|", "\0|"), "control", TUNE_KEYS, ".abc")


def odd() -> list[Case]:
    """Files that need no repair."""
    text = document()
    timewise = (
        HEAD
        + "<score-timewise><part-list/>"
        + "".join(
            f'<measure number="{i}"><part id="P1">{ATTRIBUTES * (i == 1)}{BAR}</part></measure>' for i in range(1, 7)
        )
        + "</score-timewise>"
    )
    return [
        _case("MusicXML as it is", text),
        _case("packed", packed(text.encode()), suffix=".mxl"),
        _case("in UTF-16", text.replace("UTF-8", "UTF-16").encode("utf-16")),
        _case("by measures", timewise),
        _case(
            "in Latin-1, as it says", document(name="Flöte", head=HEAD.replace("UTF-8", "ISO-8859-1")).encode("latin-1")
        ),
        _case(
            "a member named ../../score.xml", packed(text.encode(), "../../score.xml", "../../score.xml"), suffix=".mxl"
        ),
        _case("a tune", TUNE + "CDEF|\n", surely=TUNE_KEYS, suffix=".abc"),
        _case(
            "a tune in Latin-1",
            (TUNE + "CDEF|\n").replace("Test", "Größe").encode("latin-1"),
            surely=TUNE_KEYS,
            suffix=".abc",
        ),
    ]


# ---- refused ---------------------------------------------------------------------------------------------------------


def refused() -> list[Case]:
    """Bombs, and what holds no music."""
    bomb = "".join(f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(10))
    laughs = f'{HEAD}<!DOCTYPE l [<!ENTITY a "ha">{bomb}]>' + document(head="", name="&k;")
    blowup = f'{HEAD}<!DOCTYPE l [<!ENTITY a "{"a" * 100_000}">]>' + document(head="", name="&a;" * 10_000)
    outside = HEAD + '<!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + document(head="", name="&a;")
    parameter = HEAD + '<!DOCTYPE l [<!ENTITY % a SYSTEM "http://localhost/x"> %a;]>' + document(head="")
    deep = HEAD + "<score-partwise>" + "<a>" * 1_000_000 + "</a>" * 1_000_000 + "</score-partwise>"
    wide = HEAD + "<score-partwise>" + "<a/>" * 2_000_000 + "</score-partwise>"
    full = HEAD + '<score-partwise><part id="P"><measure>' + "<a/>" * 2_000_000 + "</measure></part></score-partwise>"
    measures = HEAD + '<score-partwise><part id="P">' + "<measure/>" * 200_000 + "</part></score-partwise>"
    parts = HEAD + "<score-partwise>" + "".join(f'<part id="{i}"><measure/></part>' for i in range(50_000))
    many = HEAD + '<score-partwise><part id="P">' + f"<measure>{BAR * 20}</measure>" * 5_000
    far = document(extra="<forward><duration>900000000</duration></forward>")
    ages = document(extra=note(duration="999999999"))
    cases: dict[str, tuple[str | bytes, str, str]] = {
        "a billion laughs": (laughs, "entities", ".xml"),
        "a quadratic blow-up": (blowup, "entities", ".xml"),
        "a billion laughs in UTF-16": (laughs.replace("UTF-8", "UTF-16").encode("utf-16"), "entities", ".xml"),
        "a file from outside": (outside, "entities", ".xml"),
        "a parameter entity": (parameter, "entities", ".xml"),
        "a million elements deep": (deep, "elements", ".xml"),
        "two million elements": (wide, "elements", ".xml"),
        "a measure of two million elements": (full, "elements", ".xml"),
        "200,000 measures": (measures, "measures", ".xml"),
        "50,000 parts": (parts, "parts", ".xml"),
        "400,000 notes": (many, "notes", ".xml"),
        "a pause of 900,000,000 quarters": (far, "quarters", ".xml"),
        "a note of 999,999,999": (ages, "quarters", ".xml"),
        "no XML": ("Dear diary", "", ".xml"),
        "a page of the web": ("<!DOCTYPE html><html></html>", "web page", ".xml"),
        "an SVG": (HEAD + "<svg></svg>", "root", ".xml"),
        "nothing": (b"", "empty", ".xml"),
        "no notes": (HEAD + "<score-partwise></score-partwise>", "no notes", ".xml"),
        "rests alone": (
            document().replace("<pitch><step>", "<rest/><x><step>").replace("</octave></pitch>", "</octave></x>"),
            "no notes",
            ".xml",
        ),
        "cut in its head": (document()[:200], "no notes", ".xml"),
        "40 MB": ("<score-partwise>" + " " * 40_000_000, "bytes", ".xml"),
        "a zip bomb": (packed(HEAD.encode() + b"<score-partwise>" + bytes(40_000_000)), "unpacks", ".mxl"),
        "a container bomb": (_container_bomb(), "", ".mxl"),
        "a zip without a score": (packed(b"x", "a.txt"), "without a score", ".mxl"),
        "an encrypted score": (_encrypted(), "encrypted", ".mxl"),
        "a zip of noise": (b"PK\3\4" + bytes(range(256)) * 9, "archive", ".mxl"),
        "200,000 members": (_many_members(), "", ".mxl"),
        "text as ABC": ("hello", "no ABC tune", ".abc"),
        "a tune without notes": (TUNE, "without notes", ".abc"),
        "no key": ("X:1\nABC|\n", "K:", ".abc"),
        "a giant tune": (TUNE + "A" * 200_000, "characters", ".abc"),
        "40 MB of tunes": ((TUNE + "A|\n") * 1_300_000, "bytes", ".abc"),
    }
    return [_case(name, text, says, (), suffix) for name, (text, says, suffix) in cases.items()]


def heavy() -> list[Case]:
    """As much as the limits allow, in the shapes that cost most; to be read or refused in bounded time."""
    full = HEAD + '<score-partwise><part id="P">' + ("<measure>" + ATTRIBUTES.replace(">1<", ">99<") + BAR * 20) * 495
    cases = {
        "39,600 notes": (full.replace("<measure>", "</measure><measure>").replace("</measure>", "", 1), ".xml"),
        "a tune of endless repeats": (TUNE + "|:" * 20_000 + "A" + ":|" * 20_000, ".abc"),
        "a note of 10**9 units": (TUNE + "A1000000000|" * 20, ".abc"),
        "99,000 letters of music": (TUNE + "A/16" * 24_000, ".abc"),
        "a book of 100,000 tunes": ((TUNE + "A|\n\n") * 100_000, ".abc"),
        "nested tuplets and chords": (TUNE + "(9" * 20_000 + "[CEG" * 10_000, ".abc"),
    }
    return [_case(name, text, "", None, suffix) for name, (text, suffix) in cases.items()]


def _container_bomb() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("META-INF/container.xml", b"<rootfile " * 4_000_000)
        archive.writestr("score.txt", "x")
    return buffer.getvalue()


def _encrypted() -> bytes:
    data = bytearray(packed(document().encode(), "score.xml", None))
    data[6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    return bytes(data)


def _many_members() -> bytes:
    name = b"a"
    local = b"PK\3\4" + bytes(22) + struct.pack("<HH", 1, 0) + name
    central = b"PK\1\2" + bytes(24) + struct.pack("<HHHHHII", 1, 0, 0, 0, 0, 0, 0) + name
    end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 65535, 65535, len(central) * 200_000, len(local), 0)
    return local + central * 200_000 + end

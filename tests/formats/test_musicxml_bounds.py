"""Limits of MusicXML: they hold for a whole file, over all its parts, and are told in one line that names it."""

import gc
import io
import tracemalloc
import zipfile
from contextlib import suppress

import pytest
from support.musicxml_files import attributes, document, note, read, rows

from melody.errors import LimitExceeded, MelodyError, UnreadableFile
from melody.formats.midi.track import Repairs
from melody.formats.musicxml import document as documents
from melody.formats.musicxml import elements, parse_musicxml

SCORE = document([attributes("") + note()])


def refusal(data: bytes) -> str:
    """The one line that refuses a file."""
    with pytest.raises(MelodyError) as caught:
        parse_musicxml(data, "any.mxl")
    assert str(caught.value).startswith("any.mxl: ")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def with_doctype(inside: str) -> bytes:
    return f'<?xml version="1.0"?><!DOCTYPE score-partwise {inside}>'.encode() + SCORE


@pytest.mark.parametrize(
    "declared",
    [
        '<!ATTLIST note a CDATA "x">',
        '<!ENTITY a "x">',
        "<!ELEMENT note ANY>",
        '<!NOTATION a SYSTEM "x">',
        '<!\x01ENTITY a "x">',  # control characters are left out, and must not hide it
    ],
)
def test_a_document_type_declares_nothing(declared: str) -> None:
    assert "declares" in refusal(with_doctype(f"[{declared}]"))


def test_a_document_type_in_utf16_declares_nothing_either() -> None:
    text = (
        with_doctype('[<!ATTLIST note a CDATA "x">]')
        .decode()
        .replace('version="1.0"', 'version="1.0" encoding="utf-16"')
    )
    for encoding in ("utf-16", "utf-16-be", "utf-16-le"):
        assert "declares" in refusal(text.encode(encoding))


@pytest.mark.parametrize("order", ["utf-16", "utf-16-be", "utf-16-le"])
@pytest.mark.parametrize("declared", ["UTF116", "utf-8", "utf-7", "rot13", "undefined", "hex", "idna", "latin-1"])
def test_an_encoding_that_a_document_cannot_have_is_known_by_its_bytes(declared: str, order: str) -> None:
    text = f'<?xml version="1.0" encoding="{declared}"?>' + SCORE.decode()
    reading = parse_musicxml(text.encode(order), "any.musicxml")
    plain = parse_musicxml(SCORE, "any.musicxml")
    assert [list(track.notes) for track in reading.score.tracks] == [list(track.notes) for track in plain.score.tracks]
    assert any("an encoding that the document cannot have" in one for one in map(str, reading.repairs))


@pytest.mark.parametrize("declared", ["UTF116", "utf-7", "rot13", "undefined"])
def test_an_encoding_behind_much_else_is_refused_in_a_line(declared: str) -> None:
    text = f'<?xml version="1.0"{" " * 2000}encoding="{declared}"?>' + SCORE.decode()
    assert "not readable as MusicXML" in refusal(text.encode("utf-16"))


@pytest.mark.parametrize("declared", ["xmlns", "xmlns:x", "xmlns:x =", "xmlns\n = "])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_namespace_is_short_as_each_element_carries_it(declared: str, encoding: str) -> None:
    def text(length: int) -> bytes:
        named = f'{declared.removesuffix("=")}="{"u" * length}"'
        root = SCORE.decode().replace("<score-partwise", f"<score-partwise {named}")
        return f'<?xml version="1.0" encoding="{encoding}"?>{root}'.replace("= =", "=").encode(encoding)

    assert "namespace" in refusal(text(60_000))
    if declared.startswith("xmlns:"):
        assert parse_musicxml(text(30)).repairs == ()


def test_the_document_type_that_programs_write_is_read() -> None:
    public = 'PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN" "http://www.musicxml.org/dtds/partwise.dtd"'
    assert parse_musicxml(with_doctype(public)).repairs == ()
    assert parse_musicxml(with_doctype("[ ]")).repairs == ()


def test_measures_are_counted_over_all_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elements, "MAX_MEASURES", 20)
    parts = [[note()] * 5] * 4
    assert len(parse_musicxml(document(*parts)).score.tracks) == 4
    assert "over 20 measures" in refusal(document(*parts, [note()]))


def test_notes_are_counted_over_all_parts_and_after_measure_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elements, "MAX_NOTES", 20)
    parse_musicxml(document([note() * 10], [note() * 10]))
    assert "over 20 notes" in refusal(document([note() * 10], [note() * 11]))
    style = '<attributes><measure-style><measure-repeat type="start">1</measure-repeat></measure-style></attributes>'
    assert "over 20 notes" in refusal(document([note() * 5, style, "", "", ""]))


@pytest.mark.parametrize(
    "sign",
    [
        '<sound tempo="90"/>',
        "<attributes><key><fifths>1</fifths></key></attributes>",
        "<harmony><root><root-step>C</root-step></root><kind>major</kind></harmony>",
        "<direction><direction-type><words>dolce</words></direction-type></direction>",
        note(duration=1).replace("</note>", "<lyric><text>la</text></lyric></note>"),
    ],
)
def test_signs_are_counted_over_all_parts(monkeypatch: pytest.MonkeyPatch, sign: str) -> None:
    monkeypatch.setattr(elements, "MAX_SIGNS", 20)
    parse_musicxml(document([note() + sign * 10], [sign * 10]))
    assert "over 20 syllables" in refusal(document([note() + sign * 10], [sign * 11]))


def test_letters_are_counted_over_all_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elements, "MAX_LETTERS", 100)
    words = "<direction><direction-type><words>{}</words></direction-type></direction>"
    sung = note(duration=1).replace("</note>", "<lyric><text>{}</text></lyric></note>")
    for sign in (words, sung):
        parse_musicxml(document([note() + sign.format("a" * 90)]))
        assert "over 100 letters" in refusal(document([note() + sign.format("a" * 30) * 4]))


def test_elements_are_counted_wherever_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elements, "MAX_ELEMENTS", 100)
    parse_musicxml(document([note() * 10]))
    for many in (["<print/>" * 5] * 20, ["<a>" * 60 + "</a>" * 60] * 2):
        assert "over 100 elements" in refusal(document([note(), *many]))
    assert "over 100 elements" in refusal(SCORE.replace(b"<part-list>", b"<a/>" * 100 + b"<part-list>"))


def test_a_measure_inside_a_measure_is_none() -> None:
    reading = read(attributes("") + note() + f"<measure>{note('D')}</measure>", note("E"))
    assert rows(reading.score) == [(0, 4, 60), (4, 4, 64)]


def test_one_place_is_bounded_in_elements_and_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elements, "_PLACE_ELEMENTS", 50)
    assert "in one place" in refusal(document([note(), "<a/>" * 60]))
    assert "in one place" in refusal(document([note(), "<measure>" + "<a/>" * 30 + "</measure>" + "<a/>" * 30]))
    monkeypatch.setattr(elements, "_PLACE_BYTES", 1 << 17)
    assert "in one place" in refusal(document([note(), f"<a>{'x' * (1 << 18)}</a><b/>"]))
    assert "in one place" in refusal(SCORE.replace(b"<part-list>", b"<a>" + b"x" * (1 << 18) + b"</a><part-list>"))


def test_a_tag_that_never_ends_is_not_gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elements, "_PLACE_BYTES", 1 << 17)
    endless = b"<score-partwise " + b" ".join(b'a%d=""' % place for place in range(60_000)) + b">"
    assert "in one place" in refusal(endless)


def test_divisions_without_a_common_multiple_are_refused() -> None:
    primes = [n for n in range(2, 300) if all(n % d for d in range(2, n))]
    measures = [f"<attributes><divisions>{prime}</divisions></attributes>" + note(duration=1) for prime in primes]
    assert "common multiple" in refusal(document(measures))
    usual = [
        f"<attributes><divisions>{d}</divisions></attributes>" + note(duration=d)
        for d in (1, 24, 480, 768, 10080, 16384)
    ]
    assert [row[:2] for row in rows(read(*usual).score)] == [(place, 1) for place in range(6)]


@pytest.mark.parametrize("more", ["", "<chord/>"])
def test_a_note_longer_than_any_piece_is_refused(more: str) -> None:
    assert "quarters" in refusal(document([attributes("") + note() + note("E", duration=999_999_999, more=more)]))


# ---- archives --------------------------------------------------------------------------------------------------------


def local_file(member: bytes, body: bytes) -> bytes:
    """An entry of an archive, without what would end it."""
    sizes = len(member).to_bytes(2, "little") + bytes(2)
    return b"PK\3\4" + bytes(4) + (8).to_bytes(2, "little") + bytes(16) + sizes + member + body


def test_names_of_a_damaged_archive_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = 0
    original = documents._is_score_name  # type: ignore[attr-defined]

    def counted(member: str) -> bool:
        nonlocal decoded
        decoded += len(member)
        return bool(original(member))

    monkeypatch.setattr(documents, "_is_score_name", counted)
    data = b"".join(b"PK\3\4" + bytes(4) + (8).to_bytes(2, "little") + bytes(16) + b"\xff\xff\0\0" for _ in range(2000))
    assert "no score in it" in refusal(data)
    assert decoded <= 2000 * documents._LONGEST_MEMBER_NAME  # type: ignore[attr-defined]


def test_only_a_few_files_of_a_damaged_archive_are_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    monkeypatch.setattr(documents, "_inflate", lambda data, start: tried.append(start) or b"")
    assert "no score in it" in refusal(local_file(b"a.xml", b"") * 500)
    assert len(tried) == documents._MOST_RESCUES  # type: ignore[attr-defined]


def test_a_damaged_archive_gives_what_is_there() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("score.xml", SCORE)
    reading = parse_musicxml(packed.getvalue()[:-30], "cut.mxl")
    assert rows(reading.score) == [(0, 4, 60)]
    assert "damaged archive" in reading.repairs[0]


@pytest.mark.parametrize("filling", [b"&", "é".encode("latin-1"), "𝄞".encode(), b"\1", b"<!---->"])
def test_whatever_fills_a_document_takes_little_memory(filling: bytes) -> None:
    data = SCORE.replace(b"<part-list>", filling * ((4 << 20) // len(filling)) + b"<part-list>", 1)
    tracemalloc.start()
    try:
        documents.document(data, "any", Repairs())
        assert tracemalloc.get_traced_memory()[1] < 6 * len(data)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("data", [SCORE, b"<score-partwise>", document([note()] * 2)])
@pytest.mark.parametrize("is_enabled", [True, False])
def test_the_garbage_collector_is_left_as_it_was(data: bytes, is_enabled: bool) -> None:
    was_enabled = gc.isenabled()
    try:
        (gc.enable if is_enabled else gc.disable)()
        with suppress(MelodyError):
            parse_musicxml(data, "any")
        assert gc.isenabled() == is_enabled
    finally:
        (gc.enable if was_enabled else gc.disable)()


def test_limits_are_melody_errors_of_their_own_kinds() -> None:
    with pytest.raises(UnreadableFile, match="no notes"):
        parse_musicxml(document([""]), "any")
    with pytest.raises(LimitExceeded, match="any: "):
        parse_musicxml(document([attributes("") + note(duration=10**8)]), "any")

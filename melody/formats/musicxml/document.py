"""Bytes of a MusicXML file, packed (.mxl) or plain, to one document that an XML parser may safely be given.

A document type may name MusicXML's DTD, as all programs write it, but declare nothing: neither entities, which expand,
nor default attributes, which each element would carry. No file but the given one is read. Nothing is unpacked beyond a
limit, whatever the archive says of its sizes, and a damaged archive is searched once, from front to back.
"""

import codecs
import io
import re
import zipfile
import zlib

from melody.errors import LimitExceeded, UnreadableFile
from melody.formats.midi.track import Repairs

MAX_PACKED_BYTES = 16 << 20
MAX_DOCUMENT_BYTES = 32 << 20
_CONTAINER = "META-INF/container.xml"
_CONTAINER_BYTES = 1 << 14
_ROOT_FILE = re.compile(rb"<rootfile\b[^>]*\bfull-path\s*=\s*[\"']([^\"']*)[\"']")
_CONTROLS = bytes(set(range(32)) - {9, 10, 13})
_BARE_AMPERSAND = re.compile(rb"&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9a-fA-F]{1,6});)")
_ENCODING = re.compile(rb"(?:\xef\xbb\xbf)?\s*<\?xml[^>]*?(\sencoding\s*=\s*[\"']([^\"'>]*)[\"'])")
_EIGHT_BITS = re.compile(rb"us-ascii|iso-8859-(?:[1-9]|1[0134-6])|windows-125[0-8]")
_LONGEST_DECLARATION = 1024
_MOST_AMPERSANDS = 10_000  # that are mended
_DECLARATION = re.compile(rb"<!(ENTITY|ATTLIST|ELEMENT|NOTATION)")
_LONG_NAMESPACE = re.compile(rb"xmlns[^\s=<>]{0,200}\s{0,200}=\s{0,200}(?:\"[^\"]{200}|'[^']{200})")
_LOCAL_FILE = b"PK\x03\x04"
_DEFLATED = 8
_LONGEST_MEMBER_NAME = 512
_MOST_RESCUES = 8  # files of a damaged archive that are tried
_STEP_BYTES = 1 << 20


def document(data: bytes, name: str, repairs: Repairs) -> bytes:
    """Return the XML document of a MusicXML file. Raises `UnreadableFile` or `LimitExceeded`."""
    if data.startswith(b"PK"):
        data = _unpack(data, name, repairs)
    if len(data) > MAX_DOCUMENT_BYTES:
        raise LimitExceeded(f"{name}: {len(data):,} bytes; melody reads MusicXML up to {MAX_DOCUMENT_BYTES:,} bytes")
    is_utf16 = b"\0" in data[:4]
    data = _utf16(data, repairs) if is_utf16 else _cleaned(data, repairs)
    seen = data.replace(b"\0", b"") if is_utf16 else data
    if _LONG_NAMESPACE.search(seen):
        raise UnreadableFile(f"{name}: a namespace of over 200 letters, which each element would carry; take that out")
    declared = _DECLARATION.search(seen)
    if declared:
        what = {b"ENTITY": "entities", b"ATTLIST": "attributes"}.get(declared[1], "names of its own")
        raise UnreadableFile(
            f"{name}: its document type declares {what}, which no music needs and bombs are made of; take that out"
        )
    return data


def _cleaned(data: bytes, repairs: Repairs) -> bytes:
    """Return the document in bytes that XML allows."""
    plain = data.translate(None, _CONTROLS) if re.search(rb"[\0-\x08\x0b\x0c\x0e-\x1f]", data) else data
    if len(plain) < len(data):
        repairs.add("control characters, which XML forbids; left out", f"{len(data) - len(plain):,}")
    if plain.startswith((b"\xff\xfe", b"\xfe\xff")):
        return plain
    plain, count = _BARE_AMPERSAND.subn(b"&amp;", plain, count=_MOST_AMPERSANDS)
    if count:
        repairs.add("an ampersand that begins no entity; read it as a letter", f"{count:,}")
    declared = _ENCODING.match(plain)
    encoding = declared[2].lower() if declared else b"utf-8"
    if declared and encoding != b"utf-8" and not _EIGHT_BITS.fullmatch(encoding):
        _add_wrong_encoding(declared[2], repairs)
        plain, encoding = plain[: declared.start(1)] + plain[declared.end(1) :], b"utf-8"
    return _utf8(plain, repairs) if encoding == b"utf-8" else plain


def _utf16(data: bytes, repairs: Repairs) -> bytes:
    """Return a document in UTF-16 without a declared encoding that it cannot have."""
    declared = _ENCODING.match(data[: 2 * _LONGEST_DECLARATION].replace(b"\0", b"").lstrip(b"\xff\xfe"))
    if not declared or declared[2].lower().startswith((b"utf-16", b"utf16")):
        return data
    _add_wrong_encoding(declared[2], repairs)
    order = "utf-16-be" if data[:1] in b"\0\xfe" else "utf-16-le"
    return data.replace(declared[1].decode("latin-1").encode(order), b"", 1)


def _add_wrong_encoding(name: bytes, repairs: Repairs) -> None:
    repairs.add("an encoding that the document cannot have; went by its bytes", name[:40].decode("latin-1"))


def _utf8(data: bytes, repairs: Repairs) -> bytes:
    """Return the document in UTF-8; whatever is no UTF-8 is taken for Latin-1, as a whole."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(data), _STEP_BYTES):  # as a whole it could take four times its size
        try:
            decoder.decode(data[start : start + _STEP_BYTES], final=start + _STEP_BYTES >= len(data))
        except UnicodeDecodeError as error:
            repairs.add("letters that are no UTF-8; took them for Latin-1", f"byte {start + error.start:,}")
            return data.decode("latin-1").encode("utf-8")
    return data


# ---- archives --------------------------------------------------------------------------------------------------------


def _unpack(data: bytes, name: str, repairs: Repairs) -> bytes:
    if len(data) > MAX_PACKED_BYTES:
        raise LimitExceeded(f"{name}: {len(data):,} bytes; melody reads .mxl files up to {MAX_PACKED_BYTES:,} bytes")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            score = _score_name(archive, name, repairs)
            return _limited(_member(archive, score, name, MAX_DOCUMENT_BYTES + 1), name)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OSError) as error:
        return _rescue(data, name, ascii(str(error))[1:-1] or "it ends too early", repairs)


def _score_name(archive: zipfile.ZipFile, name: str, repairs: Repairs) -> str:
    """Return the name of the archive's score: the container's first root file, or the first that looks like one."""
    names = archive.namelist()
    root = _ROOT_FILE.search(_member(archive, _CONTAINER, name, _CONTAINER_BYTES)) if _CONTAINER in names else None
    wanted = root[1].decode("utf-8", "replace") if root else ""
    if wanted in names:
        return wanted
    found = next((n for n in names if _is_score_name(n)), None)
    if found is None:
        raise UnreadableFile(f"{name}: an archive without a score; MusicXML's .mxl holds one .musicxml or .xml file")
    repairs.add("the archive does not say where its score lies; took the first document", found)
    return found


def _is_score_name(member: str) -> bool:
    return member.lower().endswith((".musicxml", ".xml")) and not member.startswith("META-INF/")


def _member(archive: zipfile.ZipFile, member: str, name: str, limit: int) -> bytes:
    """Return the first `limit` bytes of a file in the archive, whatever size it claims."""
    info = archive.getinfo(member)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UnreadableFile(f"{name}: packed in a way that .mxl does not use; pack it by deflation")
    if info.flag_bits & 1:
        raise UnreadableFile(f"{name}: is encrypted; save it without a password")
    with archive.open(info) as file:
        return file.read(limit)


def _limited(document: bytes, name: str) -> bytes:
    if len(document) > MAX_DOCUMENT_BYTES:
        raise LimitExceeded(f"{name}: unpacks to over {MAX_DOCUMENT_BYTES:,} bytes, all that melody reads")
    return document


def _rescue(data: bytes, name: str, reason: str, repairs: Repairs) -> bytes:
    """Return what can be unpacked of the score in a damaged archive, found by the marks of its files."""
    position, tries = data.find(_LOCAL_FILE), 0
    while position >= 0 and tries < _MOST_RESCUES:
        method, name_length, extra_length = (
            int.from_bytes(data[position + i : position + i + 2], "little") for i in (8, 26, 28)
        )
        start = position + 30 + name_length
        member = data[position + 30 : min(start, position + 30 + _LONGEST_MEMBER_NAME)].decode("utf-8", "replace")
        if method == _DEFLATED and _is_score_name(member):
            tries += 1
            inflated = _inflate(data, start + extra_length)
            if inflated:
                repairs.add(f"a damaged archive ({reason}); unpacked what is there", f"byte {position:,}")
                return _limited(inflated, name)
        position = data.find(_LOCAL_FILE, position + 4)
    raise UnreadableFile(f"{name}: a damaged archive ({reason}), and no score in it can be unpacked; export it again")


def _inflate(data: bytes, start: int) -> bytes:
    """Return as much as can be inflated, in steps, as an error loses the step in which it occurs."""
    inflater, parts, size = zlib.decompressobj(-zlib.MAX_WBITS), [], 0
    for step in range(start, len(data), 256):
        try:
            parts.append(inflater.decompress(data[step : step + 256], MAX_DOCUMENT_BYTES + 1))
        except zlib.error:
            break
        size += len(parts[-1])
        if inflater.eof or size > MAX_DOCUMENT_BYTES:
            break
    return b"".join(parts)
